"""Chooses and opens the store: the Redis of `REDIS_URL`, a Redis at the default address, or the disk."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
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
from m365_mcp.errors import SettingsMistake
from m365_mcp.settings import DEFAULT_REDIS_URL, Settings
from m365_mcp.storage import redis_client
from m365_mcp.storage.backends import LocalBackend, RedisBackend
from m365_mcp.storage.counter_floors import FlooredCounters
from m365_mcp.storage.counters import Counters, LocalCounters, RedisCounters
from m365_mcp.storage.dated_sets import DatedSets, LocalDatedSets, RedisDatedSets
from m365_mcp.storage.encrypted_store import EncryptedStore
from m365_mcp.storage.encryption import RecordCipher
from m365_mcp.storage.guard import Guard, GuardedStore, Watch, unwatched
from m365_mcp.storage.leases import Leases
from m365_mcp.storage.newest_seen import NewestSeen, RollbackReports
from m365_mcp.storage.numbers import LocalNumbers, Numbers, RedisNumbers
from m365_mcp.storage.records import Records
from m365_mcp.storage.redis_nodes import RedisNodes, RoutedRedis
from m365_mcp.storage.request_memo import RequestMemo
from m365_mcp.storage.reserve import RedisMemory, Reserve, unlimited

Kind = Literal["redis", "disk", "memory"]
LISTED_COLLECTIONS = ("m365-sessions", "m365-passkeys", "m365-scheduled")  # in which people are looked for
_log = logs.get(__name__)


@dataclass(frozen=True)
class Storage:
    """The opened store.

    Attributes:
        kind: where the records are.
        client_storage: FastMCP's encrypted store of client registrations and running sign-ins, limited in time.
        records: our own encrypted records, which change by compare-and-swap only.
        leases: the right of one replica to do a piece of work.
        numbers: numbers that all replicas count together.
        counters: counters that all replicas change together.
        dated_sets: sets that all replicas share, whose members have a date.
        reserve: the part of the store that anonymous requests may not fill.
        rollbacks: tells when somebody has taken the store back to an older state.
        close: closes the connections.
    """

    kind: Kind
    client_storage: AsyncKeyValue
    records: Records
    leases: Leases
    numbers: Numbers
    counters: Counters
    dated_sets: DatedSets
    reserve: Reserve
    rollbacks: RollbackReports
    close: Callable[[], Awaitable[None]]

    async def ping(self) -> None:
        """Return when the store responds. Raises StorageUnavailable."""
        await self.records.read("m365-health", "ping")


def open_storage(
    settings: Settings, cipher: RecordCipher, default_url: str = DEFAULT_REDIS_URL, watch: Watch = unwatched
) -> Storage:
    """Open the store that the settings choose; blocks for half a second at most. `watch` sees its operations.

    Without `REDIS_URL`, this function tries the default address. When no Redis responds there, the store is on disk,
    for one process. With `REDIS_URL`, the server never falls back to the disk: it waits until Redis responds again.
    """
    url = settings.redis_url
    if url is None:
        url = default_url if redis_client.is_reachable(default_url) else None
    if url is None:
        return _on_disk(settings, cipher, watch)
    if url.startswith("memory:"):
        return _in_memory(cipher, watch)
    _log.info("storage_opened", kind="redis", chosen="REDIS_URL" if settings.redis_url else "default address")
    nodes = RedisNodes(partial(redis_client.connect, url))
    guard = Guard(redis_client.MAX_CONNECTIONS, watch=watch)
    rollbacks = RollbackReports()
    records = Records(RedisBackend(nodes, guard), cipher, NewestSeen(rollbacks))
    return Storage(
        "redis",
        RequestMemo(EncryptedStore(GuardedStore(RedisStore(client=RoutedRedis(nodes)), guard), cipher)),
        records,
        Leases(records),
        RedisNumbers(nodes, guard),
        FlooredCounters(RedisCounters(nodes, guard), rollbacks),
        RedisDatedSets(nodes, guard),
        Reserve(RedisMemory(nodes, guard)),
        rollbacks,
        nodes.close,
    )


def shared_url(settings: Settings, default_url: str = DEFAULT_REDIS_URL) -> str:
    """Return the URL of the Redis that several workers share; blocks for half a second at most.

    It is found once for all: a worker that starts while Redis is away would else take the disk.

    Raises:
        SettingsMistake: the store would be on disk or in memory, for one process.
    """
    url = settings.redis_url or (default_url if redis_client.is_reachable(default_url) else None)
    if url is None or url.startswith("memory:"):
        workers = settings.mcp_workers
        advice = f"is needed for {workers} workers, because they share a Redis and nothing else, and none answers at "
        raise SettingsMistake((("REDIS_URL", f"{advice}{default_url}. Set it to your Redis, or MCP_WORKERS to 1."),))
    return url


def _in_memory(cipher: RecordCipher, watch: Watch) -> Storage:
    _log.warning("storage_opened", kind="memory", note="the server loses all sign-ins when it stops")
    return _in_one_process("memory", GuardedStore(MemoryStore(), Guard(watch=watch)), cipher)


def _in_one_process(kind: Kind, store: GuardedStore, cipher: RecordCipher) -> Storage:
    rollbacks = RollbackReports()
    records = Records(LocalBackend(store, LISTED_COLLECTIONS), cipher, NewestSeen(rollbacks))
    return Storage(
        kind,
        RequestMemo(EncryptedStore(store, cipher)),
        records,
        Leases(records),
        LocalNumbers(store),
        FlooredCounters(LocalCounters(store), rollbacks),
        LocalDatedSets(store),
        Reserve(unlimited),
        rollbacks,
        _nothing_to_close,
    )


def _on_disk(settings: Settings, cipher: RecordCipher, watch: Watch) -> Storage:
    folder = (settings.mcp_data_dir or user_data_path("m365-mcp")) / _app_folder(settings)
    try:
        _make_private(folder)
    except OSError:
        _log.warning("data_folder_unusable", advice="set MCP_DATA_DIR to a writable folder, or REDIS_URL")
        return _in_memory(cipher, watch)
    store = FileTreeStore(
        data_directory=folder,
        key_sanitization_strategy=FileTreeV1KeySanitizationStrategy(folder),
        collection_sanitization_strategy=FileTreeV1CollectionSanitizationStrategy(folder),
    )
    _log.info("storage_opened", kind="disk", note="for one server process; set REDIS_URL for more than one")
    return _in_one_process("disk", GuardedStore(store, Guard(watch=watch)), cipher)


def _app_folder(settings: Settings) -> str:
    # Two servers for different app registrations on one machine need separate records.
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
