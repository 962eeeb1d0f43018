"""Pure: which redirect URIs an MCP client may use, and what `*` means in an entry.

An entry is compared part by part and exactly (OAuth 2.1 section 4.1.3). `:*` as the port, which only a loopback entry
may have, stands for every port (RFC 8252 section 7.3); a loopback entry without a port means the same. `/*` at the end
stands for one further segment; at a loopback entry for every path below, and for every query. FastMCP 4.2's own
patterns ignore query and fragment, let an entry without a path match every path, and accept control characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, unquote, urlsplit

from m365_mcp.loopback import is_loopback

# Control characters, space and backslash: `urlsplit` drops some of them, and browsers read them differently.
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
_ANY_PORT = re.compile(r"^([^/?#]+://[^/?#]*):\*(?=[/?]|$)")
_NO_URI = "every entry must be a full redirect URI, for example https://app.example.com/callback"


@dataclass(frozen=True)
class RedirectPattern:
    """One entry of a list of redirect URIs.

    Attributes:
        scheme: as it must be.
        host: as it must be, without brackets.
        port: as it must be; None: the scheme's own.
        path: as it must be, or where it must begin.
        query: as it must be.
        has_any_port: whether every port will do.
        is_folder: whether `path` is where it must begin.
    """

    scheme: str
    host: str
    port: int | None
    path: str
    query: str
    has_any_port: bool
    is_folder: bool

    @classmethod
    def parse(cls, entry: str) -> RedirectPattern:
        """Read an entry. Raises ValueError with the reason why it is none."""
        without_wildcard, wildcards = _ANY_PORT.subn(r"\1", entry)
        parts = _split(without_wildcard)
        if parts is None or not parts.hostname or "*" in parts.netloc:
            raise ValueError(_NO_URI)
        local = is_loopback(parts.hostname)
        if wildcards and not local:
            raise ValueError("only a loopback address may have any port (:*)")
        is_folder = parts.path.endswith("/*")
        path = parts.path.removesuffix("*") if is_folder else parts.path or "/"
        if "*" in path:
            raise ValueError("* may only stand for the whole last segment of a path")
        any_port = local and parts.port is None
        return cls(parts.scheme, parts.hostname, parts.port, path, parts.query, any_port, is_folder)

    def on_any_loopback_port(self) -> RedirectPattern:
        """Return the pattern without its port if it is loopback's: a client chooses a new one at every sign-in."""
        return replace(self, has_any_port=True) if is_loopback(self.host) else self

    def matches(self, wanted: SplitResult) -> bool:
        """Return whether a URI, which `_split` has read, is the one this entry means or one of those."""
        return (
            (wanted.scheme, wanted.hostname) == (self.scheme, self.host)
            and (self.has_any_port or wanted.port == self.port)
            and self._matches_path(wanted.path or "/", wanted.query)
        )

    def _matches_path(self, path: str, query: str) -> bool:
        if not self.is_folder:
            return (path, query) == (self.path, self.query)
        if is_loopback(self.host):  # the person's own machine
            return path.startswith(self.path)
        rest = path.removeprefix(self.path)
        return path.startswith(self.path) and bool(rest) and "/" not in rest and not query


def is_allowed(uri: str, patterns: Iterable[RedirectPattern]) -> bool:
    """Return whether `uri` matches one of `patterns`; what `_split` does not read matches none."""
    wanted = _split(uri)
    if wanted is None or _climbs(wanted.path):
        return False
    return any(pattern.matches(wanted) for pattern in patterns)


def parse_all(entries: Iterable[str]) -> tuple[RedirectPattern, ...]:
    """Read entries that nobody has checked, such as a client's own; one that is no pattern allows nothing."""
    return tuple(pattern for pattern in map(_parse_or_none, entries) if pattern is not None)


def _parse_or_none(entry: str) -> RedirectPattern | None:
    try:
        return RedirectPattern.parse(entry)
    except ValueError:
        return None


def _split(uri: str) -> SplitResult | None:
    """Return the parts of a URI that everybody reads alike, with a usable port, no fragment and no user; or None."""
    if _UNSAFE.search(uri) or "#" in uri:
        return None
    try:
        parts = urlsplit(uri)
        is_usable = parts.port is None or parts.port > 0
    except ValueError:
        return None
    return parts if is_usable and parts.username is None and parts.password is None and parts.scheme else None


def _climbs(path: str) -> bool:
    return any(segment in (".", "..") for form in (path, unquote(path)) for segment in form.split("/"))
