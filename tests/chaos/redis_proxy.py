"""A TCP proxy between servers and Redis that counts what passes, slows it down, cuts connections and calls a hook.

Each owner, for instance a server process, has a port of its own, so that it is known whose command it is. Commands are
passed on one by one and each reply is read in full. Knows Redis, and nothing of our server.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from tests.chaos.resp import read_reply, read_request
from tests.e2e.programs import Redis

UNCOUNTED = frozenset({"HELLO", "AUTH", "SELECT", "CLIENT", "PING"})  # said by a client library on its own account
_BROKEN = (asyncio.IncompleteReadError, OSError)


@dataclass(frozen=True)
class Slowness:
    """How long every command waits, and how much longer a fraction of them."""

    seconds: float = 0.0
    fraction: float = 0.0
    fraction_seconds: float = 0.0


@dataclass(frozen=True)
class Request:
    """A request under way: as it was sent, its number among the owner's (0: not counted), and when it is its turn."""

    raw: bytes
    number: int
    due: float


class Requests(asyncio.Queue[Request | None]):
    """The requests of one connection; those that are sent together, before any reply, are one round trip."""

    unanswered = 0


@dataclass(frozen=True)
class Hook:
    """What to do when an owner's command number `at` (from 1) has been carried out.

    With `when="before"` the reply has not been passed on yet; it is, afterwards, if the owner still listens.
    """

    at: int
    call: Callable[[], None]
    when: Literal["before", "after"] = "before"


class RedisProxy:
    """Stands in front of `redis`; `chance` decides which commands are slow."""

    def __init__(self, redis: Redis, chance: random.Random | None = None) -> None:
        self.slowness = Slowness()
        self.counted: defaultdict[str, list[str]] = defaultdict(list)
        self.round_trips: defaultdict[str, int] = defaultdict(int)
        self._redis = redis
        self._chance = chance or random.Random(4)  # noqa: S311 - repeatable on purpose
        self._hooks: dict[str, Hook] = {}
        self._ports: dict[str, int] = {}
        self._listeners: dict[str, asyncio.Server] = {}
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def url_for(self, owner: str) -> str:
        """Return the address at which this owner reaches Redis; opens the port at the first call."""
        if owner not in self._ports:
            await self._listen(owner)
        return self._redis.url.replace(f":{self._redis.port}/", f":{self._ports[owner]}/")

    def forget(self, owner: str) -> None:
        """Count an owner's commands and round trips from the beginning, without a hook."""
        self.counted[owner].clear()
        self.round_trips[owner] = 0
        self._hooks.pop(owner, None)

    def on_command(self, owner: str, hook: Hook) -> None:
        """Set the owner's hook."""
        self._hooks[owner] = hook

    async def cut(self) -> None:
        """Break every connection."""
        for writer in list(self._open):
            writer.transport.abort()

    async def refuse(self) -> None:
        """Break every connection and refuse new ones until `accept`."""
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()
        await self.cut()

    async def accept(self) -> None:
        """Accept connections again, at the same ports."""
        for owner in self._ports:
            await self._listen(owner)

    async def close(self) -> None:
        """Refuse everything for good, and return once nobody is served any more."""
        await self.refuse()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self, owner: str) -> None:
        def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._serve(owner, reader, writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        listener = await asyncio.start_server(serve, "127.0.0.1", self._ports.get(owner, 0))
        self._ports[owner] = listener.sockets[0].getsockname()[1]
        self._listeners[owner] = listener

    async def _serve(self, owner: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with suppress(*_BROKEN):
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._redis.port)
            self._open.add(to_writer)
            requests = Requests()
            receiving = asyncio.create_task(self._receive(owner, reader, requests))
            receiving.add_done_callback(lambda _: requests.put_nowait(None))
            try:
                while request := await requests.get():
                    await self._pass_on(owner, request, (to_reader, to_writer), writer)
                    requests.unanswered -= request.number > 0
            finally:
                receiving.cancel()
                self._leave(to_writer)
        self._leave(writer)

    def _leave(self, writer: asyncio.StreamWriter) -> None:
        self._open.discard(writer)
        writer.transport.abort()

    async def _receive(self, owner: str, reader: asyncio.StreamReader, requests: Requests) -> None:
        """Take requests as they come, so that those of one pipeline wait together and not one after the other."""
        with suppress(*_BROKEN):
            while True:
                raw, command = await read_request(reader)
                if command in UNCOUNTED:
                    requests.put_nowait(Request(raw, 0, 0))
                    continue
                self.counted[owner].append(command)
                self.round_trips[owner] += requests.unanswered == 0
                requests.unanswered += 1
                requests.put_nowait(Request(raw, len(self.counted[owner]), time.monotonic() + self._wait()))

    def _wait(self) -> float:
        slow = self._chance.random() < self.slowness.fraction
        return self.slowness.seconds + (self.slowness.fraction_seconds if slow else 0)

    async def _pass_on(
        self,
        owner: str,
        request: Request,
        redis: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        client: asyncio.StreamWriter,
    ) -> None:
        await asyncio.sleep(request.due - time.monotonic())
        redis[1].write(request.raw)
        reply = await read_reply(redis[0])
        self._call_hook(owner, request.number, "before")
        client.write(reply)
        await client.drain()
        self._call_hook(owner, request.number, "after")

    def _call_hook(self, owner: str, number: int, when: Literal["before", "after"]) -> None:
        hook = self._hooks.get(owner)
        if hook is not None and (hook.at, hook.when) == (number, when):
            del self._hooks[owner]
            hook.call()
