"""A store for tests of what stands on it, in this process: the real layers over the memory store."""

from __future__ import annotations

from cryptography.fernet import Fernet
from key_value.aio.stores.memory import MemoryStore

from m365_mcp.storage.encryption import Seal
from m365_mcp.storage.guarded import GuardedStore
from m365_mcp.storage.leases import Leases
from m365_mcp.storage.opening import LISTED
from m365_mcp.storage.records import LocalShelf, Records


def make_records() -> Records:
    return Records(
        LocalShelf(GuardedStore(MemoryStore(max_entries_per_collection=100_000)), LISTED),
        Seal(Fernet(Fernet.generate_key())),
    )


def make_leases(records: Records | None = None) -> Leases:
    return Leases(records or make_records())
