"""Which store the settings choose, where the disk store keeps its files, and how the client of Redis is set up."""

from __future__ import annotations

import hashlib
import socket
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
from cryptography.fernet import Fernet
from redis.asyncio import BlockingConnectionPool

from m365_mcp import settings
from m365_mcp.errors import SettingsMistake, StorageUnavailable
from m365_mcp.settings import DEFAULT_REDIS_URL, Settings
from m365_mcp.storage import redis_client
from m365_mcp.storage.encryption import RecordCipher
from m365_mcp.storage.opening import Storage, open_storage
from m365_mcp.storage.records import ABSENT, Records
from tests.auth.test_sessions import Seen
from tests.backends import make_records
from tests.e2e.programs import Redis
from tests.ids import IDS

NOWHERE = "redis://127.0.0.1:1/0"
KEY = Fernet(Fernet.generate_key())
VALUE = {"a": 1}


def chosen(**changes: Any) -> Settings:
    return settings.load(**{**IDS, "mcp_server_base_url": "https://mcp.example.com", **changes})


def opened(default_url: str = NOWHERE, **changes: Any) -> Storage:
    return open_storage(chosen(**changes), RecordCipher(KEY), default_url)


async def write(storage: Storage) -> None:
    """Write one record by each way, and see that it can be read, listed and leased."""
    assert await storage.records.compare_and_swap("m365-sessions", "k", ABSENT, VALUE, 60) is not None
    await storage.client_storage.put("k", VALUE, collection="c", ttl=60)
    async with storage.leases.hold("work", wait_seconds=1):
        assert (await storage.records.read("m365-leases", "work")).value is not None
    await storage.ping()


async def read(storage: Storage) -> tuple[Any, Any, list[str]]:
    """Return what `write` has written."""
    found = (await storage.records.read("m365-sessions", "k")).value
    kept = await storage.client_storage.get("k", collection="c")
    return found, kept, [key async for key in storage.records.keys("m365-sessions")]


NOTHING: tuple[Any, Any, list[str]] = (None, None, [])
EVERYTHING = (VALUE, VALUE, ["k"])


def within(folder: Path, pattern: str = "*") -> list[Path]:
    return sorted(folder.rglob(pattern))


async def test_memory_is_of_one_process_and_is_lost() -> None:
    """Two stores in memory have nothing in common."""
    storage, other = opened(redis_url="memory://"), opened(redis_url="memory://")
    await write(storage)

    assert storage.kind == "memory"
    assert await read(storage) == EVERYTHING
    assert await read(other) == NOTHING
    await storage.close()


@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")  # py-key-value 0.4.6 calls it
@pytest.mark.parametrize("named", [True, False], ids=["REDIS_URL", "default address"])
async def test_redis_is_shared_and_holds_only_ciphertext(redis: Redis, named: bool) -> None:
    """The Redis of REDIS_URL, or one at the default address, is used by every replica."""
    changes = {"redis_url": redis.url} if named else {"default_url": redis.url}
    storage, other = opened(**changes), opened(**changes)
    await write(storage)

    with redis_py.Redis.from_url(redis.url) as admin:
        keys = sorted(key.decode() for key in admin.scan_iter())
        text = b"".join(admin.get(key) or b"" for key in keys)
    assert (storage.kind, other.kind) == ("redis", "redis")
    assert await read(other) == EVERYTHING
    assert keys == ["c::k", "m365-sessions:k"]
    assert b'"a"' not in text
    assert storage.client_storage.key_value.key_value._guard is storage.records._backend._guard  # type: ignore[attr-defined]
    assert storage.records._backend._guard._semaphore._value == redis_client.MAX_CONNECTIONS  # type: ignore[attr-defined]
    await storage.close()
    await other.close()
    with redis_py.Redis.from_url(redis.url) as admin:
        admin.flushall()


async def test_named_redis_that_is_away_is_waited_for() -> None:
    """With REDIS_URL the disk never takes the place of a Redis: calls fail until it is there."""
    storage = opened(redis_url=NOWHERE)

    assert storage.kind == "redis"
    with pytest.raises(StorageUnavailable):
        await storage.ping()
    with pytest.raises(StorageUnavailable):
        await storage.client_storage.get("k", collection="c")
    await storage.close()


ANOTHER_APP = "99999999-aaaa-4bbb-8ccc-dddddddddddd"


def folder_of(app: str = IDS["azure_client_id"]) -> str:
    name = f"{IDS['azure_tenant_id']}/{app}/https://mcp.example.com"
    return hashlib.sha256(name.encode()).hexdigest()[:16]


async def test_disk_is_used_without_a_redis_and_outlives_the_process(tmp_path: Path) -> None:
    """The records are in a folder of this app registration and address, for this account only."""
    place = tmp_path / "not" / "there yet"
    storage = opened(mcp_data_dir=place)
    await write(storage)
    await storage.close()
    again, another = opened(mcp_data_dir=place), opened(mcp_data_dir=place, azure_client_id=ANOTHER_APP)

    assert storage.kind == again.kind == "disk"
    assert await read(again) == EVERYTHING
    assert await read(another) == NOTHING
    other = folder_of(ANOTHER_APP)
    assert {one.name for one in place.iterdir()} == {folder_of(), other}
    assert stat.S_IMODE((place / folder_of()).stat().st_mode) == 0o700
    assert not (place / folder_of() / ".writable").exists()
    files = [one for one in (place / folder_of()).rglob("*") if one.is_file()]
    assert files
    assert all(b'"a"' not in one.read_bytes() for one in files)


@pytest.mark.parametrize("name", ["../../escaped", "a/b", "x" * 100, "É:*?", "."])
async def test_no_name_of_a_record_leaves_the_folder(tmp_path: Path, name: str) -> None:
    """Any collection and key is a file below the folder, and no two are one."""
    storage = opened(mcp_data_dir=tmp_path / "data")
    await storage.client_storage.put(name, VALUE, collection=name)
    await storage.client_storage.put(f"{name}2", {"b": 2}, collection=name)
    again = opened(mcp_data_dir=tmp_path / "data")

    assert await again.client_storage.get(name, collection=name) == VALUE
    assert await again.client_storage.get(f"{name}2", collection=name) == {"b": 2}
    assert {one.parts[len(tmp_path.parts)] for one in within(tmp_path)} == {"data"}
    assert {one.parts[len(tmp_path.parts) + 1] for one in within(tmp_path) if one.name != "data"} == {folder_of()}


async def test_disk_store_is_with_the_persons_other_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without MCP_DATA_DIR the folder is the operating system's for data of this program."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))  # Linux
    monkeypatch.setenv("HOME", str(tmp_path))  # macOS
    storage = opened()
    await write(storage)

    assert storage.kind == "disk"
    [folder] = within(tmp_path, folder_of())
    assert "m365-mcp" in folder.parts


async def test_folder_that_cannot_be_written_means_memory(tmp_path: Path) -> None:
    """The server starts all the same, and forgets the sign-ins when it stops."""
    (tmp_path / "file").touch()
    storage = opened(mcp_data_dir=tmp_path / "file")
    await write(storage)

    assert storage.kind == "memory"
    assert await read(storage) == EVERYTHING
    await storage.close()


async def test_ping_reads_a_record_of_its_own() -> None:
    """A probe touches no record of a person."""
    records = make_records()

    class Asked(Seen):
        async def get(self, collection: str, key: str) -> str | None:
            asked.append((collection, key))
            return await super().get(collection, key)

    asked: list[tuple[str, str]] = []
    storage = opened(redis_url="memory://")
    await replace(storage, records=Records(Asked(records._backend), records._cipher)).ping()

    assert asked == [("m365-health", "ping")]


def test_default_address_is_this_machine() -> None:
    """Without REDIS_URL only this machine is asked."""
    assert DEFAULT_REDIS_URL == "redis://localhost:6379/0"


async def test_client_of_redis_has_our_limits() -> None:
    """Few connections that wait for each other, short times, few retries; options in the address count more."""
    client = redis_client.connect("redis://user:p%40ss@redis.example:6380/3?socket_timeout=7")
    pool = client.connection_pool
    given = pool.connection_kwargs
    retry = given["retry"]

    assert isinstance(pool, BlockingConnectionPool)
    assert (pool.max_connections, pool.timeout) == (64, 2.0)
    assert (given["host"], given["port"], given["db"]) == ("redis.example", 6380, 3)
    assert (given["username"], given["password"]) == ("user", "p@ss")
    assert (given["socket_timeout"], given["socket_connect_timeout"]) == (7, 1.0)
    assert (given["socket_keepalive"], given["health_check_interval"], given["decode_responses"]) == (True, 30, True)
    assert retry.get_retries() == 2
    assert (retry._backoff._cap, retry._backoff._base) == (0.2, 0.05)
    assert redis_client.connect(NOWHERE).connection_pool.connection_kwargs["socket_timeout"] == 1.0
    await client.aclose()


def test_unknown_option_is_the_operators_mistake() -> None:
    """A misspelt option in REDIS_URL is named at the start, and not at the first call."""
    with pytest.raises(SettingsMistake) as caught:
        redis_client.connect("redis://localhost/0?sockettimeout=1")

    assert caught.value.mistakes == (("REDIS_URL", "has an option that the Redis client does not know"),)


def test_redis_is_reachable_when_it_answers(redis: Redis) -> None:
    """A wrong password, a closed port and a port that never answers are no usable Redis."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        found = [
            redis_client.is_reachable(url)
            for url in (redis.url, f"redis://127.0.0.1:{redis.port}/0", NOWHERE, f"redis://127.0.0.1:{port}/0")
        ]

    assert found == [True, False, False, False]
