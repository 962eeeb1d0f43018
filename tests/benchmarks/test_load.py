"""The load generator: when a response is whole, which are good, and what is counted."""

import asyncio
import json

import pytest

from benchmarks.bench import summary
from benchmarks.contender import CURRENT, HANDSHAKE, Call, call_tool
from benchmarks.load import Answers, Load, Request, is_whole, problem_of
from benchmarks.requests import requests_of
from benchmarks.sign_ins import Tokens
from benchmarks.stand_in import Connection

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
ADA, GRACE = Tokens("ada@contoso.example", "a.b.c"), Tokens("grace@contoso.example", "d.e.f")
URL = "http://localhost:1/mcp"


@pytest.mark.parametrize("whole", [OK, CHUNKED])
def test_response_is_whole_with_its_last_byte(whole: bytes) -> None:
    """With a length or in chunks, no part of it counts as the whole."""
    assert is_whole(whole)
    assert not any(is_whole(whole[:size]) for size in range(len(whole)))


def test_only_what_was_asked_for_is_good() -> None:
    """Another status, a tool's error and another person's profile are errors of a kind."""
    assert problem_of(OK, b"hi") == ""
    assert problem_of(OK, b"ada@") == "not what was asked for"
    assert problem_of(OK.replace(b"200", b"503"), b"") == "status 503"
    assert problem_of(b'HTTP/1.1 200 OK\r\n\r\n{"isError":true}', b"") == "error of the tool"


def test_people_take_turns_unless_each_caller_has_its_own() -> None:
    """The base point asks for the next person each time; the rows of send_mail keep one person to a caller."""
    call = Call("tools/list", expects="{person}")
    in_turns, own = (requests_of(call, [ADA, GRACE], CURRENT, URL, own=own) for own in (False, True))

    assert [in_turns(0).expects for _ in range(3)] == [b"ada@contoso.example", b"grace@contoso.example"] * 1 + [
        b"ada@contoso.example"
    ]
    assert {own(1).expects for _ in range(3)} == {b"grace@contoso.example"}


def test_every_message_differs_and_its_length_is_right() -> None:
    """A repeat would be answered without being sent; the length in the head is that of the body."""
    source = requests_of(call_tool("send_mail", {"subject": "é {number}"}, expects=""), [ADA], CURRENT, URL)
    parts = [source(0).raw.partition(b"\r\n\r\n") for _ in range(3)]

    assert len({json.loads(body)["params"]["arguments"]["subject"] for _, _, body in parts}) == 3
    assert all(f"Content-Length: {len(body)}\r\n".encode() in head for head, _, body in parts)


def test_revisions_differ_as_the_protocol_says() -> None:
    """2026-07-28 names method and tool in headers and the version in the body; 2025-11-25 does neither."""
    call = call_tool("get_my_profile", expects="")
    new, old = (requests_of(call, [ADA], revision, URL)(0).raw for revision in (CURRENT, HANDSHAKE))

    assert b"Mcp-Name: get_my_profile\r\n" in new
    assert b"io.modelcontextprotocol/protocolVersion" in new
    assert b"Mcp-Name" not in old
    assert b"_meta" not in old


def test_figures_are_per_good_response() -> None:
    """Errors count neither in the rate nor in the divisor of the processor time; the halves are apart."""
    answers = Answers(seconds=[0.1, 0.1, 0.3, 0.3], ended=[0.1, 0.2, 1.5, 1.6])
    answers.errors["status 503"] = 4

    found = summary(answers, 2.0, [0.3, 0.1], 0.5)

    assert (found.rate, found.calls, found.beside) == (2.0, 4, 0.25)
    assert found.processor == pytest.approx(0.1)
    assert found.shares == [pytest.approx(0.75), pytest.approx(0.25)]
    assert list(found.halves) == [pytest.approx(0.1), pytest.approx(0.3)]


async def test_caller_goes_on_elsewhere_when_its_server_is_gone() -> None:
    """A lost connection is one error; the caller connects to the next port, and everything after it is good."""
    loop = asyncio.get_running_loop()
    lost = await loop.create_server(lambda: Hanging(), "127.0.0.1", 0)
    good = await loop.create_server(lambda: Connection(0), "127.0.0.1", 0)
    ports = [server.sockets[0].getsockname()[1] for server in (lost, good)]
    load = Load(ports, 1, lambda _: Request(b"GET /v1.0/me HTTP/1.1\r\nAuthorization: Bearer x\r\n\r\n"))
    load.count()
    await load.begin(0, 5)
    await load.end()
    for server in (lost, good):
        server.close()

    assert load.answers.errors["connection lost"] == 1
    assert sum(load.answers.errors.values()) == 1 + load.answers.errors["status 401"]
    assert load.answers.errors["status 401"] >= 4


class Hanging(asyncio.Protocol):
    """A server that hangs up on the first request."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.close()
