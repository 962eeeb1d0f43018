"""A store whose failures are told apart from missing records.

Every operation ends within a time limit, and a store that does not answer becomes `StorageUnavailable`, recorded
on the request so that the framework cannot turn it into "invalid token".
May know `errors`, `trouble` and the key-value protocol.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, SupportsFloat

import redis
from key_value.aio.errors.store import KeyValueStoreError
from key_value.aio.protocols import AsyncKeyValue
from key_value.aio.wrappers.base import BaseWrapper

from m365_mcp import trouble
from m365_mcp.errors import StorageUnavailable

OPERATION_SECONDS = 2.5
QUEUE_SECONDS = 5.0


class GuardedStore(BaseWrapper):
    """Adds the time limit and the honest error to `key_value`.

    Args:
        key_value: the store.
        at_once: how many operations it carries out side by side; more wait for their turn before their time begins,
            so that a burst of calls is not mistaken for a store that does not answer.
    """

    def __init__(self, key_value: AsyncKeyValue, at_once: int = 64) -> None:
        self.key_value = key_value
        self._turns = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def _within_limits(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(QUEUE_SECONDS):
                await self._turns.acquire()
            try:
                async with asyncio.timeout(OPERATION_SECONDS):
                    yield
            finally:
                self._turns.release()
        except (redis.RedisError, KeyValueStoreError, OSError, TimeoutError) as error:
            raise trouble.record(StorageUnavailable()) from error

    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        """Return the record, or None when there is none, or none that is text."""
        async with self._within_limits():
            try:
                return await self.key_value.get(key, collection=collection)
            except UnicodeDecodeError:
                return None

    async def get_many(self, keys: Sequence[str], *, collection: str | None = None) -> list[dict[str, Any] | None]:
        """Return the records in the order of `keys`."""
        async with self._within_limits():
            return await self.key_value.get_many(keys, collection=collection)

    async def ttl(self, key: str, *, collection: str | None = None) -> tuple[dict[str, Any] | None, float | None]:
        """Return the record and its remaining seconds."""
        async with self._within_limits():
            return await self.key_value.ttl(key, collection=collection)

    async def put(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: SupportsFloat | None = None
    ) -> None:
        """Store the record, for `ttl` seconds if given."""
        async with self._within_limits():
            await self.key_value.put(key, value, collection=collection, ttl=ttl)

    async def delete(self, key: str, *, collection: str | None = None) -> bool:
        """Delete the record; return whether there was one."""
        async with self._within_limits():
            return await self.key_value.delete(key, collection=collection)
