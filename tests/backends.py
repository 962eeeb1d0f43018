"""A store in this process for tests: the real layers over py-key-value's memory store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cryptography.fernet import Fernet
from key_value.aio.stores.memory import MemoryStore

from m365_mcp.storage.counters import LocalCounters
from m365_mcp.storage.encryption import RecordCipher
from m365_mcp.storage.guard import GuardedStore
from m365_mcp.storage.leases import Leases
from m365_mcp.storage.opening import LISTED_COLLECTIONS
from m365_mcp.storage.records import LocalBackend, Records, Text


class OneByOne:
    """The calls of a backend for many records, for a test's own backend: one after the other."""

    async def get_many(self, collection: str, keys: Sequence[str]) -> list[str | None]:
        under: Any = self
        return [await under.get(collection, key) for key in keys]

    async def put_all(self, texts: Sequence[Text]) -> None:
        under: Any = self
        for collection, key, text, seconds in texts:
            old = await under.get(collection, key)
            await under.compare_and_swap(collection, key, old, text, seconds)


def make_records() -> Records:
    return Records(
        LocalBackend(GuardedStore(MemoryStore(max_entries_per_collection=100_000)), LISTED_COLLECTIONS),
        RecordCipher(Fernet(Fernet.generate_key())),
    )


def make_counters() -> LocalCounters:
    return LocalCounters(GuardedStore(MemoryStore(max_entries_per_collection=100_000)))


def make_leases(records: Records | None = None) -> Leases:
    return Leases(records or make_records())
