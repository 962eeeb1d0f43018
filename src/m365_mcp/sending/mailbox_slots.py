"""The slots of a mailbox: how many requests may run for it at a time, over all replicas.

Source: Graph "Throttling limits": four concurrent requests for one application and mailbox; Graph answers more with
429.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from m365_mcp.errors import Throttled
from m365_mcp.person import PersonId
from m365_mcp.storage.leases import Lease, Leases

SLOTS = 4
WAIT_SECONDS = 30.0


@dataclass(frozen=True)
class MailboxSlots:
    """The slots of every mailbox.

    Attributes:
        leases: each slot is a lease.
        wait_seconds: how long a call waits for a slot.
        on_refusal: is told of each call that found no slot in time.
    """

    leases: Leases
    wait_seconds: float = WAIT_SECONDS
    on_refusal: Callable[[], None] = lambda: None

    @asynccontextmanager
    async def slot(self, person: PersonId, taken: Lease | None = None) -> AsyncIterator[Lease]:
        """Hold one slot while the block runs; yield its lease, which the block may release with its last write.

        Args:
            person: whose mailbox it is.
            taken: a slot that the caller has taken already.

        Raises:
            Throttled: no slot became free in time; the block did not run.
            StorageUnavailable: the store does not respond; the block did not run.
        """
        async with self.leases.renewing(taken if taken and taken.is_sure else await self._acquire(person)) as lease:
            yield lease

    async def _acquire(self, person: PersonId) -> Lease:
        try:
            return await self.leases.acquire(slot_names(person), self.wait_seconds)
        except TimeoutError as error:
            self.on_refusal()
            raise Throttled("This mailbox is busy with other messages.", retry_after=10) from error

    @asynccontextmanager
    async def giving_back(self, taken: Lease | None) -> AsyncIterator[None]:
        """Release a slot at the end of the block, if it was taken and nothing in the block has released it."""
        try:
            yield
        finally:
            if taken is not None:
                await self.leases.release(taken)


def slot_names(person: PersonId) -> tuple[str, ...]:
    """Return the names of the leases that are the slots of a mailbox."""
    # The digest of v0.1.0: both versions count the same slots during an upgrade.
    mailbox = hashlib.sha256("/".join(person).encode()).hexdigest()[:32]
    return tuple(f"mailbox.{mailbox}.{number}" for number in range(SLOTS))


def any_slot(person: PersonId) -> str:
    """Return the name of one slot by lot, for a caller that takes it together with other records if it is free."""
    return secrets.choice(slot_names(person))
