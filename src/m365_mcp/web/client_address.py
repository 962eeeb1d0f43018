"""Returns the address that rate limits count a request by.

`scope["client"]` is the peer of the connection, or the client that a trusted proxy names in `X-Forwarded-For`. Anybody
can own many IPv6 addresses: networks are assigned as a /64 or larger (RFC 6177), so the /64 counts as one client.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import Scope

from m365_mcp import logs

_SITE_BITS = 64
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052 section 2.1: the last 32 bits are the IPv4 address of the client
_log = logs.get(__name__)


class ClientAddresses:
    """Returns the address to count a request by, or None when the address stands for everybody.

    Args:
        trusted_proxies: networks (CIDR) and addresses of the proxies whose `X-Forwarded-For` is believed.
    """

    def __init__(self, trusted_proxies: tuple[str, ...]) -> None:
        self._proxies = tuple(ip_network(entry) for entry in trusted_proxies)
        self._logged: set[str] = set()

    def of(self, scope: Scope) -> str | None:
        """Return an IPv4 address, or the /64 of an IPv6 address; None when only totals should apply."""
        address = _client(scope)
        if address is None:
            return None
        if any(address in proxy for proxy in self._proxies):
            self._log_once("proxy_names_no_client", "let the proxy send X-Forwarded-For with the client's address")
            return None
        if not self._proxies and not address.is_global:
            # Probably a proxy, whose address is the same for every person.
            self._log_once("client_addresses_unknown", "set MCP_TRUSTED_PROXIES to the addresses of your proxy")
            return None
        return str(address if isinstance(address, IPv4Address) else IPv6Network((int(address), _SITE_BITS), False))

    def _log_once(self, event: str, advice: str) -> None:
        if event not in self._logged:
            self._logged.add(event)
            _log.warning(event, effect="limits for each address do not apply", advice=advice)


def _client(scope: Scope) -> IPv4Address | IPv6Address | None:
    """Return the client's address; an IPv4 address in an IPv6 address as IPv4."""
    host = (scope.get("client") or ("",))[0]
    try:
        address = ip_address(host)
    except ValueError:
        return None  # a Unix socket, or a word such as `unknown` from the proxy
    if isinstance(address, IPv6Address):
        mapped = IPv4Address(address.packed[-4:]) if address in _NAT64 else address.ipv4_mapped
        return mapped or address
    return address


def client_ip(scope: Scope) -> str | None:
    """Return the whole address of the client as text; None when the server does not see one."""
    address = _client(scope)
    return None if address is None else str(address)


def trusted_hosts(trusted_proxies: tuple[str, ...]) -> list[str]:
    """Return the proxies for uvicorn's ProxyHeadersMiddleware, which does not read IPv4 addresses in IPv6 ones."""
    networks = [ip_network(entry) for entry in trusted_proxies]
    mapped = [
        f"::ffff:{network.network_address}/{96 + network.prefixlen}"
        for network in networks
        if isinstance(network, IPv4Network)
    ]
    return [*map(str, networks), *mapped]
