"""Pure: decides which redirect URIs an MCP client may use, and defines `*` in an entry.

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
from urllib.parse import SplitResult, unquote, urlsplit

from m365_mcp.loopback import is_loopback

# Control characters, space and backslash: `urlsplit` drops some of them, and browsers read them differently.
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
_ANY_PORT = re.compile(r"^([^/?#]+://[^/?#]*):\*(?=[/?]|$)")
_FULL_URI_ADVICE = "every entry must be a full redirect URI, for example https://app.example.com/callback"


@dataclass(frozen=True)
class RedirectPattern:
    """One entry of a list of redirect URIs.

    Attributes:
        scheme: the required scheme.
        host: the required host, without brackets; None: the URI has no authority (`com.example.app:/callback`).
        port: the required port; None: no port in the URI.
        path: the required path, or the required start of the path if `is_folder`.
        query: the required query.
        has_any_port: whether every port matches.
        is_folder: whether the path only has to start with `path`.
    """

    scheme: str
    host: str | None
    port: int | None
    path: str
    query: str
    has_any_port: bool
    is_folder: bool

    @classmethod
    def parse(cls, entry: str) -> RedirectPattern:
        """Return the pattern for an entry. Raises ValueError with the reason why the entry is not valid."""
        without_wildcard, wildcards = _ANY_PORT.subn(r"\1", entry)
        parts = _split(without_wildcard)
        if parts is None or not (parts.hostname or _is_private_use(parts)) or "*" in parts.netloc:
            raise ValueError(_FULL_URI_ADVICE)
        local = is_loopback(parts.hostname)
        if wildcards and not local:
            raise ValueError("only a loopback address may have any port (:*)")
        is_folder = parts.path.endswith("/*")
        path = parts.path.removesuffix("*") if is_folder else parts.path or "/"
        if "*" in path:
            raise ValueError("* may only stand for the whole last segment of a path")
        any_port = local and parts.port is None
        return cls(parts.scheme, parts.hostname or None, parts.port, path, parts.query, any_port, is_folder)

    def on_any_loopback_port(self) -> RedirectPattern:
        """Return the pattern, for every port if the host is loopback: a client chooses a new port at every sign-in."""
        return replace(self, has_any_port=True) if is_loopback(self.host) else self

    def matches(self, wanted: SplitResult) -> bool:
        """Return whether this entry matches a URI that `_split` has parsed."""
        return (
            (wanted.scheme, wanted.hostname or None) == (self.scheme, self.host)
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
    """Return whether `uri` matches one of `patterns`; a URI that `_split` refuses matches none."""
    wanted = _split(uri)
    if wanted is None or _has_dot_segments(wanted.path):
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


def _split(uri: str) -> SplitResult | None:
    """Return the parts of a URI, or None if it is ambiguous, or has an invalid port, a fragment or a user name."""
    if _UNSAFE.search(uri) or "#" in uri:
        return None
    try:
        parts = urlsplit(uri)
        is_usable = parts.port is None or parts.port > 0
    except ValueError:
        return None
    return parts if is_usable and parts.username is None and parts.password is None and parts.scheme else None


def _is_private_use(parts: SplitResult) -> bool:
    """Return whether this is a redirect URI of RFC 8252 section 7.1: no authority, and a domain name as its scheme.

    Section 8.4 has schemes without a period refused, because two apps can have the same.
    """
    return not parts.netloc and "." in parts.scheme and parts.path.startswith("/")


def _has_dot_segments(path: str) -> bool:
    return any(segment in (".", "..") for form in (path, unquote(path)) for segment in form.split("/"))
