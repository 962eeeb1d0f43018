"""A load generator that costs little beside the servers: raw connections, kept open, each with one request at a time.

A closed loop: a caller sends its next request when the response to the last one is whole.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from benchmarks.stand_in import header

PATIENCE_SECONDS = 600.0  # for every person's first response


@dataclass(frozen=True)
class Request:
    """The bytes of a request, and what must stand in a good response."""

    raw: bytes
    expects: bytes = b""


NextRequest = Callable[[int], Request]
"""Returns the next request of the caller with this number."""


@dataclass
class Answers:
    """What came back.

    Attributes:
        seconds: from request to response, of each good one.
        ended: when each of them ended, in seconds since the beginning of the measurement.
        errors: the others, by kind.
    """

    seconds: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


class Load:
    """Callers that keep calling.

    Args:
        ports: where they connect to, on 127.0.0.1, in turns.
        callers: how many there are.
        next_request: what a caller sends next.
    """

    def __init__(self, ports: list[int], callers: int, next_request: NextRequest) -> None:
        self.answers = Answers()
        self.began = 0.0
        self.is_counting = self.is_over = False
        self.total = 0  # responses so far, good or not, counted or not
        self.next_request = next_request
        self._ports = ports
        self._callers = [_Caller(self, number) for number in range(callers)]

    def port(self, turn: int) -> int:
        """Return where to connect to."""
        return self._ports[turn % len(self._ports)]

    async def begin(self, seconds: float, responses: int) -> None:
        """Let all callers call for so many seconds, and until so many responses came; nothing is counted yet."""
        gc.collect()
        gc.freeze()
        gc.disable()
        await asyncio.gather(*(caller.connect() for caller in self._callers))
        await asyncio.sleep(seconds)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.total < responses:  # noqa: ASYNC110 - many callers
                await asyncio.sleep(0.1)

    def count(self) -> None:
        """Count from now on."""
        self.began, self.is_counting = time.perf_counter(), True

    async def end(self) -> float:
        """Stop counting, hang up, and return how long was counted."""
        seconds = time.perf_counter() - self.began
        self.is_counting, self.is_over = False, True
        for caller in self._callers:
            caller.hang_up()
        gc.enable()
        gc.unfreeze()
        await asyncio.sleep(0)
        return seconds

    def note(self, problem: str, started: float = 0.0) -> None:
        """Count a response, good when there is no problem with it."""
        self.total += 1
        if not self.is_counting:
            return
        now = time.perf_counter()
        if problem:
            self.answers.errors[problem] += 1
            return
        self.answers.seconds.append(now - started)
        self.answers.ended.append(now - self.began)


class _Caller(asyncio.Protocol):
    def __init__(self, load: Load, number: int) -> None:
        self._load = load
        self._number = self._turn = number
        self._port = 0
        self._received = b""
        self._expects = b""
        self._started = 0.0
        self._transport: asyncio.Transport | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def connect(self) -> None:
        """Connect to whoever is next and listens."""
        while not self._load.is_over:
            self._port = self._load.port(self._turn)
            self._turn += 1
            try:
                await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)
            except OSError:
                self._load.note("connection refused")
                await asyncio.sleep(0.05)
            else:
                return

    def hang_up(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not derived from it
        self._ask()

    def _ask(self) -> None:
        request = self._load.next_request(self._number)
        self._expects, self._received = request.expects, b""
        self._started = time.perf_counter()
        assert self._transport is not None  # noqa: S101 - for the type checker
        self._transport.write(request.raw)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if is_whole(self._received):
            self._load.note(problem_of(self._received, self._expects), self._started)
            if not self._load.is_over:
                self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._load.is_over:
            return
        self._load.note("connection lost", self._started)
        task = asyncio.ensure_future(self.connect())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def is_whole(received: bytes) -> bool:
    """Return whether a response is complete; one in chunks ends with an empty chunk (RFC 9112 section 7.1)."""
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return False
    headers = head.partition(b"\r\n")[2]
    length = header(headers, b"content-length")
    return len(body) >= int(length) if length else body.endswith(b"0\r\n\r\n") or head.startswith(b"HTTP/1.1 204")


def problem_of(response: bytes, expects: bytes) -> str:
    """Return what is wrong with a whole response to a request for a tool or a list; empty when nothing is."""
    if response[9:12] != b"200":
        return f"status {response[9:12].decode('latin-1')}"
    if b'"isError":true' in response:
        return "error of the tool"
    return "" if expects in response else "not what was asked for"
