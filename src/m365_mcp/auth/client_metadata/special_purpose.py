"""Pure: decides whether an address is one that no metadata document of the Internet is at.

The ranges are those of IANA's special-purpose address registries for IPv4 and IPv6 (RFC 6890), whole blocks where the
registry has exceptions, plus multicast. Python's `ipaddress` knows them too, but each version knows others.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

_IPV4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network, RFC 791
        "10.0.0.0/8",  # private use, RFC 1918
        "100.64.0.0/10",  # shared address space, RFC 6598; a cloud's metadata service is at 100.100.100.200
        "127.0.0.0/8",  # loopback, RFC 1122
        "168.63.129.16/32",  # Azure's host: DNS, DHCP and the guest agent; not in the registry
        "169.254.0.0/16",  # link local, RFC 3927; most clouds' metadata services are at 169.254.169.254
        "172.16.0.0/12",  # private use, RFC 1918
        "192.0.0.0/24",  # IETF protocol assignments, RFC 6890; a cloud's metadata service is at 192.0.0.192
        "192.0.2.0/24",  # documentation, RFC 5737
        "192.31.196.0/24",  # AS112, RFC 7535
        "192.52.193.0/24",  # AMT, RFC 7450
        "192.88.99.0/24",  # 6to4 relay anycast, RFC 7526
        "192.168.0.0/16",  # private use, RFC 1918
        "192.175.48.0/24",  # AS112, RFC 7534
        "198.18.0.0/15",  # benchmarking, RFC 2544
        "198.51.100.0/24",  # documentation, RFC 5737
        "203.0.113.0/24",  # documentation, RFC 5737
        "224.0.0.0/4",  # multicast, RFC 5771
        "240.0.0.0/4",  # reserved, RFC 1112, with the broadcast address
    )
)
# IANA has given out global unicast addresses from this block only (RFC 4291 section 2.4). Outside it are loopback,
# IPv4-mapped (::ffff:0:0/96), NAT64 (64:ff9b::/96, 64:ff9b:1::/48), discard-only and dummy (100::/64, 100:0:0:1::/64),
# segment routing (5f00::/16), unique local (fc00::/7), link local (fe80::/10) and multicast (ff00::/8).
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_IPV6 = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # IETF protocol assignments, RFC 2928: Teredo, benchmarking, ORCHID and others
        "2001:db8::/32",  # documentation, RFC 3849
        "2002::/16",  # 6to4, RFC 3056: contains an IPv4 address
        "2620:4f:8000::/48",  # AS112, RFC 7534
        "3fff::/20",  # documentation, RFC 9637
    )
)


def is_special_purpose(address: str) -> bool:
    """Return whether `address`, an IPv4 or IPv6 literal without brackets, is of a special-purpose range."""
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address):
        return parsed not in _GLOBAL_UNICAST or any(parsed in block for block in _IPV6)
    return any(parsed in block for block in _IPV4)
