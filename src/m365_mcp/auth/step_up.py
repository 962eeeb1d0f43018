"""Claims challenges for the next sign-in of a person: the `claims` of a refusal by Microsoft.

Source: "Claims challenges, claims requests, and client capabilities". MCP has no way to pass claims to a client. So
the server remembers them for the person, and the person's next sign-in goes to Entra a second time with them.
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
    """The claims challenges that wait for a person's next sign-in."""

    records: Records

    async def remember(self, person: PersonId, claims: str | None) -> None:
        """Store `claims` (JSON) for the person's next sign-in, replacing earlier ones. Raises StorageUnavailable."""
        if claims:
            stored = await self.records.read(_COLLECTION, _key(person))
            # A concurrent write has the same claims, so its result is not checked.
            await self.records.compare_and_swap(_COLLECTION, _key(person), stored, {"claims": claims}, _SECONDS)

    async def take(self, person: PersonId) -> str | None:
        """Return the stored claims and delete them, or None. Raises StorageUnavailable."""
        stored = await self.records.read(_COLLECTION, _key(person))
        if stored.version is None:
            return None
        await self.records.compare_and_swap(_COLLECTION, _key(person), stored, None)
        return None if stored.value is None else str(stored.value["claims"])


def _key(person: PersonId) -> str:
    return hashlib.sha256("/".join(person).encode()).hexdigest()
