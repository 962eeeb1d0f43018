"""Chooses and opens the store: the Redis that was named, the one that happens to run here, or the disk."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from key_value.aio.protocols import AsyncKeyValue
from key_value.aio.stores.filetree import (
    FileTreeStore,
    FileTreeV1CollectionSanitizationStrategy,
    FileTreeV1KeySanitizationStrategy,
)
from key_value.aio.stores.memory import MemoryStore
from key_value.aio.stores.redis import RedisStore
from platformdirs import user_data_path

from m365_mcp import logs
from m365_mcp.settings import DEFAULT_REDIS_URL, Settings
from m365_mcp.storage import redis_client
from m365_mcp.storage.encrypted_store import EncryptedStore
from m365_mcp.storage.encryption import RecordCipher
from m365_mcp.storage.guard import Guard, GuardedStore
from m365_mcp.storage.leases import Leases
from m365_mcp.storage.records import LocalBackend, Records, RedisBackend

Kind = Literal["redis", "disk", "memory"]
LISTED = ("m365-sessions",)  # what an operator may want to see
_log = logs.get(__name__)


@dataclass(frozen=True)
class Storage:
    """The opened store.

    Attributes:
        kind: where everything lives.
        flows: encrypted, time-limited key-value store of FastMCP's OAuth proxy: registrations and sign-ins under way.
        records: our own encrypted records, changed only from a known state.
        leases: work that one replica at a time may do.
        close: gives back connections.
    """

    kind: Kind
    flows: AsyncKeyValue
    records: Records
    leases: Leases
    close: Callable[[], Awaitable[None]]

    async def ping(self) -> None:
        """Return when the store answers. Raises StorageUnavailable."""
        await self.records.read("m365-health", "ping")


def open_storage(settings: Settings, cipher: RecordCipher) -> Storage:
    """Open the store the settings ask for; blocks for half a second at most.

    Without `REDIS_URL` the default address is tried, and when no Redis answers there the store is on disk, for one
    process. A `REDIS_URL` that was set is never replaced by the disk: a Redis that is away will come back.
    """
    url = settings.redis_url
    if url is None:
        url = DEFAULT_REDIS_URL if redis_client.answers(DEFAULT_REDIS_URL) else None
    if url is None:
        return _on_disk(settings, cipher)
    if url.startswith("memory:"):
        return _in_memory(cipher)
    _log.info("storage_opened", kind="redis", chosen="named" if settings.redis_url else "found at the default address")
    client = redis_client.connect(url)
    guard = Guard(redis_client.MAX_CONNECTIONS)
    records = Records(RedisBackend(client, guard), cipher)
    flows = EncryptedStore(GuardedStore(RedisStore(client=client), guard), cipher)
    return Storage("redis", flows, records, Leases(records), client.aclose)


def _in_memory(cipher: RecordCipher) -> Storage:
    _log.warning("storage_opened", kind="memory", note="sign-ins are forgotten when the server stops")
    return _in_one_process("memory", GuardedStore(MemoryStore()), cipher)


def _in_one_process(kind: Kind, store: GuardedStore, cipher: RecordCipher) -> Storage:
    records = Records(LocalBackend(store, LISTED), cipher)
    return Storage(kind, EncryptedStore(store, cipher), records, Leases(records), _nothing_to_close)


def _on_disk(settings: Settings, cipher: RecordCipher) -> Storage:
    folder = (settings.mcp_data_dir or user_data_path("m365-mcp")) / _app_folder(settings)
    try:
        _make_private(folder)
    except OSError:
        _log.warning("data_folder_unusable", advice="set MCP_DATA_DIR to a writable folder, or REDIS_URL")
        return _in_memory(cipher)
    store = FileTreeStore(
        data_directory=folder,
        key_sanitization_strategy=FileTreeV1KeySanitizationStrategy(folder),
        collection_sanitization_strategy=FileTreeV1CollectionSanitizationStrategy(folder),
    )
    _log.info("storage_opened", kind="disk", note="for one server process; set REDIS_URL for more than one")
    return _in_one_process("disk", GuardedStore(store), cipher)


def _app_folder(settings: Settings) -> str:
    # Two servers for different apps on one machine must not read each other's records.
    name = f"{settings.azure_tenant_id}/{settings.azure_client_id}/{settings.mcp_server_base_url}"
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def _make_private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    probe = folder / ".writable"
    probe.touch()
    probe.unlink()


async def _nothing_to_close() -> None:
    return
