"""Numbers that all replicas count together, one after the other; they are no secret, and not encrypted.

A number that cannot be read begins again at one, so that nothing stored can end what it counts.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from key_value.aio.protocols import AsyncKeyValue
from redis.exceptions import ResponseError

from m365_mcp import logs
from m365_mcp.storage.counters import is_unreadable
from m365_mcp.storage.guard import Guard
from m365_mcp.storage.redis_nodes import RedisNodes

_COLLECTION = "m365-numbers"
_log = logs.get(__name__)


class Numbers(Protocol):
    """Counts."""

    async def next(self, name: str) -> int:
        """Count one up and return the number, which no other caller gets. Raises StorageUnavailable."""


class RedisNumbers:
    """Counts with INCR."""

    def __init__(self, nodes: RedisNodes, guard: Guard) -> None:
        self._nodes = nodes
        self._guard = guard

    async def next(self, name: str) -> int:
        """Count one up and return the number, which no other caller gets. Raises StorageUnavailable."""
        key = f"{_COLLECTION}:{name}"
        async with self._guard.within_limits("write"):
            try:
                return int(await self._nodes.run(key, lambda client: client.incr(key)))
            except ResponseError as error:
                if not is_unreadable(error):
                    raise
            _log.warning("record_unreadable", collection=_COLLECTION)
            await self._nodes.run(key, lambda client: client.set(key, 1))
            return 1


class LocalNumbers:
    """Counts in a key-value store that only this process changes."""

    def __init__(self, store: AsyncKeyValue) -> None:
        self._store = store
        self._lock = asyncio.Lock()

    async def next(self, name: str) -> int:
        """Count one up and return the number, which no other caller gets. Raises StorageUnavailable."""
        async with self._lock:
            found = await self._store.get(name, collection=_COLLECTION) or {}
            number = int(found.get("last", 0)) + 1
            await self._store.put(name, {"last": number}, collection=_COLLECTION)
        return number
