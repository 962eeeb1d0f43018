"""The limits on operations of the store, and what a store that fails, hangs or holds rubbish looks like above them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from typing import Any, SupportsFloat

import pytest
import redis
from key_value.aio.errors import DeserializationError
from key_value.aio.errors.store import KeyValueStoreError
from key_value.aio.stores.memory import MemoryStore

from m365_mcp.errors import StorageUnavailable
from m365_mcp.storage.guard import Guard, GuardedStore

VALUE = {"a": 1}


class Failing(MemoryStore):
    """A store whose every operation raises this error."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        raise self._error

    async def ttl(self, key: str, *, collection: str | None = None) -> tuple[dict[str, Any] | None, float | None]:
        raise self._error

    async def put(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: SupportsFloat | None = None
    ) -> None:
        raise self._error

    async def delete(self, key: str, *, collection: str | None = None) -> bool:
        raise self._error


def test_limits_are_the_documented_ones() -> None:
    """Two and a half seconds an operation, five in the queue, and 64 operations at once."""
    defaults = {name: part.default for name, part in inspect.signature(Guard).parameters.items() if name != "watch"}

    assert defaults == {"max_concurrent": 64, "operation_seconds": 2.5, "queue_seconds": 5.0}


@pytest.mark.parametrize("error", [redis.RedisError(), KeyValueStoreError(), OSError(), TimeoutError()], ids=repr)
async def test_every_operation_says_that_the_store_fails(error: Exception) -> None:
    """Whatever the store beneath raises is an outage, from reading as from writing."""
    store = GuardedStore(Failing(error))

    for operation in (store.get("k"), store.ttl("k"), store.put("k", VALUE), store.delete("k"), store.get_many(["k"])):
        with pytest.raises(StorageUnavailable):
            await operation


@pytest.mark.parametrize("error", [DeserializationError(), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x")], ids=repr)
async def test_record_in_another_format_counts_as_missing(error: Exception) -> None:
    """What another program wrote there is no outage."""
    store = GuardedStore(Failing(error))

    assert await store.get("k", collection="c") is None
    assert await store.ttl("k", collection="c") == (None, None)
    assert await store.get_many(["k"], collection="c") == [None]


async def test_operations_reach_the_record_of_their_collection_and_key() -> None:
    """A record is found, with its remaining time, where it was put, and nowhere else."""
    under = MemoryStore()
    store = GuardedStore(under)
    await store.put("k", VALUE, collection="c", ttl=60)

    assert await under.get("k", collection="c") == await store.get("k", collection="c") == VALUE
    assert await store.get_many(["k", "other"], collection="c") == [VALUE, None]
    value, seconds = await store.ttl("k", collection="c")
    assert value == VALUE
    assert seconds is not None
    assert 50 < seconds <= 60
    assert await store.delete("k", collection="another") is False
    assert await store.delete("k", collection="c") is True
    assert await under.get("k", collection="c") is None


async def test_operation_that_hangs_ends() -> None:
    """A store that does not respond is an outage after the time of one operation, and gives its place back."""
    guard = Guard(1, operation_seconds=0.01)

    for _ in range(2):
        with pytest.raises(StorageUnavailable):
            async with guard.within_limits("read"):
                await asyncio.Event().wait()


async def test_queue_has_an_end() -> None:
    """A call that finds no place in time is refused, and one more than the limit waits for its turn."""
    guard, running, go_on = Guard(2, operation_seconds=60, queue_seconds=0.05), 0, asyncio.Event()
    both = asyncio.Event()

    async def work() -> None:
        nonlocal running
        async with guard.within_limits("read"):
            running += 1
            if running == 2:
                both.set()
            await go_on.wait()

    two = [asyncio.create_task(work()) for _ in range(2)]
    await both.wait()
    with pytest.raises(StorageUnavailable):
        await work()
    at_once = running
    go_on.set()
    await asyncio.gather(*two)
    await work()

    assert at_once == 2
    assert running == 3
