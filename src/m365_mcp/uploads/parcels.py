"""Parcels: a draft and the tickets of the files that are to go with it; kept for a day.

May know `upload_refusals` and `storage.records`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from m365_mcp.errors import DraftUnknown
from m365_mcp.storage.records import NOTHING, Records
from m365_mcp.uploads.links import KEPT_SECONDS

COLLECTION = "m365-parcels"


class Parcel(BaseModel):
    """What stands in the store about one draft that files are announced for.

    Attributes:
        message_id: our id of the message, by which it is found wherever it has gone.
        draft_id: Graph's id of the draft.
        addresses: everybody it goes to.
        warnings: what its sender should be told.
        tickets: names of the files' records, in the caller's order.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    message_id: str
    draft_id: str
    addresses: tuple[str, ...]
    warnings: tuple[str, ...]
    tickets: tuple[str, ...]


@dataclass(frozen=True)
class Parcels:
    """All parcels, shared by all replicas."""

    records: Records

    async def put(self, person: tuple[str, str], parcel: Parcel) -> None:
        """Write a person's parcel down. Raises StorageUnavailable."""
        name = name_of(person, parcel.draft_id)
        await self.records.swap(COLLECTION, name, NOTHING, parcel.model_dump(mode="json"), KEPT_SECONDS)

    async def find(self, person: tuple[str, str], draft_id: str) -> Parcel:
        """Return the person's own parcel. Raises DraftUnknown, StorageUnavailable."""
        held = await self.records.read(COLLECTION, name_of(person, draft_id))
        try:
            return Parcel.model_validate(held.value)
        except ValidationError as error:
            raise DraftUnknown from error


def name_of(person: tuple[str, str], draft_id: str) -> str:
    """Return the name of a parcel's record; two people never share one."""
    return hashlib.sha256("\0".join((*person, draft_id)).encode()).hexdigest()
