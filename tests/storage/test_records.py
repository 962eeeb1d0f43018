"""Records that change by compare-and-swap, and leases, on a real Redis and in one process."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cryptography.fernet import Fernet
from key_value.aio.stores.memory import MemoryStore

from m365_mcp.errors import StorageUnavailable
from m365_mcp.storage.backends import LocalBackend, RedisBackend
from m365_mcp.storage.encryption import RecordCipher
from m365_mcp.storage.guard import Guard
from m365_mcp.storage.leases import Leases
from m365_mcp.storage.records import ABSENT, Records, Versioned, Write
from m365_mcp.storage.redis_client import connect
from tests.backends import make_records, one_node
from tests.e2e.programs import Redis

KEY = Fernet(Fernet.generate_key())


@pytest.fixture(params=["redis", "local"])
async def records(request: pytest.FixtureRequest, redis: Redis) -> AsyncIterator[Records]:
    if request.param == "local":
        yield make_records()
        return
    client = connect(redis.url)
    await client.flushall()
    yield Records(RedisBackend(one_node(client), Guard()), RecordCipher(KEY))
    await client.aclose()


async def test_compare_and_swap_succeeds_from_the_current_version_only(records: Records) -> None:
    """A write from the current version succeeds, and a write from an old version returns None."""
    first = await records.compare_and_swap("c", "k", ABSENT, {"a": 1}, 60)
    assert first is not None
    second = await records.compare_and_swap("c", "k", first, {"a": 2}, 60)

    assert second is not None
    assert await records.compare_and_swap("c", "k", first, {"a": 3}, 60) is None
    assert await records.compare_and_swap("c", "k", ABSENT, {"a": 3}, 60) is None
    assert (await records.read("c", "k")).value == {"a": 2}
    assert await records.compare_and_swap("c", "k", second, None) == Versioned(None, None)
    assert await records.read("c", "k") == ABSENT


async def test_one_of_many_concurrent_creations_succeeds(records: Records) -> None:
    """Fifty concurrent writers create one record."""
    made = await asyncio.gather(*(records.compare_and_swap("c", "k", ABSENT, {"n": n}, 60) for n in range(50)))

    assert sum(stored is not None for stored in made) == 1


async def test_concurrent_increments_are_all_counted(records: Records) -> None:
    """Twenty writers that retry until they succeed increment the counter twenty times."""

    async def add() -> None:
        while True:
            stored = await records.read("c", "n")
            value = {"n": (stored.value or {"n": 0})["n"] + 1}
            if await records.compare_and_swap("c", "n", stored, value, 60) is not None:
                return

    await asyncio.gather(*(add() for _ in range(20)))

    assert (await records.read("c", "n")).value == {"n": 20}


async def test_record_expires_after_its_time(records: Records) -> None:
    """A short-lived record disappears after its time and not before; a long-lived record stays."""
    begun = time.monotonic()
    for key, seconds in (("short", 0.3), ("long", 60)):
        await records.compare_and_swap("c", key, ABSENT, {"a": 1}, seconds)

    # The store uses its own clock.
    while (await records.read("c", "short")).value is not None and time.monotonic() < begun + 10:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    lifetime = time.monotonic() - begun

    assert 0.29 < lifetime < 10  # Redis counts milliseconds
    assert (await records.read("c", "long")).value == {"a": 1}


async def test_sessions_can_be_listed(records: Records) -> None:
    """The backend lists every key of the collection except the deleted ones."""
    for key in ("one", "two", "three"):
        stored = await records.compare_and_swap("m365-sessions", key, ABSENT, {}, 60)
    assert stored is not None
    await records.compare_and_swap("m365-sessions", "three", stored, None)

    assert {key async for key in records.keys("m365-sessions")} == {"one", "two"}


@pytest.mark.parametrize(
    "planted",
    [b"\xff\xfe\x00", b'{"value":', b"{}", Fernet(Fernet.generate_key()).encrypt(b"x")],
    ids=["bytes", "cut JSON", "empty", "another key"],
)
async def test_e9_s9_record_that_is_garbage_counts_as_missing(redis: Redis, planted: bytes) -> None:
    """E9/S9: random bytes, cut JSON and another key's ciphertext count as missing, and a write replaces them."""
    client = connect(redis.url)
    records = Records(RedisBackend(one_node(client), Guard()), RecordCipher(KEY))
    await client.set("c:garbage", planted)

    stored = await records.read("c", "garbage")

    assert stored.value is None
    assert await records.compare_and_swap("c", "garbage", stored, {"a": 1}, 60) is not None
    assert (await records.read("c", "garbage")).value == {"a": 1}
    await client.aclose()


async def test_record_is_created_and_another_one_read_in_one_step(records: Records) -> None:
    """The second caller creates nothing, and both see the other record, which may be missing."""
    lease = Write("c", "lease", {"holder": "a"}, 60)
    first = await records.create_and_read(lease, "c", "k")
    await records.compare_and_swap("c", "k", ABSENT, {"a": 1}, 60)
    second = await records.create_and_read(lease, "c", "k")

    assert first[0] is not None
    assert (first[0].value, first[1]) == ({"holder": "a"}, ABSENT)
    assert second == (None, await records.read("c", "k"))
    assert second[1].value == {"a": 1}
    assert await records.compare_and_swap("c", "k", second[1], {"a": 2}, 60) is not None


@pytest.mark.parametrize("planted", [b"\xff\xfe\x00", None, b'{"value":'], ids=["bytes", "a list", "cut JSON"])
async def test_e9_garbage_beside_a_new_record_counts_as_missing(redis: Redis, planted: bytes | None) -> None:
    """E9: what cannot be read does not hide that the record was created."""
    client = connect(redis.url)
    await client.flushall()
    records = Records(RedisBackend(one_node(client), Guard()), RecordCipher(KEY))
    await (client.rpush("c:k", "x") if planted is None else client.set("c:k", planted))

    created, found = await records.create_and_read(Write("c", "lease", {"holder": "a"}, 60), "c", "k")

    assert created is not None
    assert found.value is None
    assert await records.compare_and_swap("c", "k", found, {"a": 1}, 60) is not None
    await client.aclose()


@pytest.mark.parametrize("kind", ["hash", "list", "set", "sorted set", "stream"])
async def test_h11_value_of_another_type_counts_as_missing_and_hides_no_other(redis: Redis, kind: str) -> None:
    """H11: whoever can write to Redis stops nobody from listing and ending what lies beside."""
    client = connect(redis.url)
    await client.flushall()
    records = Records(RedisBackend(one_node(client), Guard()), RecordCipher(KEY))
    await records.compare_and_swap("m365-sessions", "good", ABSENT, {"a": 1}, 60)
    plant: dict[str, Any] = {
        "hash": ("HSET", "f", "v"),
        "list": ("RPUSH", "v"),
        "set": ("SADD", "v"),
        "sorted set": ("ZADD", "1", "v"),
        "stream": ("XADD", "*", "f", "v"),
    }
    command, *values = plant[kind]
    await client.execute_command(command, "m365-sessions:bad", *values)  # type: ignore[no-untyped-call]
    swapped = await records.compare_and_swap("m365-sessions", "bad", ABSENT, {"a": 2}, 60)
    found = {key: (await records.read("m365-sessions", key)).value async for key in records.keys("m365-sessions")}
    again = await records.compare_and_swap("m365-sessions", "bad", ABSENT, {"a": 2}, 60)
    await client.aclose()

    assert swapped is None
    assert found == {"good": {"a": 1}}
    assert again is not None


@pytest.mark.parametrize("name", [b"m365-sessions:\xff\xfe", b"m365-sessions:", b"m365-sessions:a:b\n\x00\x1b[2J"])
async def test_h11_key_that_is_no_text_hides_no_other(redis: Redis, name: bytes) -> None:
    """H11: a planted key of any bytes stops nobody from listing and ending what lies beside."""
    client = connect(redis.url)
    await client.flushall()
    records = Records(RedisBackend(one_node(client), Guard()), RecordCipher(KEY))
    await records.compare_and_swap("m365-sessions", "good", ABSENT, {"a": 1}, 60)
    await client.set(name, "planted")
    found = {key: (await records.read("m365-sessions", key)).value async for key in records.keys("m365-sessions")}
    await client.aclose()

    assert {key: value for key, value in found.items() if value is not None} == {"good": {"a": 1}}


@pytest.mark.parametrize("old", [None, {"a": 0}])
async def test_write_whose_response_was_lost_counts_as_made(redis: Redis, old: dict[str, int] | None) -> None:
    """The Redis client reports a lost connection as a lost race, or asks again; the record tells who has written it."""
    client = connect(redis.url)
    await client.flushall()
    records = Records(RedisBackend(one_node(client), Guard()), RecordCipher(KEY))
    stored = ABSENT if old is None else await records.compare_and_swap("m365-sessions", "x", ABSENT, old, 60)
    assert stored is not None
    cutting = await cut_after(redis, b"$4\r\nEXEC\r\n" if old else b"$3\r\nSET\r\n")
    through = connect(cutting.url)

    written = await Records(RedisBackend(one_node(through), Guard()), RecordCipher(KEY)).compare_and_swap(
        "m365-sessions", "x", stored, {"a": 1}, 60
    )
    found = await records.read("m365-sessions", "x")
    await asyncio.gather(through.aclose(), client.aclose(), cutting.close())

    assert cutting.cuts == 1
    assert written is not None
    assert found.value == {"a": 1}


class Cutting:
    """A way to Redis that loses the first response to a command, which Redis has carried out."""

    def __init__(self, redis: Redis, command: bytes) -> None:
        self._redis, self._command = redis, command
        self.cuts = 0
        self.url = ""

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = self._redis.url.replace(f":{self._redis.port}/", f":{self._server.sockets[0].getsockname()[1]}/")

    async def close(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_redis, to_redis = await asyncio.open_connection("127.0.0.1", self._redis.port)
        while request := await reader.read(65_536):
            to_redis.write(request)
            response = await from_redis.read(65_536)
            if self._command in request and not self.cuts:
                self.cuts += 1
                break
            writer.write(response)
        writer.transport.abort()
        to_redis.transport.abort()


async def cut_after(redis: Redis, command: bytes) -> Cutting:
    cutting = Cutting(redis, command)
    await cutting.open()
    return cutting


async def test_s11_record_copied_to_another_key_counts_as_missing(redis: Redis) -> None:
    """The cipher does not decrypt a ciphertext that was copied to another key."""
    client = connect(redis.url)
    records = Records(RedisBackend(one_node(client), Guard()), RecordCipher(KEY))
    await records.compare_and_swap("c", "mine", ABSENT, {"who": "me"}, 60)

    await client.copy("c:mine", "c:yours", replace=True)

    assert (await records.read("c", "yours")).value is None
    await client.aclose()


async def test_lease_has_one_holder_at_a_time(records: Records) -> None:
    """Ten replicas that ask for the same lease hold it one after the other."""
    running = most = 0

    async def work() -> None:
        nonlocal running, most
        async with Leases(records).hold("work", wait_seconds=30):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.005)
            running -= 1

    await asyncio.gather(*(work() for _ in range(10)))

    assert most == 1


async def test_c10_lease_outlives_its_time_while_the_work_lasts(records: Records) -> None:
    """C10: the holder renews the lease while the work runs, and other callers wait."""
    leases = Leases(records, seconds=1.5, renew_seconds=0.05)
    async with leases.hold("work", wait_seconds=1):
        with pytest.raises(TimeoutError):
            async with leases.hold("work", wait_seconds=2):
                raise AssertionError("two at once")

    async with leases.hold("work", wait_seconds=1):
        pass


async def test_lease_of_a_dead_replica_expires(records: Records) -> None:
    """Another replica waits until the lease of a dead replica expires, and then holds it."""
    begun = time.monotonic()
    await records.compare_and_swap("m365-leases", "work", ABSENT, {"holder": "dead"}, 0.3)

    async with Leases(records).hold("work", wait_seconds=10):
        waited = time.monotonic() - begun

    assert waited > 0.29  # Redis counts milliseconds


async def test_lease_without_a_store_raises_an_outage() -> None:
    """`hold` raises StorageUnavailable when the store does not respond."""
    client = connect("redis://127.0.0.1:1/0")
    records = Records(RedisBackend(one_node(client), Guard()), RecordCipher(KEY))

    with pytest.raises(StorageUnavailable):
        async with Leases(records).hold("work", wait_seconds=1):
            pass
    await client.aclose()


async def test_every_key_of_the_collection_is_listed_in_few_requests(redis: Redis) -> None:
    """Twelve hundred keys, also with a colon, come in a handful of requests; other collections do not show."""
    client = connect(redis.url)
    await client.flushall()
    records = Records(RedisBackend(one_node(client), Guard()), RecordCipher(KEY))
    keys = {f"key:{number}" for number in range(1200)}
    await client.mset({f"c:{key}": "x" for key in keys} | {f"other:{number}": "x" for number in range(300)})
    before = await _scans(client)

    found = [key async for key in records.keys("c")]

    assert sorted(found) == sorted(keys)
    assert await _scans(client) - before <= 6
    await client.flushall()
    await client.aclose()


async def _scans(client: Any) -> int:
    stats = await client.info("commandstats")
    return int(stats.get("cmdstat_scan", {"calls": 0})["calls"])


async def test_record_lives_to_the_millisecond_in_redis(redis: Redis) -> None:
    """Redis gets the time in milliseconds, and at least one, because it refuses less."""
    client = connect(redis.url)
    records = Records(RedisBackend(one_node(client), Guard()), RecordCipher(KEY))

    assert await records.compare_and_swap("c", "long", ABSENT, {}, 60) is not None
    assert await records.compare_and_swap("c", "short", ABSENT, {}, 0) is not None

    assert 50_000 < await client.pttl("c:long") <= 60_000
    await client.aclose()


async def test_index_of_local_sessions_is_where_v0_1_0_had_it() -> None:
    """Only a listed collection has an index, which is a record of its own with a list of keys."""
    under = MemoryStore()
    backend = LocalBackend(under, ("m365-sessions",))
    for collection in ("m365-sessions", "c"):
        assert await backend.compare_and_swap(collection, "k", None, "text", 60)
        assert await backend.compare_and_swap(collection, "k2", None, "text", 60)
        assert await backend.compare_and_swap(collection, "k", "text", "new text", 60)
        assert await backend.compare_and_swap(collection, "k2", "text", None, 0)

    assert await under.get("keys", collection="m365-sessions-index") == {"keys": ["k"]}
    assert await under.get("keys", collection="c-index") is None
    assert await under.get("k", collection="m365-sessions") == {"text": "new text"}
    assert [key async for key in backend.keys("m365-sessions")] == ["k"]
    assert [key async for key in backend.keys("c")] == []


def test_ciphertext_shows_in_no_representation() -> None:
    """The version of a record is its ciphertext, and stays out of a repr."""
    assert repr(Versioned({"a": 1}, "hush")) == "Versioned(value={'a': 1})"
