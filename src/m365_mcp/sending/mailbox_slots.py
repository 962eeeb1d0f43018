"""How many requests a mailbox takes at a time, over all replicas.

Source: Graph "Throttling limits": four concurrent requests for one application and mailbox; more are 429.
May know `errors` and `storage.leases`.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from m365_mcp.errors import Throttled
from m365_mcp.storage.leases import Leases

PLACES = 4
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class MailboxPlaces:
    """The places at everybody's mailbox.

    Attributes:
        leases: one for each place.
        patience: seconds to wait for one.
    """

    leases: Leases
    patience: float = PATIENCE_SECONDS

    @asynccontextmanager
    async def one(self, person: tuple[str, str]) -> AsyncIterator[None]:
        """Hold one place while the block runs.

        Raises:
            Throttled: all were taken for too long; nothing was done.
            StorageUnavailable: the store does not answer; nothing was done.
        """
        mailbox = hashlib.sha256("/".join(person).encode()).hexdigest()[:32]
        names = tuple(f"mailbox.{mailbox}.{number}" for number in range(PLACES))
        try:
            lease = await self.leases.acquire(names, self.patience)
        except TimeoutError as error:
            raise Throttled("This mailbox is busy with other messages.", retry_after=10) from error
        async with self.leases.kept(lease):
            yield
