"""Two limits for one person, over all replicas: concurrent requests to the mailbox, and messages to one address.

Source of the first: Graph "Throttling limits": four concurrent requests for one application and mailbox; Graph answers
more with 429. The second keeps a runaway assistant from flooding a mailbox.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from m365_mcp.errors import M365Error, OutcomeUnknown, RateLimited, StorageUnavailable, Throttled
from m365_mcp.person import PersonId
from m365_mcp.storage.leases import Leases
from m365_mcp.storage.records import Records

SLOTS = 4
WAIT_SECONDS = 30.0


@dataclass(frozen=True)
class MailboxSlots:
    """The slots of every mailbox.

    Attributes:
        leases: each slot is a lease.
        wait_seconds: how long a call waits for a slot.
    """

    leases: Leases
    wait_seconds: float = WAIT_SECONDS

    @asynccontextmanager
    async def slot(self, person: PersonId) -> AsyncIterator[None]:
        """Hold one slot while the block runs.

        Raises:
            Throttled: no slot became free in time; the block did not run.
            StorageUnavailable: the store does not respond; the block did not run.
        """
        # The digest of v0.1.0: both versions count the same slots during an upgrade.
        mailbox = hashlib.sha256("/".join(person).encode()).hexdigest()[:32]
        names = tuple(f"mailbox.{mailbox}.{number}" for number in range(SLOTS))
        try:
            lease = await self.leases.acquire(names, self.wait_seconds)
        except TimeoutError as error:
            raise Throttled("This mailbox is busy with other messages.", retry_after=10) from error
        async with self.leases.renewing(lease):
            yield


_COLLECTION = "m365-frequency"
HOUR = 3600
_TRIES = 20


@dataclass(frozen=True)
class RecipientRateLimit:
    """Counts messages by person, address and hour.

    Attributes:
        records: the store of the counts, shared by all replicas.
        per_hour: the most messages to one address in an hour; 0 for no limit.
        clock: returns epoch seconds; for tests.
    """

    records: Records
    per_hour: int
    clock: Callable[[], float] = time.time

    @asynccontextmanager
    async def counting(self, person: PersonId, addresses: tuple[str, ...]) -> AsyncIterator[None]:
        """Count one message to these addresses while the block sends it; a message that is refused does not count.

        Raises:
            RateLimited: one address has reached the limit for this hour; no address is counted, the block did not run.
            StorageUnavailable: the store does not respond, or other calls always changed the record first.
        """
        if not self.per_hour:
            yield
            return
        hour = int(self.clock()) // HOUR
        await self._count(person, addresses, hour)
        try:
            yield
        except OutcomeUnknown:
            raise
        except M365Error:
            with suppress(StorageUnavailable):  # then the address has one message less in this hour
                await self._add(person, addresses, hour, -1)
            raise

    async def _count(self, person: PersonId, addresses: tuple[str, ...], hour: int) -> None:
        if not await self._add(person, addresses, hour, 1):
            raise RateLimited(retry_after=float((hour + 1) * HOUR - int(self.clock())))

    async def _add(self, person: PersonId, addresses: tuple[str, ...], hour: int, number: int) -> bool:
        """Add `number` to the count of each address; return False if the limit forbids it."""
        key = _digest(f"{'/'.join(person)} {hour}")
        names = {_digest(address.casefold())[:16] for address in addresses}
        for _ in range(_TRIES):
            stored = await self.records.read(_COLLECTION, key)
            counts: dict[str, int] = dict(stored.value or {})
            if number > 0 and any(counts.get(name, 0) >= self.per_hour for name in names):
                return False
            later = counts | {name: max(0, counts.get(name, 0) + number) for name in names}
            if await self.records.compare_and_swap(_COLLECTION, key, stored, later, HOUR) is not None:
                return True
        raise StorageUnavailable


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
