"""Work that only one replica at a time may do: a lease in the store, kept up while the work lasts.

The lease of a replica that dies expires. A lease makes double work unlikely, not impossible: a frozen process may wake
up after its lease. So the result of the work is stored with `Records.compare_and_swap`, which refuses the late process.
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
FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 0.03, 0.25
_COLLECTION = "m365-leases"
_log = logs.get(__name__)


@dataclass(frozen=True)
class Lease:
    """A lease that was acquired: its name and its record."""

    name: str
    stored: Versioned


class Leases:
    """Hands out leases.

    Args:
        records: where they are kept.
        seconds: how long a lease outlives a holder that has died.
        renewed_every: how often a living holder renews it, in seconds.
    """

    def __init__(self, records: Records, seconds: float = LEASE_SECONDS, renewed_every: float = RENEW_SECONDS) -> None:
        self._records = records
        self._seconds = seconds
        self._renewed_every = renewed_every

    @asynccontextmanager
    async def hold(self, name: str, wait_seconds: float) -> AsyncIterator[None]:
        """Hold the lease `name` while the block runs.

        Args:
            name: what is worked on.
            wait_seconds: how long to wait for the present holder.

        Raises:
            TimeoutError: it was not to be had in that time.
            StorageUnavailable: the store does not answer.
        """
        async with self.held_while(await self.acquire((name,), wait_seconds)):
            yield

    async def acquire(self, names: tuple[str, ...], wait_seconds: float) -> Lease:
        """Return a lease on one of `names`, to be handed to `held_while`; raises as `hold` does."""
        deadline = time.monotonic() + wait_seconds
        pause = FIRST_LOOK_SECONDS
        while True:
            for name in names:
                stored = await self._records.read(_COLLECTION, name)
                # One that cannot be read holds nothing, and is replaced.
                if stored.value is None:
                    lease = await self._records.compare_and_swap(_COLLECTION, name, stored, _holder(), self._seconds)
                    if lease is not None:
                        return Lease(name, lease)
            left = deadline - time.monotonic()
            if pause > left:
                raise TimeoutError
            await asyncio.sleep(jittered(pause, left))
            pause = min(pause * 1.5, LAST_LOOK_SECONDS)

    async def is_held(self, name: str) -> bool:
        """Return whether somebody holds this lease. Raises StorageUnavailable."""
        return (await self._records.read(_COLLECTION, name)).value is not None

    @asynccontextmanager
    async def held_while(self, lease: Lease) -> AsyncIterator[None]:
        """Keep a lease while the block runs, then give it back."""
        done = asyncio.Event()
        keeper = asyncio.create_task(self._keep(lease.name, lease.stored, done))
        try:
            yield
        finally:
            done.set()
            await self._release(lease.name, await keeper)

    async def _keep(self, name: str, lease: Versioned, done: asyncio.Event) -> Versioned:
        """Renew the lease until the work is done, and return it as it was last."""
        while not await _wait_for(done, self._renewed_every):
            try:
                renewed = await self._records.compare_and_swap(_COLLECTION, name, lease, lease.value, self._seconds)
            except StorageUnavailable:
                continue  # it may be back before the lease has run out
            if renewed is None:
                _log.warning("lease_lost")
                return lease
            lease = renewed
        return lease

    async def _release(self, name: str, lease: Versioned) -> None:
        # If it cannot be given back it runs out by itself.
        with contextlib.suppress(StorageUnavailable):
            await self._records.compare_and_swap(_COLLECTION, name, lease, None)


def _holder() -> dict[str, str]:
    return {"holder": secrets.token_hex(8)}


async def _wait_for(event: asyncio.Event, within: float) -> bool:
    try:
        async with asyncio.timeout(within):
            return await event.wait()
    except TimeoutError:
        return False
