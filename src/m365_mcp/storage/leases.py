"""Leases: only the replica that holds a lease does the work, and it renews the lease while the work runs.

The lease of a dead replica expires. A lease makes double work unlikely, not impossible: a frozen process may resume
after its lease has expired. So callers store the result of the work with `Records.compare_and_swap`, which refuses the
write of the late process, or overwrite only what is true whoever wrote last.

A lease is acquired and released in one round trip each; the first may also read the record that the work is about. A
holder that renewed it a moment ago deletes it; any other compares first, because the lease may have a new holder.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from m365_mcp import logs
from m365_mcp.errors import StorageUnavailable
from m365_mcp.retries import jittered
from m365_mcp.storage.guard import OPERATION_SECONDS
from m365_mcp.storage.records import Records, Versioned, Write

LEASE_SECONDS = 4.0
RENEW_SECONDS = 1.0
FIRST_POLL_SECONDS, LONGEST_POLL_SECONDS = 0.03, 0.25
_COLLECTION = "m365-leases"
T = TypeVar("T")
_log = logs.get(__name__)


@dataclass
class Lease:
    """An acquired lease.

    Attributes:
        name: the name of the work.
        stored: its record.
        sure_until: until when no other process can have it, in monotonic seconds.
        is_released: whether the holder has deleted it, with its last write.
    """

    name: str
    stored: Versioned = field(repr=False)
    sure_until: float
    is_released: bool = False

    @property
    def is_sure(self) -> bool:
        """Whether a write that begins now is over before another process can have the lease."""
        return time.monotonic() < self.sure_until


class Leases:
    """Acquires, renews and releases leases.

    Args:
        records: the store of the leases.
        seconds: how long a lease lasts after its holder renewed it last.
        renew_seconds: pause between two renewals, in seconds.
    """

    def __init__(self, records: Records, seconds: float = LEASE_SECONDS, renew_seconds: float = RENEW_SECONDS) -> None:
        self._records = records
        self._seconds = seconds
        self._renew_seconds = renew_seconds

    @asynccontextmanager
    async def hold(self, name: str, wait_seconds: float) -> AsyncIterator[None]:
        """Hold the lease `name` while the block runs.

        Args:
            name: the name of the work.
            wait_seconds: how long to wait until the current holder releases the lease.

        Raises:
            TimeoutError: another holder had the lease for all that time.
            StorageUnavailable: the store does not respond.
        """
        async with self.renewing(await self.acquire((name,), wait_seconds)):
            yield

    @asynccontextmanager
    async def hold_record(self, name: str, address: tuple[str, str], wait_seconds: float) -> AsyncIterator[Versioned]:
        """Hold the lease of work on a record, which is read in the same round trip, while the block runs.

        Args:
            name: the name of the work.
            address: the collection and the key of the record.
            wait_seconds: how long to wait until the current holder releases the lease.

        Returns:
            The record, as it was when the lease was acquired.

        Raises:
            TimeoutError: another holder had the lease for all that time.
            StorageUnavailable: the store does not respond.
        """
        lease, found = await self._acquire((name,), wait_seconds, lambda name: self._try_record(name, address))
        async with self.renewing(lease):
            yield found

    async def acquire(self, names: tuple[str, ...], wait_seconds: float) -> Lease:
        """Acquire a lease on one of `names` and return it; pass it to `renewing`. Raises as `hold` does."""
        return await self._acquire(names, wait_seconds, self._try)

    async def _acquire(
        self, names: tuple[str, ...], wait_seconds: float, attempt: Callable[[str], Awaitable[T | None]]
    ) -> T:
        deadline = time.monotonic() + wait_seconds
        pause = FIRST_POLL_SECONDS
        while True:
            for name in names:
                acquired = await attempt(name)
                if acquired is not None:
                    return acquired
            left = deadline - time.monotonic()
            if pause > left:
                raise TimeoutError
            await asyncio.sleep(jittered(pause, left))
            pause = min(pause * 1.5, LONGEST_POLL_SECONDS)

    async def _try(self, name: str) -> Lease | None:
        began = time.monotonic()
        write = self.write_of(name)
        [created] = await self._records.create(write)
        lease = created or await self._taken_over(write)
        return None if lease is None else self.acquired(name, lease, began)

    async def _try_record(self, name: str, address: tuple[str, str]) -> tuple[Lease, Versioned] | None:
        began = time.monotonic()
        write = self.write_of(name)
        created, found = await self._records.create_and_read(write, *address)
        if created is not None:
            return self.acquired(name, created, began), found
        lease = await self._taken_over(write)
        # What was read before the lease was had may be old.
        return None if lease is None else (self.acquired(name, lease, began), await self._records.read(*address))

    async def _taken_over(self, write: Write) -> Versioned | None:
        """Return the lease that is there if it is this one, or no lease at all; None if another holder has it."""
        stored = await self._records.read(*write.address)
        if stored.value == write.value:  # the Redis client asked again after a lost response
            return stored
        if stored.value is None and stored.version is not None:
            # A lease that cannot be decrypted counts as missing, and the new lease replaces it.
            return await self._records.compare_and_swap(*write.address, stored, write.value, self._seconds)
        return None

    def write_of(self, name: str) -> Write:
        """Return what acquires the lease, for a caller that creates it together with other records."""
        return Write(_COLLECTION, name, {"holder": secrets.token_hex(8)}, self._seconds)

    def acquired(self, name: str, stored: Versioned, began: float) -> Lease:
        """Return the lease whose record was created; `began`: before the store was asked, in monotonic seconds."""
        return Lease(name, stored, began + self._seconds - OPERATION_SECONDS)

    @asynccontextmanager
    async def releasing(self, *leases: Lease) -> AsyncIterator[list[Write]]:
        """Have the block release leases that are sure, by writing what this yields together with other records.

        Raises:
            TimeoutError: the write did not end while the leases were sure; it may have been made.
        """
        _mark(leases, is_released=True)
        try:
            async with asyncio.timeout(OPERATION_SECONDS):  # with the wait for its turn: `is_sure` counts on it
                yield [Write(_COLLECTION, lease.name, None) for lease in leases]
        except BaseException:
            _mark(leases, is_released=False)
            for lease in leases:
                lease.sure_until = 0.0  # it may have been deleted, and have a new holder
            raise

    async def is_held(self, name: str) -> bool:
        """Return whether a replica holds this lease. Raises StorageUnavailable."""
        return (await self._records.read(_COLLECTION, name)).value is not None

    @asynccontextmanager
    async def renewing(self, lease: Lease) -> AsyncIterator[Lease]:
        """Renew a lease while the block runs, then release it; yield the lease."""
        done = asyncio.Event()
        renewals: list[asyncio.Task[None]] = []

        def begin() -> None:
            renewals.append(asyncio.create_task(self._renew(lease, done)))

        # Most work ends before the first renewal, and a timer costs less than a task that waits.
        timer = asyncio.get_running_loop().call_later(self._renew_seconds, begin)
        try:
            yield lease
        finally:
            timer.cancel()
            done.set()
            for renewal in renewals:
                await renewal
            await self.release(lease)

    async def _renew(self, lease: Lease, done: asyncio.Event) -> None:
        """Renew the lease, again and again, until the work is done or the lease is lost."""
        while not done.is_set() and await self._renew_once(lease):
            await _wait_for(done, self._renew_seconds)

    async def _renew_once(self, lease: Lease) -> bool:
        """Renew the lease; return False when it is lost or released."""
        began = time.monotonic()
        try:
            renewed = await self._records.compare_and_swap(
                _COLLECTION, lease.name, lease.stored, lease.stored.value, self._seconds
            )
            if renewed is None and not lease.is_released:  # or an earlier renewal was made and its response lost
                found = await self._records.read(_COLLECTION, lease.name)
                renewed = found if found.value == lease.stored.value else None
        except StorageUnavailable:
            return True  # the store may respond again before the lease expires
        if renewed is not None:
            lease.stored, lease.sure_until = renewed, self.acquired(lease.name, renewed, began).sure_until
            return True
        if not lease.is_released:
            _log.warning("lease_lost")
            lease.sure_until = began
        return False

    async def release(self, lease: Lease) -> None:
        """Release a lease; when the store does not respond, the lease expires."""
        if lease.is_released:
            return
        with contextlib.suppress(StorageUnavailable, TimeoutError):
            if lease.is_sure:
                async with self.releasing(lease) as writes:
                    await self._records.overwrite(*writes)
            else:
                await self._records.compare_and_swap(_COLLECTION, lease.name, lease.stored, None)


def _mark(leases: Iterable[Lease], *, is_released: bool) -> None:
    for lease in leases:
        lease.is_released = is_released


async def _wait_for(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
