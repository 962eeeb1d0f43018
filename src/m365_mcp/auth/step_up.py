"""What Microsoft asks the next sign-in of a person for: the `claims` of a refusal.

Source: "Claims challenges, claims requests, and client capabilities". MCP has no way to hand claims to a client, so
they are remembered for the person, and the sign-in that finds them goes to Entra once more with them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from m365_mcp.person import PersonId
from m365_mcp.storage.records import Records

_COLLECTION = "m365-step-up"
_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class StepUps:
    """The claims that are waiting for somebody's next sign-in."""

    records: Records

    async def remember(self, person: PersonId, claims: str | None) -> None:
        """Keep `claims` (JSON) for the person's next sign-in, instead of earlier ones. Raises StorageUnavailable."""
        if claims:
            stored = await self.records.read(_COLLECTION, _key(person))
            # Whoever is faster has learned the same.
            await self.records.compare_and_swap(_COLLECTION, _key(person), stored, {"claims": claims}, _SECONDS)

    async def take(self, person: PersonId) -> str | None:
        """Return the claims that are waiting and forget them, or None. Raises StorageUnavailable."""
        stored = await self.records.read(_COLLECTION, _key(person))
        if stored.version is None:
            return None
        await self.records.compare_and_swap(_COLLECTION, _key(person), stored, None)
        return None if stored.value is None else str(stored.value["claims"])


def _key(person: PersonId) -> str:
    return hashlib.sha256("/".join(person).encode()).hexdigest()
