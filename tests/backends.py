"""A store in this process for tests: the real layers over py-key-value's memory store."""

from __future__ import annotations

from cryptography.fernet import Fernet
from key_value.aio.stores.memory import MemoryStore

from m365_mcp.storage.counters import LocalCounters
from m365_mcp.storage.encryption import RecordCipher
from m365_mcp.storage.guard import GuardedStore
from m365_mcp.storage.leases import Leases
from m365_mcp.storage.opening import LISTED_COLLECTIONS
from m365_mcp.storage.records import LocalBackend, Records


def make_records() -> Records:
    return Records(
        LocalBackend(GuardedStore(MemoryStore(max_entries_per_collection=100_000)), LISTED_COLLECTIONS),
        RecordCipher(Fernet(Fernet.generate_key())),
    )


def make_counters() -> LocalCounters:
    return LocalCounters(GuardedStore(MemoryStore(max_entries_per_collection=100_000)))


def make_leases(records: Records | None = None) -> Leases:
    return Leases(records or make_records())
