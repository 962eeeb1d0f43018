"""Tickets: what an upload link stands for, and how far its file has come; each link does its work once.

    open      → uploading → done     never again
                          → failed   good for another try until it expires
                          → open     whoever uploaded has hung up
    uploading, and nobody holds its lease any more (the process died) → good for another try

The link is the only secret; its hash names the record.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from m365_mcp.errors import DraftUnknown, UploadLinkEnded, UploadLinkUnknown, UploadRunning
from m365_mcp.person import PersonId
from m365_mcp.storage.leases import Leases
from m365_mcp.storage.records import ABSENT, Records, Versioned

COLLECTION = "m365-upload-tickets"  # the names of v0.1.0, which runs beside this version during an upgrade
BATCHES = "m365-parcels"
LINK_SECONDS = 15 * 60.0
KEPT_SECONDS = 24 * 3600.0  # as long as its draft may be sent
SECRET_BYTES = 32  # 256 bits

State = Literal["open", "uploading", "done", "failed"]


class UploadLink(BaseModel):
    """What stands in the store about one file.

    Attributes:
        person: tenant and object id; the file goes into this person's draft, whoever uploads it.
        session_id: the session that asked for the link, which must live when it is used.
        draft_id: Graph's id of the draft.
        name: the file's name.
        size: in bytes; as announced, or None, and in the end as it arrived.
        expires_at: end of the link, in epoch seconds.
        state: see the module.
        is_first_try: whether no upload has begun yet, and so nothing can have been left behind by one.
        sha256: of the file that arrived.
        problem: code of the error the last try ended with.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    person: PersonId
    session_id: str
    draft_id: str
    name: str
    size: int | None
    expires_at: float
    state: State = "open"
    is_first_try: bool = True
    sha256: str | None = None
    problem: str | None = None


@dataclass
class ClaimedLink:
    """A ticket that this call alone may work with, as it was when it was taken."""

    name: str
    stored: Versioned
    link: UploadLink
    records: Records

    async def note(self, **changes: Any) -> None:
        """Write down what has become of it. Raises StorageUnavailable; the ticket is then good for another try."""
        value = {**(self.stored.value or {}), **changes}
        written = await self.records.compare_and_swap(COLLECTION, self.name, self.stored, value, KEPT_SECONDS)
        self.stored = written or self.stored


@dataclass(frozen=True)
class UploadLinks:
    """All tickets, shared by all replicas.

    Attributes:
        records: where they are.
        leases: so that a ticket is worked with once at a time, and one whose process died is free again.
        clock: epoch seconds; for tests.
    """

    records: Records
    leases: Leases
    clock: Callable[[], float] = time.time

    async def issue(self, link: UploadLink) -> str:
        """Write a ticket down and return its secret, the last part of the link. Raises StorageUnavailable."""
        secret = secrets.token_urlsafe(SECRET_BYTES)
        await self.records.compare_and_swap(
            COLLECTION, name_of(secret), ABSENT, link.model_dump(mode="json"), KEPT_SECONDS
        )
        return secret

    async def find_by_name(self, name: str) -> UploadLink | None:
        """Return the ticket of this name, or None. Raises StorageUnavailable."""
        return _read(await self.records.read(COLLECTION, name))

    async def find(self, secret: str) -> UploadLink:
        """Return the ticket of a link that can be used.

        Raises:
            UploadLinkUnknown: there is none.
            UploadLinkEnded: its file has arrived, or its time is over.
            StorageUnavailable: it cannot be told.
        """
        return self._usable(await self.find_by_name(name_of(secret)))

    def _usable(self, link: UploadLink | None) -> UploadLink:
        if link is None:
            raise UploadLinkUnknown
        if link.state == "done":
            raise UploadLinkEnded("The file of this link has arrived; the link works once.")
        if self.has_expired(link):
            raise UploadLinkEnded("This upload link has expired.")
        return link

    def has_expired(self, link: UploadLink) -> bool:
        """Tell whether its link is over."""
        return self.clock() >= link.expires_at

    @asynccontextmanager
    async def claimed(self, secret: str) -> AsyncIterator[ClaimedLink]:
        """Have the ticket of a link for oneself while the block runs; raises as `find` does, and UploadRunning."""
        name = name_of(secret)
        try:
            lease = await self.leases.acquire((f"upload.{name}",), 0)
        except TimeoutError as error:
            raise UploadRunning from error
        async with self.leases.held_while(lease):
            stored = await self.records.read(COLLECTION, name)
            link = self._usable(_read(stored))
            begun = link.model_copy(update={"state": "uploading", "is_first_try": False, "problem": None})
            written = await self.records.compare_and_swap(
                COLLECTION, name, stored, begun.model_dump(mode="json"), KEPT_SECONDS
            )
            if written is None:
                raise UploadRunning
            yield ClaimedLink(name, written, link, self.records)


def name_of(secret: str) -> str:
    """Return the name of the record a link stands for."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _read(stored: Versioned) -> UploadLink | None:
    if stored.value is None:
        return None
    try:
        return UploadLink.model_validate(stored.value)
    except ValidationError:
        return None


class UploadBatch(BaseModel):
    """What the store holds about one draft that expects files.

    Attributes:
        message_id: our id of the message, by which it is found wherever it has gone.
        draft_id: Graph's id of the draft.
        addresses: everybody it goes to.
        warnings: what its sender should be told.
        link_names: names of the links' records, in the caller's order; v0.1.0 named the field `tickets`, and so the
            record does still.
    """

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)

    message_id: str
    draft_id: str
    addresses: tuple[str, ...]
    warnings: tuple[str, ...]
    link_names: tuple[str, ...] = Field(alias="tickets")


@dataclass(frozen=True)
class UploadBatches:
    """All batches, shared by all replicas."""

    records: Records

    async def put(self, person: PersonId, batch: UploadBatch) -> None:
        """Store a person's batch. Raises StorageUnavailable."""
        value = batch.model_dump(mode="json", by_alias=True)
        await self.records.compare_and_swap(BATCHES, person.digest(batch.draft_id), ABSENT, value, KEPT_SECONDS)

    async def find(self, person: PersonId, draft_id: str) -> UploadBatch:
        """Return the person's own batch. Raises DraftUnknown, StorageUnavailable."""
        stored = await self.records.read(BATCHES, person.digest(draft_id))
        try:
            return UploadBatch.model_validate(stored.value)
        except ValidationError as error:
            raise DraftUnknown from error
