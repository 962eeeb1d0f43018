"""Pure: decides whether a host is this machine.

Three spellings count, in upper or lower case: the name `localhost` (RFC 6761 section 6.3), and the literals `127.0.0.1`
and `::1` of RFC 8252 section 7.3. A trailing dot, the rest of 127.0.0.0/8, a mapped address and the short forms `127.1`
and `0x7f.1` do not count: programs read them in different ways, and no MCP client uses them.
"""

from __future__ import annotations

HOSTS = ("localhost", "127.0.0.1", "::1")
_ALL = ("0.0.0.0", "::")
NETLOCS = ("localhost", "127.0.0.1", "[::1]")  # as a URL spells them (RFC 3986 section 3.2.2)


def reachable_netloc(host: str) -> str:
    """Return how a URL spells this machine, for a program that listens on `host`: an address, or all of them."""
    if host in _ALL:
        return NETLOCS[1] if host == _ALL[0] else NETLOCS[2]
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str | None) -> bool:
    """Return whether `host`, a name or an address without brackets and port (as from `urlsplit`), is this machine."""
    return host is not None and host.lower() in HOSTS
