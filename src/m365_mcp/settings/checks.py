"""The rules for the values of settings: each function returns the normalised value, or raises ValueError.

`server` and `sending` name the check of each variable.
"""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

import idna
from cryptography.fernet import Fernet
from pydantic import BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from m365_mcp.clients import CLIENTS
from m365_mcp.loopback import is_loopback
from m365_mcp.redirects import RedirectPattern
from m365_mcp.settings.permissions import PERMISSIONS

ORGANIZATIONS = "organizations"  # Entra's name for "accounts of any work or school tenant"


def split(value: Any) -> Any:
    """Split a comma-separated text."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split)]


def strip(value: Any) -> Any:
    """Remove the white space that files and portals put around a value."""
    return value.strip() if isinstance(value, str) else value


def refuse_placeholder(value: str) -> str:
    """Refuse the sample values of .env.example, and an empty value."""
    if not value:
        raise ValueError("is empty")
    if value.startswith(("your-", "<")):
        raise ValueError("still has the sample value; replace it with the real one")
    return value


def refuse_secret_placeholder(value: SecretStr) -> SecretStr:
    """Refuse the sample value of a secret."""
    refuse_placeholder(value.get_secret_value())
    return value


def check_app(value: str) -> str:
    """Return an application id in lower case, as it appears in tokens."""
    return refuse_placeholder(value).lower()


def check_tenant(value: str) -> str:
    """Return the id of one tenant in lower case, as it appears in tokens, or `organizations`."""
    if value.lower() in ("common", "consumers"):
        raise ValueError("must be the id of a tenant, or organizations; this server does not support personal accounts")
    if "." in value:
        raise ValueError("must be the Directory (tenant) ID, not a domain name: the issuer in tokens contains the id")
    return refuse_placeholder(value).lower()


def check_tenants(value: tuple[str, ...]) -> tuple[str, ...]:
    """Return the ids of tenants in lower case, as they appear in tokens."""
    if ORGANIZATIONS in map(str.lower, value):
        raise ValueError("must list the ids of tenants")
    return tuple(map(check_tenant, value))


def _read(url: str, example: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.hostname and parts.port != 0 and not any(character.isspace() for character in url)
    except ValueError:
        usable = None
    if not usable:
        raise ValueError(f"must be a full URL such as {example}")
    if parts.query or parts.fragment or parts.username or parts.password:
        raise ValueError("must not have a query, a fragment or a user name")
    return parts


def check_public_url(value: str) -> str:
    """Return the public URL without a trailing slash."""
    parts = _read(value, "https://mcp.example.com")
    # RFC 8414 section 2: an issuer is https; loopback is the accepted exception for development.
    if parts.scheme != "https" and (parts.scheme != "http" or not is_loopback(parts.hostname)):
        raise ValueError("must begin with https://, or with http:// when the host is localhost")
    return value.rstrip("/")


def check_authority(value: str) -> str:
    """Return Entra ID's address without a trailing slash."""
    parts = _read(value, "https://login.microsoftonline.com")
    if parts.scheme != "https":
        raise ValueError("must begin with https://")
    if parts.path.strip("/"):
        raise ValueError("must be only scheme, host and port; the server adds the tenant")
    return value.rstrip("/")


def check_graph(value: str) -> str:
    """Return Graph's address without version and trailing slash."""
    parts = _read(value, "https://graph.microsoft.com")
    if parts.scheme != "https" and (parts.scheme != "http" or not is_loopback(parts.hostname)):
        raise ValueError("must begin with https://, because the server sends tokens to it")
    return value.rstrip("/").removesuffix("/v1.0")


def check_redis(value: str) -> str:
    """Return the store's address."""
    parts = urlsplit(value)
    if parts.scheme not in ("redis", "rediss", "memory"):
        raise ValueError("must begin with redis://, rediss:// (TLS) or be memory://")
    try:
        usable = parts.scheme == "memory" or (parts.hostname and parts.port != 0)
    except ValueError:
        usable = False
    if not usable or not (parts.path.strip("/") or "0").isdigit():
        raise ValueError("must look like redis://user:password@host:6379/0, with special characters percent-encoded")
    return value


def check_fernet_keys(value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    """Check that every key is a Fernet key."""
    for number, key in enumerate(value, start=1):
        try:
            Fernet(key.get_secret_value())
        except ValueError:
            raise ValueError(
                f"key number {number} is not a Fernet key; make one with: openssl rand -base64 32 | tr '+/' '-_'"
            ) from None
    return value


def check_signing_keys(value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    """Check that every signing key is long enough."""
    if any(len(key.get_secret_value()) < 32 for key in value):
        raise ValueError("must have at least 32 characters; make one with: openssl rand -hex 32")
    return value


def check_redirect_patterns(value: tuple[str, ...]) -> tuple[str, ...]:
    """Check that every entry is a redirect URI, with * only where it is allowed."""
    for entry in value:
        RedirectPattern.parse(entry)
    return value


def check_clients(value: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of clients, each once."""
    unknown = [name for name in value if name.lower() not in CLIENTS]
    if unknown:
        raise ValueError(f"must name only these clients: {', '.join(CLIENTS)}")
    return tuple(dict.fromkeys(name.lower() for name in value))


def check_toolsets(value: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of toolsets, each once."""
    unknown = [name for name in value if name.lower() not in PERMISSIONS]
    if unknown:
        raise ValueError(f"must name only these toolsets: {', '.join(PERMISSIONS)}")
    return tuple(dict.fromkeys(name.lower() for name in value))


def check_domains(value: tuple[str, ...]) -> tuple[str, ...]:
    """Return the allowed domains of recipients as DNS spells them; the word none means no domain at all."""
    if [name.lower() for name in value] == ["none"]:
        return ()
    try:
        # RFC 5891: in this form, two spellings of one name are equal.
        domains = tuple(idna.encode(name.strip().rstrip(".").lower(), uts46=True).decode() for name in value)
    except idna.IDNAError:
        raise ValueError(
            "every entry must be a domain such as contoso.example; or the setting must be the one word none"
        ) from None
    if not all("." in name for name in domains):
        raise ValueError(
            "every entry must be a domain such as contoso.example; or the setting must be the one word none"
        )
    return domains


def check_extensions(value: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return file extensions in lower case, without a dot; the word none means that no type is refused.

    A value without an entry, as an empty variable of a template leaves it, counts as unset.
    """
    names = tuple(name.removeprefix("*").lstrip(".").strip().lower() for name in value)
    if not names:
        return None
    if names == ("none",):
        return ()
    if not all(re.fullmatch(r"[^\s./\\*:;]+", name) for name in names) or "none" in names:
        raise ValueError("every entry must be a file extension such as exe; or the setting must be the one word none")
    return names


def check_hosts(value: tuple[str, ...]) -> tuple[str, ...]:
    """Check that every entry is a host name without scheme and port."""
    for host in value:
        if "/" in host or ":" in host or " " in host:
            raise ValueError("every entry must be a host name without scheme and port, such as inner.example.com")
    return value


def check_origins(value: tuple[str, ...]) -> tuple[str, ...]:
    """Check that every entry is an origin."""
    for origin in value:
        if _read(origin, "https://inspector.example.com").scheme not in ("http", "https") or urlsplit(origin).path:
            raise ValueError("every entry must be an origin such as https://inspector.example.com, without a path")
    return value


def check_ca_file(value: Path) -> Path:
    """Check that the file contains certificate authorities."""
    try:
        ssl.create_default_context(cafile=value)
    except (OSError, ssl.SSLError):
        raise ValueError("must name a readable PEM file with certificate authorities") from None
    return value
