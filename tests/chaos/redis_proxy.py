"""A TCP proxy between servers and Redis that counts commands, slows them down, cuts connections and calls a hook.

Each owner, for instance a server process, has a port of its own, so that it is known whose command it is. Commands are
passed on one by one and each reply is read in full, pipelines included. Knows Redis, and nothing of our server.
"""

from __future__ import annotations

import asyncio
import random
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

    def forget(self) -> None:
        """Count from the beginning, without hooks."""
        self.counted.clear()
        self._hooks.clear()

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
            try:
                while True:
                    await self._pass_on(owner, (reader, writer), (to_reader, to_writer))
            finally:
                self._leave(to_writer)
        self._leave(writer)

    def _leave(self, writer: asyncio.StreamWriter) -> None:
        self._open.discard(writer)
        writer.transport.abort()

    async def _pass_on(
        self,
        owner: str,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        redis: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        request, command = await read_request(client[0])
        counts = command not in UNCOUNTED
        if counts:
            self.counted[owner].append(command)
        number = len(self.counted[owner])
        await self._wait(counts)
        redis[1].write(request)
        reply = await read_reply(redis[0])
        if counts:
            self._call_hook(owner, number, "before")
        client[1].write(reply)
        await client[1].drain()
        if counts:
            self._call_hook(owner, number, "after")

    async def _wait(self, counts: bool) -> None:
        if not counts:
            return
        slow = self._chance.random() < self.slowness.fraction
        seconds = self.slowness.seconds + (self.slowness.fraction_seconds if slow else 0)
        if seconds:
            await asyncio.sleep(seconds)

    def _call_hook(self, owner: str, number: int, when: Literal["before", "after"]) -> None:
        hook = self._hooks.get(owner)
        if hook is not None and (hook.at, hook.when) == (number, when):
            del self._hooks[owner]
            hook.call()
