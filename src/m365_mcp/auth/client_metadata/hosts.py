"""Pure: which URLs can be client ids, and at which hosts and ports documents are fetched.

A URL has one reading here: the pattern below leaves no room for a user name, a backslash, a control character or a
second way to write an address, in which two parsers may differ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from m365_mcp.auth.client_metadata.special_purpose import is_special_purpose
from m365_mcp.loopback import is_loopback

MAX_URL = 2048  # characters
HTTPS_PORT = 443
_URL = re.compile(
    r"https://(?P<host>[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>(?:[/?][!$-;=?-Z_a-z~%\[\]]*)?)"
)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # the WHATWG URL standard, "ends in a number": an IPv4 address


@dataclass(frozen=True)
class Target:
    """The host and the port of a URL.

    Attributes:
        host: in lower case, without a final dot; an IPv6 address without brackets.
        port: the port.
    """

    host: str
    port: int

    @property
    def is_address(self) -> bool:
        """Whether the host is an address and no name."""
        return ":" in self.host or _ends_in_a_number(self.host)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == HTTPS_PORT else f"{host}:{self.port}"


def target_of(url: str) -> Target | None:
    """Return the host and port of an https URL, or None when the URL is not one that is fetched here."""
    match = _URL.fullmatch(url) if len(url) <= MAX_URL else None
    if match is None:
        return None
    host = _read_host(match["host"])
    port = int(match["port"] or HTTPS_PORT)
    return Target(host, port) if host is not None and 0 < port < 65536 else None


def is_client_id_url(url: str) -> bool:
    """Return whether `url` can be a client id: it has a path, and no segment that is one or two dots (section 3)."""
    path = url.partition("://")[2].partition("?")[0].partition("/")[2]
    return bool(path) and not {".", ".."} & set(path.split("/")) and target_of(url) is not None


@dataclass(frozen=True)
class HostRules:
    """Which hosts documents are fetched from: port 443 and no special-purpose address, unless the operator says so.

    Attributes:
        allowed: hosts for which the rule does not hold, each `host` or `host:port`; an IPv6 address is in brackets.
    """

    allowed: tuple[str, ...] = ()

    def lift(self, target: Target) -> bool:
        """Return whether the operator has named this host, with this port or with none."""
        host = f"[{target.host}]" if ":" in target.host else target.host
        return host in self.allowed or f"{host}:{target.port}" in self.allowed

    def refuse(self, target: Target) -> bool:
        """Return whether nothing is fetched there, as far as the URL tells without asking DNS."""
        if self.lift(target):
            return False
        inward = is_special_purpose(target.host) if target.is_address else is_loopback(target.host)
        return inward or target.host.endswith(".localhost") or target.port != HTTPS_PORT


def _read_host(host: str) -> str | None:
    host = host.lower().removesuffix(".")
    try:
        if host.startswith("["):
            return str(IPv6Address(host[1:-1]))
        return str(IPv4Address(host)) if _ends_in_a_number(host) else host or None
    except AddressValueError:  # such as 127.1 or 0x7f.1, which programs read in different ways
        return None


def _ends_in_a_number(host: str) -> bool:
    return _NUMBER.fullmatch(host.rpartition(".")[2]) is not None
