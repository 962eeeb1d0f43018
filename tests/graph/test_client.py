"""Requests to Graph over an in-process transport: which are repeated, and what a broken response means."""

from __future__ import annotations

import asyncio
import inspect
import time

import httpx2
import pytest

from m365_mcp.errors import GraphUnavailable, OutcomeUnknown, Throttled
from m365_mcp.graph.client import SEND_SECONDS, GraphClient, GraphRequest
from m365_mcp.graph.drafts import Drafts
from m365_mcp.graph.mailbox import Mailbox, TokenSource
from m365_mcp.metrics import Metrics
from tests.sending.test_delivery import TO, Direct, World, request

SEND = GraphRequest("POST", "/me/sendMail", "token", "sendMail", body=b"{}")


class Graph:
    """A Graph that returns these responses in order, then always the last; an exception breaks the connection."""

    def __init__(self, *responses: int | httpx2.Response | Exception) -> None:
        self.responses = list(responses)
        self.asked: list[str] = []

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.method)
        response = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
        if isinstance(response, Exception):
            raise response
        return httpx2.Response(response) if isinstance(response, int) else response

    def client(self) -> GraphClient:
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(self))
        return GraphClient("https://graph.example.com", http, Metrics())

    def drafts(self) -> Drafts:
        async def get() -> str:
            return "token"

        async def renew(refused: tuple[str, ...], claims: str | None) -> tuple[str, float]:
            raise AssertionError("Graph has refused no token")

        async def end_sign_in() -> None:
            raise AssertionError("the sign-in is good")

        return Drafts(Mailbox(self.client(), TokenSource(get, renew, end_sign_in)))


def waits(status: int, seconds: str) -> httpx2.Response:
    return httpx2.Response(status, headers={"Retry-After": seconds})


@pytest.mark.parametrize("passing", [429, 500, 503, waits(503, "0")])
async def test_read_is_repeated_while_the_fault_may_pass(passing: int | httpx2.Response) -> None:
    """A read that Graph throttles or cannot serve is repeated."""
    graph = Graph(passing, 200)

    assert (await graph.client().get("/me", "token", operation="me")).status == 200
    assert graph.asked == ["GET", "GET"]


@pytest.mark.parametrize("status", [400, 401, 404])
async def test_read_that_is_refused_is_not_repeated(status: int) -> None:
    """A lasting refusal is returned at once."""
    graph = Graph(status, 200)

    assert (await graph.client().get("/me", "token", operation="me")).status == status
    assert graph.asked == ["GET"]


async def test_read_does_not_wait_past_its_deadline() -> None:
    """A Retry-After past the deadline returns the fault without any wait."""
    graph = Graph(waits(503, "9"), 200)

    async with asyncio.timeout(8):
        assert (await graph.client().get("/me", "token", operation="me")).status == 503
    assert graph.asked == ["GET"]


@pytest.mark.parametrize("kind", [httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout])
async def test_send_without_a_connection_is_repeated_once(kind: type[httpx2.HTTPError]) -> None:
    """No byte was sent, so a second mail is impossible; after a second failure nothing was sent."""
    graph = Graph(kind("away"), 202)
    away = Graph(kind("away"))

    assert (await graph.client().act(SEND)).status == 202
    with pytest.raises(GraphUnavailable):
        await away.client().act(SEND)
    assert len(graph.asked) == len(away.asked) == 2


@pytest.mark.parametrize("response", [429, 500, 503, waits(503, "0")])
async def test_send_with_a_response_is_never_repeated(response: int | httpx2.Response) -> None:
    """The client repeats no send that Graph responded to."""
    graph = Graph(response, 202)

    assert (await graph.client().act(SEND)).status != 202
    assert graph.asked == ["POST"]


@pytest.mark.parametrize("kind", [httpx2.ReadTimeout, httpx2.ReadError, httpx2.RemoteProtocolError, httpx2.WriteError])
async def test_send_that_broke_off_is_unknown_and_never_repeated(kind: type[httpx2.HTTPError]) -> None:
    """Graph may have processed the bytes."""
    graph = Graph(kind("broke off"), 202)

    with pytest.raises(OutcomeUnknown):
        await graph.client().act(SEND)
    assert graph.asked == ["POST"]


@pytest.mark.parametrize("lost", [500, 503, httpx2.ReadError("broke off")])
async def test_deletion_of_a_draft_is_repeated_once(lost: int | Exception) -> None:
    """A second deletion does no harm: an unclear one is repeated once, and a second failure is raised."""
    graph = Graph(lost, 204)
    away = Graph(lost)

    await graph.drafts().delete("draft")
    with pytest.raises(GraphUnavailable):
        await away.drafts().delete("draft")
    assert graph.asked == away.asked == ["DELETE", "DELETE"]


async def test_throttled_change_of_a_draft_is_not_repeated() -> None:
    """Graph did not lose the request, and says when to try again."""
    graph = Graph(httpx2.Response(429, headers={"Retry-After": "1"}), 204)

    with pytest.raises(Throttled):
        await graph.drafts().delete("draft")
    assert graph.asked == ["DELETE"]


async def test_sending_of_a_draft_is_never_repeated() -> None:
    """A draft is sent once, like any other message; a lookup tells what became of it."""
    graph = Graph(503, 202)

    with pytest.raises(OutcomeUnknown):
        await graph.drafts().send("draft")
    assert graph.asked == ["POST"]


class SilentGraph:
    """Accepts every message and never responds."""

    def __init__(self) -> None:
        self.accepted = 0

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        await request.aread()
        self.accepted += 1
        await asyncio.Event().wait()
        raise AssertionError("the wait has no end")


async def test_h7_silence_after_the_last_byte_is_unknown_at_the_deadline() -> None:
    """H7: Graph accepts the message and never responds: the outcome is unknown at the deadline; no repeat sends it."""
    graph, world = SilentGraph(), World()
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(graph))
    client = GraphClient("https://graph.example.com", http, Metrics(), send_seconds=0.2)

    async def send(_: str) -> str:
        return str((await client.act(SEND)).status)

    begun = time.monotonic()
    calls = (world.replica().send(request(), TO, Direct(send)) for _ in range(2))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [OutcomeUnknown, OutcomeUnknown]
    assert 0.2 <= time.monotonic() - begun < 10
    assert graph.accepted == 1


async def test_send_may_take_twenty_seconds() -> None:
    """The default deadline is the documented one; at its end the call gets an error."""
    assert inspect.signature(GraphClient).parameters["send_seconds"].default == SEND_SECONDS == 20

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(SilentGraph()))
    with pytest.raises(OutcomeUnknown):
        await GraphClient("https://graph.example.com", http, Metrics(), send_seconds=0.01).act(SEND)
