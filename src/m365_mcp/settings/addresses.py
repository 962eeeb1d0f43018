"""The rules for URLs, hosts and origins in settings: each function returns the normal form, or raises ValueError.

`m365_mcp.urls` defines the normal form.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from m365_mcp.errors import Filled
from m365_mcp.loopback import is_loopback
from m365_mcp.urls import NormalUrl, normal_host, normal_origin, read_authority, read_url


def _read(url: str, example: str) -> NormalUrl:
    if "?" in url or "#" in url or "@" in url:
        raise ValueError("must not have a query, a fragment or a user name")
    try:
        return read_url(url)
    except ValueError as reason:
        form = "must be a full URL such as %(example)s (%(reason)s)"
        raise ValueError(Filled(form, example=example, reason=Filled(str(reason)))) from None


def check_public_url(value: str) -> str:
    """Return the public URL in its normal form."""
    url = _read(value, "https://mcp.example.com")
    # RFC 8414 section 2: an issuer is https; loopback is the accepted exception for development.
    if url.scheme != "https" and not is_loopback(url.host):
        raise ValueError("must begin with https://, or with http:// when the host is localhost")
    return str(url)


def check_passkey_host(public_url: str) -> None:
    """Check that browsers can bind passkeys to the host of the public URL (WebAuthn level 3, "RP ID")."""
    url = read_url(public_url)
    if ":" in url.host or url.host.replace(".", "").isdecimal():
        raise ValueError(
            "must not be passkey while MCP_SERVER_BASE_URL has an IP address; browsers bind passkeys to a host name"
        )


def check_authority(value: str) -> str:
    """Return Entra ID's address."""
    url = _read(value, "https://login.microsoftonline.com")
    if url.scheme != "https":
        raise ValueError("must begin with https://")
    if url.path:
        raise ValueError("must be only scheme, host and port; the server adds the tenant")
    return str(url)


def check_graph(value: str) -> str:
    """Return Graph's address without version."""
    url = _read(value, "https://graph.microsoft.com")
    if url.scheme != "https" and not is_loopback(url.host):
        raise ValueError("must begin with https://, because the server sends tokens to it")
    return str(url).removesuffix("/v1.0")


def check_hosts(value: tuple[str, ...]) -> tuple[str, ...]:
    """Return host names and addresses in their normal form."""
    try:
        return tuple(map(normal_host, value))
    except ValueError as reason:
        form = "every entry must be a host name without scheme and port, such as inner.example.com (%(reason)s)"
        raise ValueError(Filled(form, reason=Filled(str(reason)))) from None


def check_origins(value: tuple[str, ...]) -> tuple[str, ...]:
    """Return origins in their normal form."""
    try:
        return tuple(map(normal_origin, value))
    except ValueError as reason:
        form = (
            "every entry must be an origin such as https://inspector.example.com or app://obsidian.md, without a path "
            "(%(reason)s)"
        )
        raise ValueError(Filled(form, reason=Filled(str(reason)))) from None


def check_host(value: str) -> str:
    """Return an address, which may have a zone if it is a link-local one, or a host name."""
    try:
        return str(ip_address(value))
    except ValueError:
        return normal_host(value)


def check_listening_host(value: str) -> str:
    """Return an address or a host name to listen on, without the brackets of a URL."""
    try:
        return check_host(value)
    except ValueError:
        raise ValueError(
            "must be an address or a host name of this machine: 0.0.0.0 for IPv4, :: for IPv4 and IPv6"
        ) from None


def check_hosts_and_ports(value: tuple[str, ...]) -> tuple[str, ...]:
    """Return hosts in their normal form, each with its port if it has one, and an IPv6 address in brackets."""
    return tuple(map(_read_host_and_port, value))


def _read_host_and_port(entry: str) -> str:
    try:
        host, port = read_authority(entry)
    except ValueError as reason:
        form = "every entry must be a host, or a host and a port, such as clients.example.com:8443 (%(reason)s)"
        raise ValueError(Filled(form, reason=Filled(str(reason)))) from None
    host = f"[{host}]" if ":" in host else host
    return host if port is None else f"{host}:{port}"


def check_networks(value: tuple[str, ...]) -> tuple[str, ...]:
    """Return addresses and networks as networks (CIDR)."""
    try:
        networks = tuple(map(ip_network, value))
    except ValueError:
        raise ValueError(_NO_NETWORK) from None
    if any("%" in entry for entry in value):
        raise ValueError(_NO_NETWORK)
    if any(network.prefixlen == 0 for network in networks):
        raise ValueError("must name your proxies only; behind 0.0.0.0/0 or ::/0, every client could choose its address")
    return tuple(map(str, networks))


_NO_NETWORK = (
    "every entry must be an address or a network such as 10.244.0.0/16, without a zone or bits behind its length"
)
