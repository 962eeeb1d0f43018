"""Leases: only the replica that holds a lease does the work, and it renews the lease while the work runs.

The lease of a dead replica expires. A lease makes double work unlikely, not impossible: a frozen process may resume
after its lease has expired. So callers store the result of the work with `Records.compare_and_swap`, which refuses the
write of the late process.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from m365_mcp import logs
from m365_mcp.errors import StorageUnavailable
from m365_mcp.retries import jittered
from m365_mcp.storage.records import Records, Versioned

LEASE_SECONDS = 4.0
RENEW_SECONDS = 1.0
FIRST_POLL_SECONDS, LONGEST_POLL_SECONDS = 0.03, 0.25
_COLLECTION = "m365-leases"
_log = logs.get(__name__)


@dataclass(frozen=True)
class Lease:
    """An acquired lease: its name and its record."""

    name: str
    stored: Versioned


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

    async def acquire(self, names: tuple[str, ...], wait_seconds: float) -> Lease:
        """Acquire a lease on one of `names` and return it; pass it to `renewing`. Raises as `hold` does."""
        deadline = time.monotonic() + wait_seconds
        pause = FIRST_POLL_SECONDS
        while True:
            for name in names:
                stored = await self._records.read(_COLLECTION, name)
                # A lease that cannot be decrypted counts as missing, and the new lease replaces it.
                if stored.value is None:
                    lease = await self._records.compare_and_swap(_COLLECTION, name, stored, _holder(), self._seconds)
                    if lease is not None:
                        return Lease(name, lease)
            left = deadline - time.monotonic()
            if pause > left:
                raise TimeoutError
            await asyncio.sleep(jittered(pause, left))
            pause = min(pause * 1.5, LONGEST_POLL_SECONDS)

    async def is_held(self, name: str) -> bool:
        """Return whether a replica holds this lease. Raises StorageUnavailable."""
        return (await self._records.read(_COLLECTION, name)).value is not None

    @asynccontextmanager
    async def renewing(self, lease: Lease) -> AsyncIterator[None]:
        """Renew a lease while the block runs, then release it."""
        done = asyncio.Event()
        renewal = asyncio.create_task(self._renew(lease.name, lease.stored, done))
        try:
            yield
        finally:
            done.set()
            await self._release(lease.name, await renewal)

    async def _renew(self, name: str, lease: Versioned, done: asyncio.Event) -> Versioned:
        """Renew the lease until the work is done; return the last record of the lease."""
        while not await _wait_for(done, self._renew_seconds):
            try:
                renewed = await self._records.compare_and_swap(_COLLECTION, name, lease, lease.value, self._seconds)
            except StorageUnavailable:
                continue  # the store may respond again before the lease expires
            if renewed is None:
                _log.warning("lease_lost")
                return lease
            lease = renewed
        return lease

    async def _release(self, name: str, lease: Versioned) -> None:
        # When the store does not respond, the lease expires without a release.
        with contextlib.suppress(StorageUnavailable):
            await self._records.compare_and_swap(_COLLECTION, name, lease, None)


def _holder() -> dict[str, str]:
    return {"holder": secrets.token_hex(8)}


async def _wait_for(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
