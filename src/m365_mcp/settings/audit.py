"""The settings of the audit trail, and the rules for their values. See `settings`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings

from m365_mcp.errors import Filled
from m365_mcp.settings.checks import CommaSeparated

CONTENT = ("recipients", "subject", "body")
FILE = "file:"
_FORM = "must be off, stdout, file:/path in a folder that can be written to, or the http(s) address of a collector"


def check_audit(value: str) -> str:
    """Return where the audit trail goes."""
    if value.lower() in ("off", "stdout"):
        return value.lower()
    if value.startswith(FILE):
        return FILE + str(_check_file(Path(value.removeprefix(FILE).removeprefix("//"))))
    try:
        parts = urlsplit(value)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError(_FORM) from None
    if not is_usable or "@" in parts.netloc or "#" in value or " " in value:
        raise ValueError(_FORM)
    return value


def _check_file(path: Path) -> Path:
    if not path.is_absolute() or path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise ValueError(_FORM)
    if path.exists() and not os.access(path, os.W_OK):
        raise ValueError(_FORM)
    return path


def check_content(value: tuple[str, ...]) -> tuple[str, ...]:
    """Return what of a mail's content is recorded, each once."""
    if any(name.lower() not in CONTENT for name in value):
        raise ValueError(Filled("must name only these parts: %(names)s", names=", ".join(CONTENT)))
    return tuple(dict.fromkeys(name.lower() for name in value))


def read_key(path: Path) -> Ed25519PrivateKey:
    """Return the key that signs the audit trail. Raises ValueError, OSError."""
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (TypeError, UnsupportedAlgorithm):  # TypeError: it has a password
        raise ValueError(_NO_KEY) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(_NO_KEY)  # noqa: TRY004 the content of a file is no type of an argument
    return key


def check_key(value: Path) -> Path:
    """Check that the file has a key."""
    try:
        read_key(value)
    except (OSError, ValueError):
        raise ValueError(_NO_KEY) from None
    return value


_NO_KEY = "must name a readable PEM file with an Ed25519 private key without a password"


class AuditSettings(BaseSettings):
    """The settings of the audit trail; each field is one variable (`m365_audit_ip` is `M365_AUDIT_IP`)."""

    m365_audit: Annotated[str, AfterValidator(check_audit)] = Field(
        "off",
        description="Where records of sends, refusals, sign-ins and commands go: off, stdout, file:/path, or the "
        "address of an HTTP collector; docs/audit.md.",
    )
    m365_audit_authorization: SecretStr | None = Field(
        None,
        description="Value of the header field Authorization for the HTTP collector.",
        examples=["Bearer the-token-for-the-collector"],
    )
    m365_audit_spool: Path | None = Field(
        None,
        validate_default=True,
        description="Folder for the records that the HTTP collector does not have yet. Required with a collector.",
        examples=["/var/spool/m365-mcp"],
    )
    m365_audit_spool_mb: int = Field(100, ge=1, le=100_000, description="Maximum size of that folder, in MB.")
    m365_audit_required: bool = Field(
        False, description="Whether a message leaves only after the record that it is about to leave was stored."
    )
    m365_audit_key_file: Annotated[Path, AfterValidator(check_key)] | None = Field(
        None,
        description="PEM file with the Ed25519 private key that signs the audit trail. "
        "Make one: openssl genpkey -algorithm ed25519",
        examples=["/run/secrets/audit.pem"],
    )
    m365_audit_ip: bool = Field(True, description="Whether records of sign-ins have the IP address.")
    m365_audit_content: Annotated[CommaSeparated, AfterValidator(check_content)] = Field(
        (),
        description=f"What of a mail's content is recorded, comma separated: {', '.join(CONTENT)}. "
        "Empty: nothing; of recipients only their domains.",
    )

    @field_validator("m365_audit_spool")
    @classmethod
    def _check_spool(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is None and str(info.data.get("m365_audit", "")).startswith("http"):
            raise ValueError("is required when M365_AUDIT is the address of a collector")
        if value is not None:
            try:
                value.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError:
                raise ValueError(_NO_SPOOL) from None
            if not os.access(value, os.W_OK | os.X_OK):
                raise ValueError(_NO_SPOOL)
        return value

    @field_validator("m365_audit_required")
    @classmethod
    def _check_required(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("m365_audit") == "off":
            raise ValueError("is true, but M365_AUDIT is off; choose where the records go")
        return value


_NO_SPOOL = "must name a folder that can be written to"
