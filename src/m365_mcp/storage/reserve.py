"""The store's reserve: the part of Redis's memory that anonymous requests may not fill.

A Redis that is full refuses writes (`noeviction`), also those of people who send and refresh. So a request that nobody
has to be signed in for writes only while Redis uses less than a share of its `maxmemory`. Redis is asked at most once a
second, unless many such requests have passed since; concurrent requests share the question.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from redis.exceptions import ClusterDownError, ResponseError

from m365_mcp import logs
from m365_mcp.storage.guard import Guard
from m365_mcp.storage.redis_nodes import RedisNodes

SHARE = 0.7  # of maxmemory, for everybody; the rest is the reserve
ASK_SECONDS = 1.0
ASK_REQUESTS = 50  # at most 4 MB in the largest requests, before Redis is asked again
_log = logs.get(__name__)


@dataclass(frozen=True)
class Memory:
    """How much memory Redis uses, and how much it may use, in bytes; 0: as much as there is."""

    used: int
    maximum: int


class Reserve:
    """Tells whether anonymous requests have used up their share of the store.

    Args:
        measure: returns the memory of the store; None when the store does not tell. Raises StorageUnavailable.
        clock: returns monotonic seconds; for tests.
    """

    def __init__(
        self, measure: Callable[[], Awaitable[Memory | None]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._measure = measure
        self._clock = clock
        self._asking: asyncio.Task[None] | None = None
        self._asked_at: float | None = None
        self._passed = 0
        self._is_reached = False
        self._is_limited: bool | None = None

    async def is_reached(self) -> bool:
        """Return whether only people who are signed in may write. Raises StorageUnavailable."""
        self._passed += 1
        if self._asking is None and self._is_old():
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(self._forget)
        if self._asking is not None:
            await asyncio.shield(self._asking)  # a client that hangs up ends nobody else's question
        return self._is_reached

    async def _ask(self) -> None:
        self._take_in(await self._measure())
        self._asked_at, self._passed = self._clock(), 0

    def _forget(self, ended: asyncio.Task[None]) -> None:
        self._asking = None
        if not ended.cancelled():
            ended.exception()  # nobody may be left who waits for it

    def _is_old(self) -> bool:
        if self._asked_at is None:
            return True
        age = self._clock() - self._asked_at
        return age >= ASK_SECONDS or (self._passed > ASK_REQUESTS and not self._is_reached)

    def _take_in(self, memory: Memory | None) -> None:
        is_limited = memory is not None and memory.maximum > 0
        if is_limited != self._is_limited:
            self._is_limited = is_limited
            if not is_limited:
                _log.warning("store_without_reserve", advice=_NOT_ALLOWED if memory is None else _NO_MAXIMUM)
        is_reached = memory is not None and is_limited and memory.used >= SHARE * memory.maximum
        if is_reached and not self._is_reached:
            _log.warning("store_nearly_full", advice=_NEARLY_FULL)
        elif self._is_reached and not is_reached:
            _log.info("store_has_room")
        self._is_reached = is_reached


async def unlimited() -> Memory:
    """Return the memory of a store that is not Redis: it has no limit of its own."""
    return Memory(0, 1)


@dataclass(frozen=True)
class RedisMemory:
    """Asks Redis for its memory (`INFO memory`); in a cluster, the node that is fullest counts."""

    nodes: RedisNodes
    guard: Guard

    async def __call__(self) -> Memory | None:
        """Return the memory; None when the Redis user may not ask. Raises StorageUnavailable."""
        async with self.guard.within_limits("memory"):
            try:
                found = await asyncio.gather(*(client.info("memory") for client in await self.nodes.each()))
            except ClusterDownError:  # is a ResponseError, too, and an outage
                raise
            except ResponseError:
                return None
        memories = [Memory(int(one.get("used_memory", 0)), int(one.get("maxmemory", 0))) for one in found]
        return max(memories, key=lambda memory: memory.used / memory.maximum if memory.maximum else 0.0)


_NO_MAXIMUM = "set maxmemory and maxmemory-policy noeviction in Redis, so that strangers cannot fill its machine"
_NOT_ALLOWED = "allow the Redis user the command INFO (ACL: +info), so that strangers cannot fill Redis"
_NEARLY_FULL = "no sign-in can begin until those that were begun have expired (15 minutes); give Redis more memory"
