"""The client of Graph: how long a request with an effect may take, and what silence means."""

from __future__ import annotations

import asyncio
import inspect
import time

import httpx2
import pytest

from m365_mcp.errors import OutcomeUnknown
from m365_mcp.graph.client import SEND_SECONDS, GraphClient, GraphRequest
from m365_mcp.metrics import Metrics
from m365_mcp.sending.ledger import SendRequest
from tests.sending.test_delivery import ADA, TO, Through, World

SEND = GraphRequest("POST", "/me/sendMail", "token", "sendMail", body=b"{}")


class SilentGraph:
    """Takes every message and never answers."""

    def __init__(self) -> None:
        self.accepted = 0

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        await request.aread()
        self.accepted += 1
        await asyncio.Event().wait()
        raise AssertionError("nobody ends the wait")


async def test_h7_silence_after_the_last_byte_is_unknown_at_the_deadline() -> None:
    """H7: Graph takes the message and never answers: unknown at the deadline; repeats say the same and send nothing."""
    graph, world = SilentGraph(), World()
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(graph))
    client = GraphClient("https://graph.example.com", http, Metrics(), send_seconds=0.2)

    async def send(_: str) -> str:
        return str((await client.act(SEND)).status)

    begun = time.monotonic()
    calls = (world.replica().send(SendRequest(ADA, "hello"), TO, Through(send)) for _ in range(2))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [OutcomeUnknown, OutcomeUnknown]
    assert 0.2 <= time.monotonic() - begun < 10
    assert graph.accepted == 1


async def test_send_may_take_twenty_seconds() -> None:
    """The deadline is the documented one unless a test shortens it; the call is told of its end, not cut off."""
    assert inspect.signature(GraphClient).parameters["send_seconds"].default == SEND_SECONDS == 20

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(SilentGraph()))
    with pytest.raises(OutcomeUnknown):
        await GraphClient("https://graph.example.com", http, Metrics(), send_seconds=0.01).act(SEND)
