"""The address that rate limits count a request by."""

from __future__ import annotations

import pytest
from starlette.types import Scope
from structlog.testing import capture_logs

from m365_mcp.web.client_address import ClientAddresses

PROXIES = ("10.244.0.0/16", "192.0.2.7", "fd00:1::/32")


def scope(client: str | None) -> Scope:
    """Return a request from `client`."""
    return {"type": "http", "client": None if client is None else (client, 40123)}


@pytest.mark.parametrize(
    ("client", "counted"),
    [
        ("9.9.9.9", "9.9.9.9"),
        ("::ffff:9.9.9.9", "9.9.9.9"),
        ("64:ff9b::909:909", "9.9.9.9"),
        ("2606:4700:4700:0:1:2:3:4", "2606:4700:4700::/64"),
        ("2606:4700:4700::5", "2606:4700:4700::/64"),
        ("2606:4700:4700:1::5", "2606:4700:4700:1::/64"),
    ],
)
def test_h9_public_client_counts_by_its_address_or_its_network(client: str, counted: str) -> None:
    """An IPv4 address counts as it is, in every spelling, and an IPv6 address by its /64."""
    assert ClientAddresses(()).of(scope(client)) == counted
    assert ClientAddresses(PROXIES).of(scope(client)) == counted


@pytest.mark.parametrize(
    "peer",
    [
        "127.0.0.1",
        "127.8.8.8",
        "10.1.2.3",
        "172.17.0.1",
        "192.168.1.1",
        "169.254.1.1",
        "100.64.0.9",
        "::1",
        "::ffff:10.0.0.1",
        "fe80::1%eth0",
        "fd12::1",
    ],
)
def test_h9_private_peer_counts_for_nobody_without_trusted_proxies(peer: str) -> None:
    """A private peer is probably a proxy that stands for everybody, so no address is counted; one log line says so."""
    addresses = ClientAddresses(())

    with capture_logs() as logged:
        assert [addresses.of(scope(peer)) for _ in range(3)] == [None] * 3

    assert [line["event"] for line in logged] == ["client_addresses_unknown"]
    assert "MCP_TRUSTED_PROXIES" in logged[0]["advice"]
    assert peer not in str(logged)


@pytest.mark.parametrize(
    ("client", "counted"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("fd12::1", "fd12::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
    ],
)
def test_h9_private_client_behind_a_trusted_proxy_counts(client: str, counted: str) -> None:
    """In a company network, a private address that a trusted proxy names is one client."""
    assert ClientAddresses(PROXIES).of(scope(client)) == counted


@pytest.mark.parametrize("proxy", ["10.244.3.4", "::ffff:10.244.3.4", "192.0.2.7", "fd00:1::9"])
def test_h9_trusted_proxy_that_names_no_client_counts_for_nobody(proxy: str) -> None:
    """The address of the proxy itself stands for everybody; one log line asks for X-Forwarded-For."""
    addresses = ClientAddresses(PROXIES)

    with capture_logs() as logged:
        assert [addresses.of(scope(proxy)) for _ in range(3)] == [None] * 3

    assert [line["event"] for line in logged] == ["proxy_names_no_client"]
    assert "X-Forwarded-For" in logged[0]["advice"]


@pytest.mark.parametrize("client", [None, "", "unknown", "_hidden", "9.9.9.9, 8.8.8.8", "[::1", "9.9.9.999"])
def test_h9_client_without_a_readable_address_counts_for_nobody(client: str | None) -> None:
    """A Unix socket and a word from a proxy are no address to count by."""
    assert ClientAddresses(PROXIES).of(scope(client)) is None
    assert ClientAddresses(()).of(scope(client)) is None
