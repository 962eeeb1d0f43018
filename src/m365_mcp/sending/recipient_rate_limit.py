"""How often one person may write to one address: a runaway assistant must not flood somebody's mailbox."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from m365_mcp.errors import RateLimited, StorageUnavailable
from m365_mcp.person import PersonId
from m365_mcp.storage.records import Records

_COLLECTION = "m365-frequency"
HOUR = 3600
_TRIES = 20


@dataclass(frozen=True)
class RecipientRateLimit:
    """Counts messages by person, address and hour.

    Attributes:
        records: where they are counted, for all replicas.
        most: messages to one address in an hour; 0 for no limit.
        clock: epoch seconds; for tests.
    """

    records: Records
    most: int
    clock: Callable[[], float] = time.time

    async def count(self, person: PersonId, addresses: tuple[str, ...]) -> None:
        """Count one message to these addresses.

        Raises:
            TooOften: one of them has had enough of this person for this hour; nothing is counted.
            StorageUnavailable: it cannot be told.
        """
        if not self.most:
            return
        hour = int(self.clock()) // HOUR
        key = _digest(f"{'/'.join(person)} {hour}")
        names = {_digest(address.casefold())[:16] for address in addresses}
        for _ in range(_TRIES):
            stored = await self.records.read(_COLLECTION, key)
            counts: dict[str, int] = dict(stored.value or {})
            if any(counts.get(name, 0) >= self.most for name in names):
                raise RateLimited(retry_after=float((hour + 1) * HOUR - int(self.clock())))
            later = counts | {name: counts.get(name, 0) + 1 for name in names}
            if await self.records.compare_and_swap(_COLLECTION, key, stored, later, HOUR) is not None:
                return
        raise StorageUnavailable


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
