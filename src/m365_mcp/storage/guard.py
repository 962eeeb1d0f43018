"""Limits the time of every operation on the store, and turns its failures into `StorageUnavailable`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import Any, SupportsFloat

import redis
from key_value.aio.errors import DeserializationError
from key_value.aio.errors.store import KeyValueStoreError
from key_value.aio.protocols import AsyncKeyValue
from key_value.aio.wrappers.base import BaseWrapper

from m365_mcp import logs
from m365_mcp.errors import StorageUnavailable
from m365_mcp.metrics import StoreOperation

OPERATION_SECONDS = 2.5
QUEUE_SECONDS = 5.0
# Sees one operation from its wait for a turn to its end; an outage reaches it as StorageUnavailable.
Watch = Callable[[StoreOperation], AbstractContextManager[object]]
_NOTHING = nullcontext()


def unwatched(_: StoreOperation) -> AbstractContextManager[object]:
    """See nothing."""
    return _NOTHING


class Guard:
    """Limits the time and the number of concurrent operations; raises StorageUnavailable when the store fails.

    Args:
        max_concurrent: how many operations run at the same time. Further operations queue, and their time limit begins
            when they start, so that a burst of calls does not look like a store that does not respond.
        operation_seconds: how long an operation may take.
        queue_seconds: how long an operation may queue.
        watch: sees every operation.
    """

    def __init__(
        self,
        max_concurrent: int = 64,
        operation_seconds: float = OPERATION_SECONDS,
        queue_seconds: float = QUEUE_SECONDS,
        watch: Watch = unwatched,
    ) -> None:
        self._semaphore = asyncio.Semaphore(max_concurrent)
        self._operation_seconds = operation_seconds
        self._queue_seconds = queue_seconds
        self._watch = watch

    @asynccontextmanager
    async def within_limits(self, operation: StoreOperation) -> AsyncIterator[None]:
        """Run one operation. Raises StorageUnavailable."""
        with self._watch(operation):
            try:
                await self._wait_for_turn()
                try:
                    async with asyncio.timeout(self._operation_seconds):
                        yield
                finally:
                    self._semaphore.release()
            except (redis.RedisError, KeyValueStoreError, OSError, TimeoutError) as error:
                raise StorageUnavailable from error

    async def _wait_for_turn(self) -> None:
        if not self._semaphore.locked():  # mostly; then `acquire` returns at once and needs no time limit
            await self._semaphore.acquire()
            return
        async with asyncio.timeout(self._queue_seconds):
            await self._semaphore.acquire()


_log = logs.get(__name__)


class GuardedStore(BaseWrapper):
    """Runs every operation of `key_value` within the limits of a guard."""

    def __init__(self, key_value: AsyncKeyValue, guard: Guard | None = None) -> None:
        self.key_value = key_value
        self._guard = guard or Guard()

    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        """Return the record, or None when the record is missing or is not in the format of the store."""
        async with self._guard.within_limits("read"):
            try:
                return await self.key_value.get(key, collection=collection)
            except (UnicodeDecodeError, DeserializationError):
                _log.warning("record_unreadable", collection=collection)
                return None

    async def get_many(self, keys: Sequence[str], *, collection: str | None = None) -> list[dict[str, Any] | None]:
        """Return the records in the order of `keys`."""
        return [await self.get(key, collection=collection) for key in keys]

    async def ttl(self, key: str, *, collection: str | None = None) -> tuple[dict[str, Any] | None, float | None]:
        """Return the record and its remaining seconds; both None when the record cannot be read."""
        async with self._guard.within_limits("read"):
            try:
                return await self.key_value.ttl(key, collection=collection)
            except (UnicodeDecodeError, DeserializationError):
                _log.warning("record_unreadable", collection=collection)
                return None, None

    async def put(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: SupportsFloat | None = None
    ) -> None:
        """Store the record; the store deletes it after `ttl` seconds, if given."""
        async with self._guard.within_limits("write"):
            await self.key_value.put(key, value, collection=collection, ttl=ttl)

    async def delete(self, key: str, *, collection: str | None = None) -> bool:
        """Delete the record; return whether it existed."""
        async with self._guard.within_limits("write"):
            return await self.key_value.delete(key, collection=collection)
