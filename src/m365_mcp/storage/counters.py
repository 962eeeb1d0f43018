"""Counters that all replicas change together: under each key a set of named integers (a hash of Redis).

Redis adds and reads in one transaction (MULTI, EXEC), so each caller sees the numbers as its own addition left them,
and nobody has to try again however many call at once. The numbers are no secret and not encrypted; a name that is one
must be a keyed digest. Counters that cannot be read begin again at nothing, so that nothing stored can end what they
count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from key_value.aio.protocols import AsyncKeyValue
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from m365_mcp import logs
from m365_mcp.storage.guard import Guard
from m365_mcp.storage.redis_nodes import RedisNodes

COLLECTION = "m365-counts"
TRANSACTION_CHANGES = 50  # redis-py takes about 0.1 ms for each, and nothing else runs meanwhile
_log = logs.get(__name__)


@dataclass(frozen=True)
class Change:
    """A change of the counters under one key.

    Attributes:
        key: names the counters. Keys that change together need one hash tag; see `PersonId.record_key`.
        seconds: how long the store keeps the counters after this change.
        added: what is added to each counter; nothing: the counters are only read.
        is_leaving: whether another replica may have deleted a counter with this name, because it counts no longer.
    """

    key: str
    seconds: float
    added: Mapping[str, int] = field(default_factory=dict)
    is_leaving: Callable[[str], bool] = field(default=lambda _: False, compare=False)


class Counters(Protocol):
    """Counts."""

    async def add(self, changes: Sequence[Change]) -> list[dict[str, int]]:
        """Make each change at once; return the counters under each key afterwards. Raises StorageUnavailable."""

    async def drop(self, key: str, names: Sequence[str]) -> None:
        """Delete counters. Raises StorageUnavailable."""


class RedisCounters:
    """Counts with HINCRBY."""

    def __init__(self, nodes: RedisNodes, guard: Guard) -> None:
        self._nodes = nodes
        self._guard = guard

    async def add(self, changes: Sequence[Change]) -> list[dict[str, int]]:
        """Make each change at once; return the counters under each key afterwards. Raises StorageUnavailable."""
        async with self._guard.within_limits("transaction"):
            try:
                return await self._execute(changes)
            except (ResponseError, ValueError) as error:  # UnicodeDecodeError is a ValueError
                if isinstance(error, ResponseError) and not is_unreadable(error):
                    raise
            _log.warning("record_unreadable", collection=COLLECTION)
            names = [_name(change.key) for change in changes]
            await self._nodes.run(names[0], lambda client: client.delete(*names))
            return await self._execute(changes)

    async def _execute(self, changes: Sequence[Change]) -> list[dict[str, int]]:
        """Make the changes, so many in one transaction: the event loop does other work in between."""
        found: list[dict[str, int]] = []
        for start in range(0, len(changes), TRANSACTION_CHANGES):
            some = changes[start : start + TRANSACTION_CHANGES]
            found += await self._nodes.run(_name(some[0].key), partial(_execute, changes=some))
        return found

    async def drop(self, key: str, names: Sequence[str]) -> None:
        """Delete counters. Raises StorageUnavailable."""
        async with self._guard.within_limits("write"):
            await self._nodes.run(_name(key), lambda client: client.hdel(_name(key), *names))


async def _execute(client: Redis, changes: Sequence[Change]) -> list[dict[str, int]]:
    """Make the changes in one transaction of one node."""
    async with client.pipeline(transaction=True) as pipe:
        for change in changes:
            for name, number in change.added.items():
                pipe.hincrby(_name(change.key), name, number)
            if change.added:
                pipe.pexpire(_name(change.key), round(change.seconds * 1000))
            pipe.hgetall(_name(change.key))
        results = await pipe.execute()
    found = [result for result in results if isinstance(result, dict)]
    return [{str(name): int(number) for name, number in counters.items()} for counters in found]


def _name(key: str) -> str:
    return f"{COLLECTION}:{key}"


def is_unreadable(error: ResponseError) -> bool:
    """Return whether Redis found something that it cannot add to: another type, no integer, or one near its end."""
    signs = ("WRONGTYPE", "wrong kind of value", "integer", "overflow")
    return any(sign in str(error) for sign in signs)


class LocalCounters:
    """Counts in a key-value store that only this process changes."""

    def __init__(self, store: AsyncKeyValue) -> None:
        self._store = store
        self._lock = asyncio.Lock()

    async def add(self, changes: Sequence[Change]) -> list[dict[str, int]]:
        """Make each change at once; return the counters under each key afterwards. Raises StorageUnavailable."""
        async with self._lock:
            return [await self._add(change) for change in changes]

    async def _add(self, change: Change) -> dict[str, int]:
        counters = await self._read(change.key)
        for name, number in change.added.items():
            counters[name] = counters.get(name, 0) + number
        if change.added:
            await self._store.put(change.key, counters, collection=COLLECTION, ttl=change.seconds)
        return counters

    async def _read(self, key: str) -> dict[str, int]:
        found = await self._store.get(key, collection=COLLECTION) or {}
        return {name: int(number) for name, number in found.items()}

    async def drop(self, key: str, names: Sequence[str]) -> None:
        """Delete counters. Raises StorageUnavailable."""
        async with self._lock:
            found, seconds = await self._store.ttl(key, collection=COLLECTION)
            kept = {name: number for name, number in (found or {}).items() if name not in names}
            await self._store.put(key, kept, collection=COLLECTION, ttl=seconds)
