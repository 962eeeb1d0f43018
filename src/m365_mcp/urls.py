"""Pure: the one normal form of hosts, origins and http URLs, so that two spellings of one address are equal.

The public URL, `Host`, `Origin` and `resource` are compared in this form: hosts as ASCII (IDNA) in lower case and
without a final dot, no default port, paths decoded and without empty segments (RFC 3986 section 6.2.2, RFC 6454
section 4). What has several readings has no normal form and is refused: `%2F`, dot segments, `127.1`.
`redirects` builds the normal form of redirect URIs from the same parts.
Pydantic reads the host, because FastMCP publishes its addresses as Pydantic spells them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from urllib.parse import quote, unquote, urlsplit

from pydantic import AnyHttpUrl

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_PORT = 65535
MAX_HOST = 253  # characters (RFC 1035 section 2.3.4, without the final dot)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_OUTSIDE_NAMES = re.compile(r"[\x00-\x20\x7f/\\?#@%:\[\]]")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]|[^\[\]:]+)(?::([0-9]{0,5}))?")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
# An origin that is no http URL: `null`, or what a desktop application has (`tauri://localhost`, `app://obsidian.md`).
# `file://` is the only one without a host; `*` stands for every host, and for no part of one.
_OPAQUE_ORIGIN = re.compile(r"null|file://|[a-z][a-z0-9+.-]*://(\*|[a-z0-9._~-]+)")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_OUTSIDE_QUERIES = re.compile(r"[\x00-\x20\x7f\\#]")


@dataclass(frozen=True)
class NormalUrl:
    """An http or https URL in its normal form, without query and fragment.

    Attributes:
        scheme: `http` or `https`.
        host: the normal host, without brackets.
        port: the port, also when it is the default.
        path: the decoded path without a trailing slash; empty for a whole host.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> str:
        """Scheme, host and port as a browser writes them into `Origin`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    def __str__(self) -> str:
        """Return the URL without a trailing slash."""
        return self.origin + escape_path(self.path)


def read_url(url: str) -> NormalUrl:
    """Return the normal form of an http or https URL; a query is left out. Raises ValueError."""
    if "\\" in url or not url.isprintable() or " " in url:
        raise ValueError("a URL has no blanks, invisible characters or backslashes")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("the URL cannot be read") from None  # Python's words repeat parts of the URL
    if parts.scheme not in DEFAULT_PORTS or "#" in url:
        raise ValueError("the URL is no address of a web server")
    host, port = read_authority(parts.netloc)
    return NormalUrl(parts.scheme, host, DEFAULT_PORTS[parts.scheme] if port is None else port, _decode(parts.path))


def read_authority(text: str) -> tuple[str, int | None]:
    """Return the normal host and the port of `host:port`, as in a URL or in `Host`. Raises ValueError."""
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        raise ValueError("the host is no host name and no address")
    port = int(found[2]) if found[2] else None
    if port == 0 or (port or 0) > MAX_PORT:
        raise ValueError("a port is a number from 1 to 65535")
    return normal_host(found[1]), port


def normal_host(host: str) -> str:
    """Return a host name or an address in its normal form; brackets around an IPv6 address are removed.

    Raises:
        ValueError: it is neither, or programs would read it differently.
    """
    if ":" in host:
        return _normal_ipv6(host)
    name = host.lower().removesuffix(".")
    if not name or _OUTSIDE_NAMES.search(name):
        raise ValueError("the host is no host name and no address")
    try:
        ascii_name = (AnyHttpUrl(f"http://{name}").host or "").removesuffix(".")
    except ValueError:
        raise ValueError("the host is no host name and no address") from None
    if not all(map(_LABEL.fullmatch, ascii_name.split("."))) or len(ascii_name) > MAX_HOST:
        raise ValueError("the host is no host name and no address")
    if ascii_name.replace(".", "").isdecimal() and ascii_name != name:
        raise ValueError("an IPv4 address has four numbers, such as 127.0.0.1")
    return ascii_name


def _normal_ipv6(host: str) -> str:
    try:
        address = IPv6Address(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    except ValueError:
        raise ValueError("the host is no IPv6 address") from None
    if address.scope_id is not None:
        raise ValueError("an IPv6 address of a URL has no zone")
    # Pydantic's spelling, because Python's differs between its versions for ::ffff:1.2.3.4.
    return (AnyHttpUrl(f"http://[{address}]").host or "").strip("[]")


def normal_origin(origin: str) -> str:
    """Return an origin in its normal form: of an http page, `null`, or a desktop application's. Raises ValueError."""
    lower = origin.lower()
    if not lower.startswith(("http:", "https:")):
        if _OPAQUE_ORIGIN.fullmatch(lower):
            return lower
        raise ValueError("the origin cannot be read")
    url = read_url(origin)
    if url.path or "?" in origin or origin.endswith("/"):
        raise ValueError("an origin has no path and no query")
    return url.origin


def _decode(path: str) -> str:
    return "".join(f"/{decode_segment(segment)}" for segment in path.split("/") if segment)


def decode_segment(segment: str) -> str:
    """Return a segment of a path without escapes. Raises ValueError where programs would read the path differently."""
    try:
        text = unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("escapes in a path are UTF-8") from None
    if _BROKEN_ESCAPE.search(segment) or text in (".", "..") or "/" in text or "\\" in text or not text.isprintable():
        raise ValueError("a path has no dot segments, and no escaped slashes or control characters")
    return text


def normal_query(query: str) -> str:
    """Return a query in which everything is escaped but letters, digits and `-._~&=+`. Raises ValueError.

    `&`, `=` and `+` stay as they are written, because escaped they mean something else (WHATWG URL section 5.1).
    """
    if _BROKEN_ESCAPE.search(query) or _OUTSIDE_QUERIES.search(query):
        raise ValueError("a query has no blanks, control characters or backslashes, and its escapes are complete")
    return quote(_ESCAPE.sub(_unescape, query), safe="&=+%")


def _unescape(escape: re.Match[str]) -> str:
    character = chr(int(escape[0][1:], 16))
    return character if character.isascii() and (character.isalnum() or character in "-._~") else escape[0].upper()


def escape_path(path: str) -> str:
    """Return a decoded path as URLs spell it; Pydantic leaves this spelling as it is."""
    return quote(path, safe="/-._~!$&'()*+,;=:@")


def merge_slashes(path: str) -> str:
    """Return a decoded path without empty segments and without a trailing slash; `/` stays."""
    return "/" + "/".join(segment for segment in path.split("/") if segment)
