"""The slots of a mailbox: how many requests may run for it at a time, over all replicas.

Source: Graph "Throttling limits": four concurrent requests for one application and mailbox; Graph answers more with
429.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from m365_mcp.errors import Throttled
from m365_mcp.person import PersonId
from m365_mcp.storage.leases import Leases

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
