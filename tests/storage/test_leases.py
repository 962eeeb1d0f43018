"""Leases over a store that fails, is slow to give, or holds rubbish; `test_records` has leases on a real Redis."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Sequence

import pytest

from m365_mcp.errors import StorageUnavailable
from m365_mcp.storage import leases
from m365_mcp.storage.backends import Backend, Text
from m365_mcp.storage.leases import Leases
from m365_mcp.storage.records import ABSENT, Records
from tests.backends import make_records


class Failing:
    """A backend that counts reads, and fails the next so many writes."""

    def __init__(self, under: Backend) -> None:
        self._under = under
        self.reads = 0
        self.failing = 0
        self.written: list[tuple[bool, float]] = []
        self.renewed = asyncio.Event()

    async def get(self, collection: str, key: str) -> str | None:
        self.reads += 1
        return await self._under.get(collection, key)

    async def create(self, texts: Sequence[Text]) -> list[bool]:
        self._fail()
        self.written.extend((True, text.seconds) for text in texts)
        return await self._under.create(texts)

    async def create_and_get(self, text: Text, collection: str, key: str) -> tuple[bool, str | None]:
        [is_new] = await self.create([text])
        return is_new, await self._under.get(collection, key)

    async def overwrite(self, texts: Sequence[Text]) -> None:
        self._fail()
        self.written.extend((text.text is not None, text.seconds) for text in texts)
        await self._under.overwrite(texts)

    def _fail(self) -> None:
        if self.failing:
            self.failing -= 1
            raise StorageUnavailable

    async def compare_and_swap(
        self, collection: str, key: str, old: str | None, new: str | None, seconds: float
    ) -> bool:
        self._fail()
        self.written.append((new is not None, seconds))
        if old is not None and new is not None:
            self.renewed.set()
        return await self._under.compare_and_swap(collection, key, old, new, seconds)

    def keys(self, collection: str) -> AsyncIterator[str]:
        return self._under.keys(collection)


def over_failing() -> tuple[Failing, Records]:
    records = make_records()
    backend = Failing(records._backend)
    return backend, Records(backend, records._cipher)


async def test_lease_is_recorded_for_four_seconds_with_its_holder() -> None:
    """Every version finds the lease at the same place; the holder has a random name of 16 hexadecimal digits."""
    backend, records = over_failing()
    names = []
    for _ in range(2):
        async with Leases(records).hold("work", wait_seconds=1):
            stored = await records.read("m365-leases", "work")
            assert stored.value is not None
            assert list(stored.value) == ["holder"]
            names.append(stored.value["holder"])

    assert [len(bytes.fromhex(name)) for name in names] == [8, 8]
    assert names[0] != names[1]
    assert backend.written == [(True, 4.0), (False, 0)] * 2
    assert inspect.signature(Leases).parameters["renew_seconds"].default == 1.0
    assert (leases.FIRST_POLL_SECONDS, leases.LONGEST_POLL_SECONDS) == (0.03, 0.25)


async def test_lease_is_held_while_the_block_runs() -> None:
    """Any replica can ask whether somebody is at work."""
    _, records = over_failing()
    one, other = Leases(records), Leases(records)

    before = await other.is_held("work")
    async with one.hold("work", wait_seconds=1):
        during, elsewhere = await other.is_held("work"), await other.is_held("other work")

    assert (before, during, elsewhere, await other.is_held("work")) == (False, True, False, False)


async def test_record_of_the_work_is_as_it_was_when_the_lease_was_acquired() -> None:
    """Whoever waited for the lease sees what its holder has stored last."""
    records = make_records()
    waiting = asyncio.Event()

    async def wait() -> dict[str, int] | None:
        waiting.set()
        async with Leases(records).hold_record("work", ("c", "k"), 5) as found:
            return found.value

    async with Leases(records).hold_record("work", ("c", "k"), 1) as nothing:
        waiter = asyncio.create_task(wait())
        await waiting.wait()
        await records.compare_and_swap("c", "k", nothing, {"n": 1}, 60)

    assert nothing == ABSENT
    assert await waiter == {"n": 1}
    assert not await Leases(records).is_held("work")


async def test_record_is_read_after_an_unreadable_lease_was_replaced() -> None:
    """The lease came later than the first read, so the record is read again."""
    backend, records = over_failing()
    await backend.compare_and_swap("m365-leases", "work", None, "no ciphertext", 60)
    asked = backend.reads

    async with Leases(records).hold_record("work", ("c", "k"), 1) as found:
        assert found == ABSENT
        assert await Leases(records).is_held("work")
    assert backend.reads == asked + 3  # the lease, the record, and the question of this test


async def test_first_free_lease_of_several_is_acquired() -> None:
    """Somebody who may have any of three gets the one that is free."""
    _, records = over_failing()
    both = Leases(records)
    async with both.hold("one", wait_seconds=1), both.hold("two", wait_seconds=1):
        lease = await both.acquire(("one", "two", "three"), 1)
        with pytest.raises(TimeoutError):
            await both.acquire(("one", "two", "three"), 0)

    assert lease.name == "three"


async def test_unreadable_lease_is_replaced() -> None:
    """A lease of another encryption key blocks nobody."""
    backend, records = over_failing()
    _, strangers = over_failing()
    text = strangers._cipher.encrypt({"holder": "x"}, "m365-leases", "work")
    await backend.compare_and_swap("m365-leases", "work", None, text, 60)

    async with Leases(records).hold("work", wait_seconds=0.1):
        assert await Leases(records).is_held("work")


async def test_waiting_asks_less_and_less_often() -> None:
    """The pauses grow from 30 milliseconds to a quarter of a second, so that waiting costs the store little."""
    backend, records = over_failing()
    await records.compare_and_swap("m365-leases", "work", ABSENT, {"holder": "another"}, 60)

    with pytest.raises(TimeoutError):
        await Leases(records).acquire(("work",), 0.6)

    # 30, 45, 68, 101, 152 and 228 milliseconds are the shortest pauses.
    assert 3 <= backend.reads <= 7


async def test_lease_outlives_an_outage_that_is_shorter_than_it_is() -> None:
    """A renewal that the store does not answer is tried again."""
    backend, records = over_failing()
    async with Leases(records, seconds=60, renew_seconds=0.01).hold("work", wait_seconds=1):
        backend.failing = 2
        async with asyncio.timeout(10):
            await backend.renewed.wait()
        held = await Leases(records).is_held("work")

    assert backend.failing == 0
    assert held
    assert not await Leases(records).is_held("work")


async def test_release_that_fails_is_no_error() -> None:
    """The work is done, and the lease expires by itself."""
    backend, records = over_failing()

    async with Leases(records).hold("work", wait_seconds=1):
        backend.failing = 1

    assert backend.failing == 0
    assert await Leases(records).is_held("work")


async def test_lost_lease_is_not_taken_from_its_new_holder() -> None:
    """When another replica has the lease, renewal stops, and the end of the block leaves that lease alone."""
    backend, records = over_failing()
    async with Leases(records, renew_seconds=0.01).hold("work", wait_seconds=1):
        stored = await records.read("m365-leases", "work")
        await records.compare_and_swap("m365-leases", "work", stored, {"holder": "another"}, 60)
        backend.renewed.clear()
        async with asyncio.timeout(10):
            await backend.renewed.wait()

    assert (await records.read("m365-leases", "work")).value == {"holder": "another"}
