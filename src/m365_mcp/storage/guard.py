"""Bounds every operation on the store in time, and names its failures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, SupportsFloat

import redis
from key_value.aio.errors import DeserializationError
from key_value.aio.errors.store import KeyValueStoreError
from key_value.aio.protocols import AsyncKeyValue
from key_value.aio.wrappers.base import BaseWrapper

from m365_mcp import logs
from m365_mcp.errors import StorageUnavailable

OPERATION_SECONDS = 2.5
QUEUE_SECONDS = 5.0


class Guard:
    """Makes a store that does not answer a `StorageUnavailable`.

    Args:
        at_once: how many operations are carried out side by side; more wait for their turn before their time begins,
            so that a burst of calls is not mistaken for a store that does not answer.
    """

    def __init__(self, at_once: int = 64) -> None:
        self._turns = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def within_limits(self) -> AsyncIterator[None]:
        """Run one operation. Raises StorageUnavailable."""
        try:
            async with asyncio.timeout(QUEUE_SECONDS):
                await self._turns.acquire()
            try:
                async with asyncio.timeout(OPERATION_SECONDS):
                    yield
            finally:
                self._turns.release()
        except (redis.RedisError, KeyValueStoreError, OSError, TimeoutError) as error:
            raise StorageUnavailable from error


_log = logs.get(__name__)


class GuardedStore(BaseWrapper):
    """Adds the guard to `key_value`."""

    def __init__(self, key_value: AsyncKeyValue, guard: Guard | None = None) -> None:
        self.key_value = key_value
        self._guard = guard or Guard()

    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        """Return the record, or None when there is none, or none that is text in the store's form."""
        async with self._guard.within_limits():
            try:
                return await self.key_value.get(key, collection=collection)
            except (UnicodeDecodeError, DeserializationError):
                _log.warning("record_unreadable", collection=collection)
                return None

    async def get_many(self, keys: Sequence[str], *, collection: str | None = None) -> list[dict[str, Any] | None]:
        """Return the records in the order of `keys`."""
        return [await self.get(key, collection=collection) for key in keys]

    async def ttl(self, key: str, *, collection: str | None = None) -> tuple[dict[str, Any] | None, float | None]:
        """Return the record and its remaining seconds; none for what cannot be read."""
        async with self._guard.within_limits():
            try:
                return await self.key_value.ttl(key, collection=collection)
            except (UnicodeDecodeError, DeserializationError):
                return None, None

    async def put(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: SupportsFloat | None = None
    ) -> None:
        """Store the record, for `ttl` seconds if given."""
        async with self._guard.within_limits():
            await self.key_value.put(key, value, collection=collection, ttl=ttl)

    async def delete(self, key: str, *, collection: str | None = None) -> bool:
        """Delete the record; return whether there was one."""
        async with self._guard.within_limits():
            return await self.key_value.delete(key, collection=collection)
