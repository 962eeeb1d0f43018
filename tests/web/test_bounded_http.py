"""The limits of one connection, over real sockets: how large a request may be, and how long it may take."""

from __future__ import annotations

import socket
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from m365_mcp.web.bounded_http import HttpLimits
from m365_mcp.web.health import Readiness
from m365_mcp.web.serving import Server, configure
from tests.e2e.programs import PATIENCE_SECONDS

USUAL = HttpLimits()
GET = b"GET /hello HTTP/1.1\r\nHost: a\r\n"
SHORT = replace(USUAL, head_seconds=0.2, body_seconds=0.2, unread_seconds=0.2, discard_seconds=0.2)


class Application:
    """Answers with the size of the body, or with a large page; keeps what it was told."""

    def __init__(self) -> None:
        self.headers: list[list[tuple[str, str]]] = []
        self.disconnects = threading.Semaphore(0)

    def starlette(self) -> Starlette:
        paths = ("/hello", "/unread", "/large", "/upload/link")
        return Starlette(routes=[Route(path, self._respond, methods=["GET", "POST", "PUT"]) for path in paths])

    async def _respond(self, request: Request) -> Response:
        self.headers.append(list(request.headers.items()))
        if request.url.path == "/unread":
            return Response(b"refused", 401)
        if request.url.path == "/large":
            return Response(b"x" * 50_000_000)
        try:
            return Response(str(len(await request.body())))
        except ClientDisconnect:
            self.disconnects.release()
            return Response(b"nobody reads this")


@pytest.fixture
def application() -> Application:
    return Application()


@contextmanager
def serving(application: Application, limits: HttpLimits) -> Iterator[int]:
    """Serve with these limits, as the command does, in a thread; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = configure(application.starlette(), host="127.0.0.1", port=0, limits=limits)
        server = Server(config, Readiness(()), 0)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as connection:
        yield connection


def read_all(connection: socket.socket) -> bytes:
    """Return what the server sends until it closes the connection."""
    received = bytearray()
    while part := connection.recv(1_000_000):
        received += part
    return bytes(received)


def ask(port: int, request: bytes) -> bytes:
    """Send a request and return what comes until the connection ends."""
    with connected(port) as connection:
        connection.sendall(request)
        return read_all(connection)


def head_of(size: int, *, fields: int = 1) -> bytes:
    """Return a request without body whose header fields fill it up to `size` bytes, as the limit counts."""
    close = b"Connection: close\r\n"
    room = size - len("/hello") - len(b"Host: a\r\n") - len(close)
    each = room // fields - len("X: \r\n")
    first = room - fields * len("X: \r\n") - each * (fields - 1)
    lines = b"X: %b\r\n" % (b"a" * first) + b"X: %b\r\n" % (b"a" * each) * (fields - 1)
    return GET + close + lines + b"\r\n"


@pytest.mark.parametrize("fields", [1, 150])
def test_h9_head_at_the_limit_is_served_and_one_byte_more_is_431(application: Application, fields: int) -> None:
    """Request line and header fields may have 64 KB together, in one field or in many."""
    with serving(application, USUAL) as port:
        fits = ask(port, head_of(USUAL.head_bytes, fields=fields))
        too_large = ask(port, head_of(USUAL.head_bytes + 1, fields=fields))

    assert fits.startswith(b"HTTP/1.1 200 OK\r\n")
    assert too_large.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert b"connection: close\r\n" in too_large
    assert b'"request_header_fields_too_large"' in too_large
    assert len(application.headers) == 1


@pytest.mark.parametrize(
    "begin",
    [
        pytest.param(GET + b"X: ", id="one value"),
        pytest.param(GET, id="one name"),
        pytest.param(b"GET /", id="target"),
        pytest.param(b"", id="method"),
        pytest.param(GET + b"\r\n" + GET + b"X: ", id="second request"),
        pytest.param(b"POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ", id="trailer"),
        pytest.param(b"POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a=", id="extension"),
    ],
)
def test_h9_nothing_is_kept_of_a_request_that_never_ends(application: Application, begin: bytes) -> None:
    """The part of a head, of a trailer or of a chunk's extension that is too large is not stored."""
    limits = replace(USUAL, discard_seconds=PATIENCE_SECONDS)
    with serving(application, limits) as port, connected(port) as connection:
        connection.sendall(begin + b"a" * 1_000)
        tracemalloc.start()
        try:
            for _ in range(64):
                connection.sendall(b"a" * 1_000_000)
            connection.shutdown(socket.SHUT_WR)
            answer = read_all(connection)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert b" 4" in answer, answer[:200]
    assert peak < 8_000_000, f"{peak:,} bytes of 64,000,000"
