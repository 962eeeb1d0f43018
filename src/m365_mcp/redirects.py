"""Pure: decides which redirect URIs an MCP client may use, and defines `*` in an entry.

Two URIs are equal when their normal forms are (`RedirectUri`). Pydantic spells a client's URI anew before this server
sees it (https://a.example:443 loses its port, `ü` is escaped), so that spellings cannot be compared.
Every part of a URI must equal the entry's part (OAuth 2.1 section 4.1.3), with two exceptions. The port `:*` matches
every port (RFC 8252 section 7.3); only a loopback entry may have it, and a loopback entry without a port means the
same. `/*` at the end matches one more path segment; in a loopback entry it matches every path below and every query.
FastMCP 4.2's own patterns ignore query and fragment, let an entry without a path match every path, and accept control
characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from m365_mcp.errors import Filled
from m365_mcp.loopback import is_loopback
from m365_mcp.urls import DEFAULT_PORTS, decode_segment, normal_query, read_authority

# Control characters, space and backslash: `urlsplit` drops some of them, and browsers read them differently.
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
_ANY_PORT = re.compile(r"^([^/?#]+://[^/?#]*):\*(?=[/?]|$)")
# A browser opens these itself; FastMCP 4.2 refuses the same.
OPENED_BY_BROWSERS = frozenset({"javascript", "data", "file", "vbscript"})
_FULL_URI_ADVICE = "every entry must be a full redirect URI, for example https://app.example.com/callback"


@dataclass(frozen=True)
class RedirectUri:
    """A redirect URI in its normal form; hosts, ports and segments of the path are those of `urls`.

    Attributes:
        scheme: the scheme in lower case.
        host: the host, without brackets; None: the URI has no authority (`com.example.app:/callback`).
        port: the port, also when it is the default of http or https; None: an app's own scheme has none.
        path: the decoded path. Its slashes count: `/callback/` is another path than `/callback`.
        query: the query.
    """

    scheme: str
    host: str | None
    port: int | None
    path: str
    query: str

    @classmethod
    def read(cls, uri: str) -> RedirectUri:
        """Return the normal form of a URI. Raises ValueError with the reason why no client can be redirected to it."""
        parts = _split(uri)
        host, port = _read_host(parts) if parts.netloc else (None, None)
        if host is None:
            _require_private_use(parts)
        elif parts.scheme == "http" and not _may_have_http(host):
            raise ValueError("only a loopback address may have http://, every other address has https://")
        path = "/".join(map(decode_segment, parts.path.split("/"))) or "/"
        return cls(parts.scheme, host, port or DEFAULT_PORTS.get(parts.scheme), path, normal_query(parts.query))


@dataclass(frozen=True)
class RedirectPattern:
    """One entry of a list of redirect URIs.

    Attributes:
        uri: what is required. Its path is the required start of the path if `is_folder`.
        has_any_port: whether every port matches.
        is_folder: whether the path only has to start with `uri.path`.
    """

    uri: RedirectUri
    has_any_port: bool
    is_folder: bool

    @classmethod
    def parse(cls, entry: str) -> RedirectPattern:
        """Return the pattern for an entry. Raises ValueError with the reason why the entry is not valid."""
        written, wildcards = _ANY_PORT.subn(r"\1", entry)
        try:
            uri = RedirectUri.read(written)
        except ValueError as reason:
            both = {"advice": Filled(_FULL_URI_ADVICE), "reason": Filled(str(reason))}
            raise ValueError(Filled("%(advice)s (%(reason)s)", **both)) from None
        if wildcards and not is_loopback(uri.host):
            raise ValueError("only a loopback address may have any port (:*)")
        parts = urlsplit(written)
        is_folder = parts.path.endswith("/*")
        if "*" in (parts.path.removesuffix("*") if is_folder else parts.path):
            raise ValueError("* may only stand for the whole last segment of a path; a star itself is written %2A")
        if is_folder and uri.query:
            raise ValueError("what ends in /* has no query")
        if is_folder:
            uri = replace(uri, path=uri.path.removesuffix("*"))
        return cls(uri, is_loopback(uri.host) and parts.port is None, is_folder)

    def on_any_loopback_port(self) -> RedirectPattern:
        """Return the pattern, for every port if the host is loopback: a client chooses a new port at every sign-in."""
        return replace(self, has_any_port=True) if is_loopback(self.uri.host) else self

    def matches(self, wanted: RedirectUri) -> bool:
        """Return whether this entry matches a URI."""
        return (
            (wanted.scheme, wanted.host) == (self.uri.scheme, self.uri.host)
            and (self.has_any_port or wanted.port == self.uri.port)
            and self._matches_path(wanted.path, wanted.query)
        )

    def _matches_path(self, path: str, query: str) -> bool:
        if not self.is_folder:
            return (path, query) == (self.uri.path, self.uri.query)
        if is_loopback(self.uri.host):  # the person's own machine
            return path.startswith(self.uri.path)
        rest = path.removeprefix(self.uri.path)
        return path.startswith(self.uri.path) and bool(rest) and "/" not in rest and not query


def is_allowed(uri: str, patterns: Iterable[RedirectPattern]) -> bool:
    """Return whether `uri` matches one of `patterns`; a URI without a normal form matches none."""
    try:
        wanted = RedirectUri.read(uri)
    except ValueError:
        return False
    return any(pattern.matches(wanted) for pattern in patterns)


def parse_all(entries: Iterable[str]) -> tuple[RedirectPattern, ...]:
    """Return the patterns of unchecked entries, for example a client's, without the invalid ones."""
    return tuple(pattern for pattern in map(_parse_or_none, entries) if pattern is not None)


def _parse_or_none(entry: str) -> RedirectPattern | None:
    try:
        return RedirectPattern.parse(entry)
    except ValueError:
        return None


def _split(uri: str) -> SplitResult:
    if _UNSAFE.search(uri):
        raise ValueError("it has a blank, a control character or a backslash")
    if "#" in uri:
        raise ValueError("it has a fragment (#)")  # RFC 6749 section 3.1.2
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise ValueError("it cannot be read") from None  # Python's words repeat parts of the URI
    if not parts.scheme:
        raise ValueError("it has no scheme such as https://")
    if parts.scheme in OPENED_BY_BROWSERS:
        raise ValueError("a browser opens such an address itself")
    if "@" in parts.netloc:
        raise ValueError("it has a user name")
    return parts


def _read_host(parts: SplitResult) -> tuple[str, int | None]:
    if parts.scheme not in DEFAULT_PORTS and not parts.netloc.isascii():
        raise ValueError("only https and http have hosts with other letters than ASCII")
    host, port = read_authority(parts.netloc)
    if is_loopback(host) and (parts.hostname or "").endswith("."):
        raise ValueError("a loopback address has no final dot")  # see `loopback`
    return host, port


def _require_private_use(parts: SplitResult) -> None:
    """Refuse what is no redirect URI of RFC 8252 section 7.1: no authority, and a domain name as its scheme.

    Section 8.4 has schemes without a period refused, because two apps can have the same.
    """
    if parts.scheme in DEFAULT_PORTS:
        raise ValueError("it has no host")
    if "." not in parts.scheme:
        raise ValueError("a scheme without // is a domain name in reverse, as in com.example.app:/callback")
    if not parts.path.startswith("/"):
        raise ValueError("a slash follows its scheme, as in com.example.app:/callback")


def _may_have_http(host: str) -> bool:
    """Return whether what is sent to the host stays on the machine; only three such hosts may have any port."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return is_loopback(host) or host.endswith(".localhost")
