"""Sets whose members have a date, for all replicas together (a sorted set of Redis).

A set keeps its newest members up to a number, and no member longer than a time. The members are not encrypted; one that
is a secret must be a keyed digest. A set that cannot be read begins again empty, so that nothing stored can end what it
is for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from key_value.aio.protocols import AsyncKeyValue
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from m365_mcp import logs
from m365_mcp.storage.guard import Guard
from m365_mcp.storage.redis_nodes import RedisNodes

COLLECTION = "m365-dated-sets"
_log = logs.get(__name__)


@dataclass(frozen=True)
class Bounds:
    """What a set keeps: so many members, the newest, for so many seconds."""

    members: int
    seconds: float


class DatedSets(Protocol):
    """Keeps the sets."""

    async def dates(self, key: str, members: Sequence[str]) -> list[float | None]:
        """Return the date of each of `members`, in epoch seconds; None: it is no member. Raises StorageUnavailable."""

    async def add(self, key: str, members: Collection[str], at: float, bounds: Bounds) -> None:
        """Add members with this date, and remove what the set keeps no longer. Raises StorageUnavailable."""

    async def delete(self, key: str) -> bool:
        """Delete a set; return whether it existed. Raises StorageUnavailable."""


class RedisDatedSets:
    """Keeps the sets with ZADD; each method takes one round trip."""

    def __init__(self, nodes: RedisNodes, guard: Guard) -> None:
        self._nodes = nodes
        self._guard = guard

    async def dates(self, key: str, members: Sequence[str]) -> list[float | None]:
        """Return the date of each of `members`, in epoch seconds; None: it is no member. Raises StorageUnavailable."""
        async with self._guard.within_limits("read"):
            try:
                return list(await self._nodes.run(_name(key), lambda client: client.zmscore(_name(key), list(members))))
            except ResponseError as error:
                await self._forget_unreadable(key, error)
        return [None] * len(members)

    async def add(self, key: str, members: Collection[str], at: float, bounds: Bounds) -> None:
        """Add members with this date, and remove what the set keeps no longer. Raises StorageUnavailable."""
        async with self._guard.within_limits("transaction"):
            try:
                await self._add(_name(key), members, at, bounds)
            except ResponseError as error:
                await self._forget_unreadable(key, error)
                await self._add(_name(key), members, at, bounds)

    async def _add(self, name: str, members: Collection[str], at: float, bounds: Bounds) -> None:
        async def add(client: Redis) -> None:
            async with client.pipeline(transaction=True) as pipe:
                pipe.zadd(name, dict.fromkeys(members, at))
                pipe.zremrangebyscore(name, "-inf", f"({at - bounds.seconds}")
                pipe.zremrangebyrank(name, 0, -bounds.members - 1)
                pipe.pexpire(name, round(bounds.seconds * 1000))
                await pipe.execute()

        await self._nodes.run(name, add)

    async def delete(self, key: str) -> bool:
        """Delete a set; return whether it existed. Raises StorageUnavailable."""
        async with self._guard.within_limits("write"):
            return bool(await self._nodes.run(_name(key), lambda client: client.delete(_name(key))))

    async def _forget_unreadable(self, key: str, error: ResponseError) -> None:
        """Delete what is no sorted set."""
        if "WRONGTYPE" not in str(error) and "wrong kind of value" not in str(error):
            raise error
        _log.warning("record_unreadable", collection=COLLECTION)
        await self._nodes.run(_name(key), lambda client: client.delete(_name(key)))


def _name(key: str) -> str:
    return f"{COLLECTION}:{key}"


class LocalDatedSets:
    """Keeps the sets in a key-value store that only this process changes."""

    def __init__(self, store: AsyncKeyValue) -> None:
        self._store = store
        self._lock = asyncio.Lock()

    async def dates(self, key: str, members: Sequence[str]) -> list[float | None]:
        """Return the date of each of `members`, in epoch seconds; None: it is no member. Raises StorageUnavailable."""
        found = await self._store.get(key, collection=COLLECTION) or {}
        return [float(found[member]) if member in found else None for member in members]

    async def add(self, key: str, members: Collection[str], at: float, bounds: Bounds) -> None:
        """Add members with this date, and remove what the set keeps no longer. Raises StorageUnavailable."""
        async with self._lock:
            found = await self._store.get(key, collection=COLLECTION) or {}
            dated = {**found, **dict.fromkeys(members, at)}
            newest = sorted(dated, key=lambda member: (dated[member], member))[-bounds.members :]
            kept = {member: dated[member] for member in newest if dated[member] >= at - bounds.seconds}
            await self._store.put(key, kept, collection=COLLECTION, ttl=bounds.seconds)

    async def delete(self, key: str) -> bool:
        """Delete a set; return whether it existed. Raises StorageUnavailable."""
        async with self._lock:
            return await self._store.delete(key, collection=COLLECTION)
