"""Bounds every operation on the store in time, and names its failures.

May know `errors` and `trouble`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis
from key_value.aio.errors.store import KeyValueStoreError

from m365_mcp.errors import StorageUnavailable, request_error

OPERATION_SECONDS = 2.5
QUEUE_SECONDS = 5.0


class Guard:
    """Makes a store that does not answer a `StorageUnavailable`, recorded on the request.

    Recorded, so that the framework cannot turn it into "invalid token".

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
            raise request_error.record(StorageUnavailable()) from error
