"""The rules for lists, keys and files in settings: each function returns the normalised value, or raises ValueError.

`server` and `sending` name the check of each variable. `identity` has the rules for ids and secrets, `addresses` those
for URLs and hosts.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import idna
from cryptography.fernet import Fernet
from pydantic import BeforeValidator, SecretStr, ValidationInfo
from pydantic_settings import NoDecode

from m365_mcp.clients import CLIENTS
from m365_mcp.errors import Filled
from m365_mcp.redirects import RedirectPattern
from m365_mcp.settings.permissions import PERMISSIONS
from m365_mcp.trust import trust_of

# An empty variable of a template must not open the server to every domain, nor close it without a word.
EMPTY_DOMAINS = (
    "is set but empty; list domains, or write none for no domain, or leave the variable out for every domain"
)
MAX_NAME = 60  # characters; more do not fit on a phone
MAX_ICON_BYTES = 100 * 1024
# An XML declaration, comments and a document type may stand before the root element.
_SVG = re.compile(rb"\xef?\xbb?\xbf?\s*(<\?xml[^>]*>\s*)?((<!--.*?-->|<!DOCTYPE[^>]*>)\s*)*<svg[\s>]", re.DOTALL)


def split(value: Any) -> Any:
    """Split a comma-separated text."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split)]


def check_workers(value: int, info: ValidationInfo) -> int:
    """Check that several processes can serve one port, and share what they must."""
    if value == 1:
        return value
    if sys.platform != "linux":
        raise ValueError("must be 1 here; more than one worker needs Linux")
    if (info.data.get("redis_url") or "").startswith("memory:"):
        raise ValueError("must be 1 with REDIS_URL=memory://; workers share a Redis, so set REDIS_URL to its address")
    if not info.data.get("fastmcp_stateless_http", True):
        raise ValueError("must be 1 with FASTMCP_STATELESS_HTTP=false; a session would be in one worker's memory")
    return value


def check_fernet_keys(value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    """Check that every key is a Fernet key."""
    for number, key in enumerate(value, start=1):
        try:
            Fernet(key.get_secret_value())
        except ValueError:
            form = "key number %(number)s is not a Fernet key; make one with: openssl rand -base64 32 | tr '+/' '-_'"
            raise ValueError(Filled(form, number=str(number))) from None
    return value


def check_signing_keys(value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    """Check that every signing key is long enough."""
    if any(len(key.get_secret_value()) < 32 for key in value):
        raise ValueError("must have at least 32 characters; make one with: openssl rand -hex 32")
    return value


def check_redirect_patterns(value: tuple[str, ...]) -> tuple[str, ...]:
    """Check that every entry is a redirect URI, with * only where it is allowed."""
    for entry in value:
        if ";" in entry:
            raise ValueError("separates its entries with commas, not with ; (in a URI, write %2C and %3B)")
        RedirectPattern.parse(entry)
    return value


def check_clients(value: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of clients, each once."""
    unknown = [name for name in value if name.lower() not in CLIENTS]
    if unknown:
        raise ValueError(Filled("must name only these clients: %(names)s", names=", ".join(CLIENTS)))
    return tuple(dict.fromkeys(name.lower() for name in value))


def check_toolsets(value: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of toolsets, each once."""
    unknown = [name for name in value if name.lower() not in PERMISSIONS]
    if unknown:
        raise ValueError(Filled("must name only these toolsets: %(names)s", names=", ".join(PERMISSIONS)))
    return tuple(dict.fromkeys(name.lower() for name in value))


def check_domains(value: tuple[str, ...]) -> tuple[str, ...]:
    """Return the allowed domains of recipients as DNS spells them; the word none means no domain at all."""
    if not value:
        raise ValueError(EMPTY_DOMAINS)
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


def check_internal_domains(value: tuple[str, ...]) -> tuple[str, ...]:
    """Return the company's domains as DNS spells them; `*.` in front of one stands for every domain below it."""
    if not value:
        raise ValueError("is set but empty; leave it out, or name the company's domains")
    bare = check_domains(tuple(entry.removeprefix("*.") for entry in value))
    return tuple(f"*.{name}" if entry.startswith("*.") else name for entry, name in zip(value, bare, strict=True))


def check_time_zone(value: str) -> str:
    """Check that the time zone is known."""
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("must be the IANA name of a time zone, such as Europe/Berlin") from None
    return value


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


def check_product_name(value: str) -> str:
    """Return the name of the product without blanks at its ends."""
    name = value.strip()
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        form = "must have 1 to %(most)s characters, and no line break or other invisible character"
        raise ValueError(Filled(form, most=str(MAX_NAME)))
    return name


def check_icon(value: Path) -> Path:
    """Check that the file is a small SVG or PNG."""
    try:
        with value.open("rb") as file:
            content = file.read(MAX_ICON_BYTES + 1)
    except OSError:
        raise ValueError("must name a readable SVG or PNG file") from None
    if len(content) > MAX_ICON_BYTES:
        raise ValueError("must name a file of at most 100 KB")
    if icon_type(content) is None:
        raise ValueError("must name an SVG or PNG file; this one is neither, by its content")
    return value


def icon_type(content: bytes) -> str | None:
    """Return the media type of an icon by its content, or None if it is neither SVG nor PNG."""
    # The PNG specification, sections 5.2 and 5.6: the signature, then the header chunk, and at the end the last chunk.
    if content.startswith(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR") and b"IEND" in content:
        return "image/png"
    return "image/svg+xml" if _SVG.match(content) else None


def check_help(value: str) -> str:
    """Check that the address can be linked to from a page."""
    try:
        parts = urlsplit(value)
        is_page = bool(parts.scheme == "https" and parts.hostname)
    except ValueError:
        raise ValueError(_NO_HELP) from None  # Python's words repeat parts of the value
    if not (is_page or (parts.scheme == "mailto" and "@" in parts.path)) or not value.isprintable() or " " in value:
        raise ValueError(_NO_HELP)
    return value


_NO_HELP = "must be a full address such as https://intranet.example.com/help or mailto:it@example.com"


def check_ca_file(value: Path) -> Path:
    """Check that the file contains certificate authorities."""
    try:
        trust_of(value)
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        raise ValueError("must name a readable PEM file with certificate authorities") from None
    return value
