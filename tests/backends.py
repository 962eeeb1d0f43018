"""A store in this process for tests: the real layers over py-key-value's memory store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cryptography.fernet import Fernet
from key_value.aio.stores.memory import MemoryStore
from redis.asyncio import Redis

from m365_mcp.storage.backends import LocalBackend, Text
from m365_mcp.storage.counters import LocalCounters
from m365_mcp.storage.encryption import RecordCipher
from m365_mcp.storage.guard import GuardedStore
from m365_mcp.storage.leases import Leases
from m365_mcp.storage.opening import LISTED_COLLECTIONS
from m365_mcp.storage.records import Records
from m365_mcp.storage.redis_nodes import RedisNodes


class OneByOne(Protocol):
    """A backend of a test, for which creating and overwriting are made of its other operations."""

    async def get(self, collection: str, key: str) -> str | None: ...

    async def compare_and_swap(
        self, collection: str, key: str, old: str | None, new: str | None, seconds: float
    ) -> bool: ...

    async def create(self, texts: Sequence[Text]) -> list[bool]:
        return [await self.compare_and_swap(one.collection, one.key, None, one.text, one.seconds) for one in texts]

    async def create_and_get(self, text: Text, collection: str, key: str) -> tuple[bool, str | None]:
        [is_new] = await self.create([text])
        return is_new, await self.get(collection, key)

    async def overwrite(self, texts: Sequence[Text]) -> None:
        for one in texts:
            old = await self.get(one.collection, one.key)
            await self.compare_and_swap(one.collection, one.key, old, one.text, one.seconds)


def make_records() -> Records:
    return Records(
        LocalBackend(GuardedStore(MemoryStore(max_entries_per_collection=100_000)), LISTED_COLLECTIONS),
        RecordCipher(Fernet(Fernet.generate_key())),
    )


def make_counters() -> LocalCounters:
    return LocalCounters(GuardedStore(MemoryStore(max_entries_per_collection=100_000)))


def make_leases(records: Records | None = None) -> Leases:
    return Leases(records or make_records())


def one_node(client: Redis) -> RedisNodes:
    """Return the nodes of a Redis that is no cluster, through this client."""
    return RedisNodes(lambda _: client)
