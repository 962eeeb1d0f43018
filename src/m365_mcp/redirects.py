"""Pure: which redirect URIs an MCP client may use.

An entry is compared part by part and exactly (OAuth 2.1 section 4.1.3); only the port and path of a loopback entry
(RFC 8252 section 7.3) or the last path segment may be `*`. FastMCP 4.2's own patterns ignore query and fragment, let
an entry without a path match every path, and accept control characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import SplitResult, unquote, urlsplit

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")  # control characters, space, backslash: browsers read them differently


def is_allowed(uri: str, entries: Iterable[str]) -> bool:
    """Return whether `uri` matches one of `entries`."""
    if _UNSAFE.search(uri) or "#" in uri:
        return False
    try:
        wanted = urlsplit(uri)
        port = wanted.port
    except ValueError:
        return False
    if wanted.username is not None or wanted.password is not None or _climbs(wanted.path):
        return False
    return any(_matches(wanted, port, entry) for entry in entries)


def _climbs(path: str) -> bool:
    return any(segment in (".", "..") for form in (path, unquote(path)) for segment in form.split("/"))


def _matches(wanted: SplitResult, port: int | None, entry: str) -> bool:
    allowed = urlsplit(entry.replace(":*", ""))
    any_port = allowed.hostname in _LOOPBACK and allowed.port is None
    return (
        wanted.scheme == allowed.scheme
        and wanted.hostname == allowed.hostname
        and (any_port or port == allowed.port)
        and _path_matches(wanted, allowed)
    )


def _path_matches(wanted: SplitResult, allowed: SplitResult) -> bool:
    if not allowed.path.endswith("/*"):
        return (wanted.path or "/", wanted.query) == (allowed.path or "/", allowed.query)
    folder = allowed.path.removesuffix("*")
    if allowed.hostname in _LOOPBACK:  # the person's own machine: any path below, and a query
        return (wanted.path or "/").startswith(folder)
    rest = wanted.path.removeprefix(folder)
    return wanted.path.startswith(folder) and bool(rest) and "/" not in rest and not wanted.query
