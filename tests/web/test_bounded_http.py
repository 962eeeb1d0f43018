"""The limits of one connection, over real sockets: how large a request may be, and how long it may take."""

from __future__ import annotations

import asyncio
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

pytestmark = pytest.mark.full

USUAL = HttpLimits()
GET = b"GET /hello HTTP/1.1\r\nHost: a\r\n"
SHORT = replace(USUAL, head_seconds=0.5, body_seconds=0.5, unread_seconds=0.5, discard_seconds=0.5)


class Application:
    """Answers with the size of the body, or with a large page; keeps what it was told."""

    def __init__(self) -> None:
        self.headers: list[list[tuple[str, str]]] = []
        self.clients: list[str | None] = []
        self.arrived, self.released = threading.Semaphore(0), threading.Semaphore(0)
        self.disconnects = threading.Semaphore(0)

    def starlette(self) -> Starlette:
        paths = ("/hello", "/unread", "/large", "/waiting", "/upload/link")
        return Starlette(routes=[Route(path, self._respond, methods=["GET", "POST", "PUT"]) for path in paths])

    async def _respond(self, request: Request) -> Response:
        self.headers.append(list(request.headers.items()))
        self.clients.append(request.client and request.client.host)
        if request.url.path == "/unread":
            return Response(b"refused", 401)
        if request.url.path == "/large":
            return Response(b"x" * int(request.url.query))
        if request.url.path == "/waiting":
            self.arrived.release()
            await asyncio.to_thread(self.released.acquire, timeout=PATIENCE_SECONDS)
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
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # what the kernel keeps for a client
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
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(PATIENCE_SECONDS)
        connection.connect(("127.0.0.1", port))
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
        pytest.param(b"POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ", id="trailer"),
        pytest.param(b"POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a=", id="extension"),
    ],
)
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.sample(4)
def test_h9_nothing_is_kept_of_a_request_that_never_ends(application: Application, begin: bytes, number: int) -> None:
    """The part of a head, of a trailer or of a chunk's extension that is too large is not stored."""
    limits = replace(USUAL, discard_seconds=PATIENCE_SECONDS)
    with serving(application, limits) as port, connected(port) as connection:
        if number == 2:
            connection.sendall(GET + b"\r\n")
            assert connection.recv(1_000).startswith(b"HTTP/1.1 200 ")
        connection.sendall(begin + b"a" * 1_000)
        tracemalloc.start()
        try:
            for _ in range(32):
                connection.sendall(b"a" * 1_000_000)
            connection.shutdown(socket.SHUT_WR)
            answer = read_all(connection)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert b" 4" in answer, answer[:200]
    assert peak < 8_000_000, f"{peak:,} bytes of 32,000,000"


def test_h9_more_fields_than_allowed_are_431(application: Application) -> None:
    """Many tiny header fields use much more memory than their bytes, so their number is limited, too."""
    fields = b"a:\r\n" * USUAL.fields  # and Host
    with serving(application, USUAL) as port:
        assert ask(port, GET + fields + b"\r\n").startswith(b"HTTP/1.1 431 ")

    assert application.headers == []


def test_h9_trailers_are_no_header_fields(application: Application) -> None:
    """What follows a chunked body is dropped, and cannot pass for a header field."""
    request = b"POST /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serving(application, USUAL) as port:
        answer = ask(port, request + b"3\r\nabc\r\n0\r\nAuthorization: Bearer x\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\n3")
    assert "authorization" not in dict(application.headers[0])


@pytest.mark.parametrize("separator", [b"\r\n", b"\r\nX: y\r\n"])
@pytest.mark.parametrize("second", [b"Host: b", b"host: a"])
def test_h21_second_host_is_400(application: Application, separator: bytes, second: bytes) -> None:
    """A request with several Host headers is refused, also when they are equal (RFC 9112 section 3.2)."""
    with serving(application, USUAL) as port:
        answer = ask(port, b"GET /hello HTTP/1.1\r\nHost: a" + separator + second + b"\r\n\r\n" + GET + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.count(b"HTTP/1.1") == 1
    assert application.headers == []


@pytest.mark.parametrize("begin", [b"G", GET, GET + b"X: y", b"\r\n"])
def test_h9_head_that_takes_too_long_is_408(application: Application, begin: bytes) -> None:
    """A client that begins a request and does not end its head is told so, and its connection ends."""
    with serving(application, replace(SHORT, discard_seconds=2 * PATIENCE_SECONDS)) as port:
        answer = ask(port, begin)

    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"connection: close\r\n" in answer


def test_h9_trickling_head_is_408(application: Application) -> None:
    """Bytes now and then prolong nothing."""
    with serving(application, SHORT) as port, connected(port) as connection:
        ended = threading.Event()
        trickle = threading.Thread(target=_trickle, args=(connection, ended))
        connection.sendall(GET + b"X: ")
        trickle.start()
        answer = connection.recv(1_000)
        ended.set()
        trickle.join()

    assert answer.startswith(b"HTTP/1.1 408 ")


def _trickle(connection: socket.socket, ended: threading.Event) -> None:
    """Send a byte now and then, until the server has had enough."""
    while not ended.wait(0.02):
        try:
            connection.sendall(b"a")
        except OSError:
            return


@pytest.mark.parametrize("before", [b"", GET + b"\r\n"])
def test_h9_connection_without_a_request_is_closed(application: Application, before: bytes) -> None:
    """A connection ends without a word when no request comes, at first or after another one."""
    with serving(application, replace(SHORT, idle_seconds=0)) as port:
        answer = ask(port, before)

    assert answer.count(b"HTTP/1.1") == (1 if before else 0)


@pytest.mark.parametrize("header", [b"Content-Length: 1000", b"Transfer-Encoding: chunked", b"Expect: 100-continue"])
@pytest.mark.parametrize("begin", [b"", b"1\r\n"])
def test_h9_body_that_takes_too_long_is_408(application: Application, header: bytes, begin: bytes) -> None:
    """A client that does not end its body is told so, and the application is rid of the request."""
    length = b"" if header.startswith(b"T") else b"Content-Length: 1000\r\n"
    head = b"POST /hello HTTP/1.1\r\nHost: a\r\n" + (b"" if length.startswith(header) else length) + header
    with serving(application, SHORT) as port:
        answer = ask(port, head + b"\r\n\r\n" + begin)
        assert application.disconnects.acquire(timeout=PATIENCE_SECONDS)

    assert answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").startswith(b"HTTP/1.1 408 ")
    assert answer.count(b"HTTP/1.1") <= 2


def test_h9_body_at_the_lowest_rate_is_served(application: Application) -> None:
    """Every part prolongs the time, so a large body may take longer than the time without a byte."""
    limits = replace(SHORT, body_bytes_per_second=100.0)
    request = b"POST /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 20001\r\n\r\n"
    with serving(application, limits) as port, connected(port) as connection:
        connection.sendall(request + b"a" * 20_000)  # 200 seconds
        late = ask(port, request)  # while this one ends, the time of the other would be over, too
        connection.sendall(b"a")
        answer = read_all(connection)

    assert late.startswith(b"HTTP/1.1 408 ")
    assert answer.endswith(b"\r\n\r\n20001")


def test_h9_upload_has_a_time_limit_of_its_own(application: Application) -> None:
    """The body of an upload may pause longer; the receiver of uploads limits it."""
    request = b"PUT %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\na"
    with serving(application, SHORT) as port, connected(port) as connection:
        connection.sendall(request % b"/upload/link")
        late = [ask(port, request % b"/hello") for _ in range(3)]
        connection.sendall(b"b")
        answer = read_all(connection)

    assert all(one.startswith(b"HTTP/1.1 408 ") for one in late)
    assert answer.endswith(b"\r\n\r\n2")


@pytest.mark.parametrize("body", [b"", b"a" * 999])
def test_h9_body_that_nobody_reads_has_a_time_limit(application: Application, body: bytes) -> None:
    """A refused request, whose body the application does not read, cannot hold its connection with it."""
    with serving(application, SHORT) as port:
        answer = ask(port, b"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + body)

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert answer.count(b"HTTP/1.1") == 1


def test_h9_body_that_nobody_reads_and_that_ends_leaves_no_connection(application: Application) -> None:
    """The time until the next request is limited when the body ends after the response, too."""
    with serving(application, SHORT) as port, connected(port) as connection:
        connection.sendall(b"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na")
        assert connection.recv(1_000).startswith(b"HTTP/1.1 401 ")
        connection.sendall(b"b")

        assert read_all(connection).count(b"HTTP/1.1") == 0


@pytest.mark.parametrize("size", [60_000, 50_000_000])  # less and more than what makes the application wait
@pytest.mark.parametrize("close", [b"", b"Connection: close\r\n"])
def test_h9_response_that_is_not_read_is_dropped(application: Application, close: bytes, size: int) -> None:
    """A client that does not read what it asked for loses its connection, and the rest of the response."""
    with serving(application, SHORT) as port, connected(port) as connection:
        connection.sendall(b"GET /large?%d HTTP/1.1\r\nHost: a\r\n" % size + close + b"\r\n")
        assert connection.recv(1) == b"H"
        other = ask(port, GET)  # takes as long as the limit

        assert len(read_all(connection)) < size
    assert other.startswith(b"HTTP/1.1 408 ")


def test_h9_pipelined_requests_are_limited(application: Application) -> None:
    """Requests on one connection are answered in order up to the limit, and then the connection ends."""
    with serving(application, replace(USUAL, idle_seconds=2 * int(PATIENCE_SECONDS))) as port:
        answer = ask(port, (GET + b"\r\n") * 500)

    assert answer.count(b"HTTP/1.1 200 OK") == len(application.headers) == USUAL.queued + 1


def test_h9_oldest_incomplete_request_makes_room(application: Application) -> None:
    """When there are too many connections, the one that has waited longest is closed, and no answered one."""
    limits = replace(USUAL, connections=4)
    with serving(application, limits) as port, connected(port) as upload, connected(port) as waiting:
        upload.sendall(b"PUT /upload/link HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\na")
        waiting.sendall(b"GET /waiting HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert application.arrived.acquire(timeout=PATIENCE_SECONDS)
        with connected(port) as first, connected(port) as second:
            first.sendall(GET)
            second.sendall(GET)
            for _ in range(5):
                assert ask(port, GET + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200 ")

            assert read_all(first) == b""
            second.sendall(b"Connection: close\r\n\r\n")
            assert read_all(second).startswith(b"HTTP/1.1 200 ")
        upload.sendall(b"b")
        assert read_all(upload).endswith(b"\r\n\r\n2")
        application.released.release()
        assert read_all(waiting).startswith(b"HTTP/1.1 200 ")


def test_h9_idle_connection_makes_room(application: Application) -> None:
    """A connection between two requests is closed for a new one, too."""
    limits = replace(USUAL, connections=1, idle_seconds=2 * int(PATIENCE_SECONDS))
    with serving(application, limits) as port, connected(port) as idle:
        idle.sendall(GET + b"\r\n")
        assert idle.recv(1_000).startswith(b"HTTP/1.1 200 ")

        assert ask(port, GET + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        assert read_all(idle).count(b"HTTP/1.1") == 0


def test_websockets_are_not_served(application: Application) -> None:
    """A request for another protocol is answered as if it had not asked for it."""
    upgrade = b"Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    with serving(application, USUAL) as port:
        answer = ask(port, GET + upgrade + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 200 ")


def test_h9_variable_of_uvicorn_decides_nothing(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """uvicorn believes X-Forwarded-For from nobody; the application does, as MCP_TRUSTED_PROXIES says."""
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    with serving(application, USUAL) as port:
        ask(port, GET + b"Connection: close\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n")

    assert application.clients == ["127.0.0.1"]
