"""Exchanged Graph tokens in the store, so that another replica, or a restarted one, needs no new exchange.

May know `storage.records`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from m365_mcp.storage.records import Held, Records

_COLLECTION = "m365-graph-tokens"


@dataclass(frozen=True)
class GraphToken:
    """A token for Graph; when it was exchanged and when it is to be renewed, in epoch seconds."""

    value: str = field(repr=False)
    exchanged_at: float
    renew_at: float


@dataclass(frozen=True)
class GraphTokens:
    """The tokens of all people."""

    records: Records

    async def read(self, person: tuple[str, str], kind: str) -> tuple[Held, GraphToken | None]:
        """Return the person's token of this kind, if any, and the record. Raises StorageUnavailable."""
        held = await self.records.read(_COLLECTION, self.key(person, kind))
        if held.value is None:
            return held, None
        found = held.value
        return held, GraphToken(str(found["token"]), float(found["exchanged_at"]), float(found["renew_at"]))

    async def write(self, person: tuple[str, str], kind: str, held: Held, token: GraphToken, now: float) -> None:
        """Replace the record as it was read; if somebody was faster, theirs is as good. Raises StorageUnavailable."""
        value = {"token": token.value, "exchanged_at": token.exchanged_at, "renew_at": token.renew_at}
        await self.records.swap(_COLLECTION, self.key(person, kind), held, value, max(token.renew_at - now, 1))

    def key(self, person: tuple[str, str], kind: str) -> str:
        """Return the record's key; a kind is an application with its scopes, so that a new setting is a new record."""
        return hashlib.sha256(" ".join((*person, kind)).encode()).hexdigest()
