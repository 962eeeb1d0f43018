"""A signed-in person's mailbox whose Graph is a function of this process."""

from __future__ import annotations

from collections.abc import Callable

import httpx2

from m365_mcp.graph.client import GraphClient
from m365_mcp.graph.mailbox import Mailbox, TokenSource
from m365_mcp.metrics import Metrics

Graph = Callable[[httpx2.Request], httpx2.Response]


async def _token() -> str:
    return "token"


async def _renewed(_: tuple[str, ...], __: str | None) -> tuple[str, float]:
    return "another-token", 0.0


async def _ended() -> None:
    return


def mailbox_over(graph: Graph) -> Mailbox:
    """Return a mailbox that asks `graph`."""
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(graph))
    client = GraphClient("https://graph.microsoft.com", http, Metrics())
    return Mailbox(client, TokenSource(get=_token, renew=_renewed, end_sign_in=_ended))
