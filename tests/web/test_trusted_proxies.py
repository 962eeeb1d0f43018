"""Whom `X-Forwarded-For` is believed from, and which of its entries is the client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.types import Message

from m365_mcp import settings
from m365_mcp.app import assemble
from m365_mcp.container import build_container
from m365_mcp.web.client_address import ClientAddresses
from tests.ids import IDS

PROXY = "10.244.3.4"
PROXIES = "10.244.0.0/16, 192.0.2.7,fd00:1::/32"
CLIENT = "9.9.9.9"


class Edge:
    """The whole application behind proxies; a request is looked at when the edge has let it pass."""

    def __init__(self, proxies: str) -> None:
        self.container = build_container(settings.load(**IDS, redis_url="memory://", mcp_trusted_proxies=proxies))
        self._application = assemble(self.container)

    async def pass_on(self, peer: str, *fields: tuple[str, str]) -> dict[str, Any]:
        """Return a request of `peer` with these header fields as the application has it."""
        headers = [(b"host", b"localhost"), *((name.lower().encode(), value.encode()) for name, value in fields)]
        scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/livez", "query_string": b""}
        scope |= {"headers": headers, "client": (peer, 40123), "scheme": "http", "http_version": "1.1"}

        async def receive() -> Message:
            return {"type": "http.request"}

        async def send(message: Message) -> None:
            assert message.get("status", 200) == 200

        await self._application(scope, receive, send)
        return scope


@asynccontextmanager
async def edge(proxies: str = PROXIES) -> AsyncIterator[Edge]:
    """Run an application with these MCP_TRUSTED_PROXIES."""
    opened = Edge(proxies)
    yield opened
    await opened.container.close()


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        (CLIENT, CLIENT),
        (f"{CLIENT}:51234", CLIENT),
        ("2606:4700::1", "2606:4700::1"),
        ("[2606:4700::1]", "2606:4700::1"),
        ("[2606:4700::1]:51234", "2606:4700::1"),
        (f"8.8.8.8, {CLIENT}", CLIENT),
        (f"127.0.0.1, {CLIENT}", CLIENT),
        (f"{PROXY}, {CLIENT}", CLIENT),
        (f"8.8.8.8, {CLIENT}, 10.244.9.9,192.0.2.7", CLIENT),
        (f"garbage, {CLIENT}", CLIENT),
        ("8.8.8.8, 192.168.1.1", "192.168.1.1"),
    ],
)
async def test_h9_client_is_whom_a_trusted_proxy_names(forwarded: str, client: str) -> None:
    """Behind MCP_TRUSTED_PROXIES it is the last entry that is no proxy, so an invented first entry is no use."""
    async with edge() as opened:
        for peer in (PROXY, "192.0.2.7", "fd00:1::9", f"::ffff:{PROXY}", "::ffff:192.0.2.7"):
            scope = await opened.pass_on(peer, ("X-Forwarded-For", forwarded), ("X-Forwarded-Proto", "https"))

            assert scope["client"][0] == client, peer


@pytest.mark.parametrize("proxies", [PROXIES, ""])
async def test_h9_headers_of_others_are_not_believed(proxies: str) -> None:
    """Whoever is not listed is the client itself, loopback too."""
    async with edge(proxies) as opened:
        for peer in ("127.0.0.1", "10.245.0.1", "192.0.2.8", "9.9.9.8", "fd00:2::1", "::1"):
            scope = await opened.pass_on(peer, ("X-Forwarded-For", CLIENT), ("X-Forwarded-Proto", "https"))

            assert (scope["client"], scope["scheme"]) == ((peer, 40123), "http")


@pytest.mark.parametrize("forwarded", ["", " ", ",", "unknown", f"{CLIENT},", f"{CLIENT}, unknown", "[::1", PROXY])
async def test_h9_what_names_no_client_counts_for_nobody(forwarded: str) -> None:
    """A proxy's header without a readable address at its end lets no address of the client's choice count."""
    async with edge() as opened:
        scope = await opened.pass_on(PROXY, ("X-Forwarded-For", forwarded))

    assert ClientAddresses(("10.244.0.0/16",)).of(scope) is None


async def test_h9_several_lines_are_one_list() -> None:
    """A proxy that adds a line of its own instead of an entry is understood, too."""
    async with edge() as opened:
        scope = await opened.pass_on(PROXY, ("X-Forwarded-For", "8.8.8.8"), ("X-Forwarded-For", CLIENT))

    assert scope["client"][0] == CLIENT
