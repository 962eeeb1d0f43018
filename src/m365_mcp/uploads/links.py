"""The records of upload links and upload batches; each link accepts one file, once.

    open      → uploading → done     the link accepts no other upload
                          → failed   the client may upload again until the link expires
                          → open     the client disconnected and may upload again
    uploading, without a lease (the process died): the client may upload again

The link is the only secret; its hash is the key of the record.
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

COLLECTION = "m365-upload-tickets"  # the names of v0.1.0: both versions share the records during an upgrade
BATCHES = "m365-parcels"
LINK_SECONDS = 15 * 60.0
RECORD_SECONDS = 24 * 3600.0  # the draft can be sent for as long
SECRET_BYTES = 32  # 256 bits

State = Literal["open", "uploading", "done", "failed"]


class UploadLink(BaseModel):
    """The record of one upload link.

    Attributes:
        person: tenant and object id of the owner of the draft; any client with the link may upload the file.
        session_id: the session that created the link; the link works only while this session lasts.
        draft_id: Graph's id of the draft.
        name: name of the file.
        size: bytes: the announced size or None, and after the upload the received size.
        expires_at: when the link expires, in epoch seconds.
        state: see the module.
        is_first_try: whether no upload has begun yet; a later upload first removes the rest of an earlier one.
        sha256: SHA-256 of the received file, hexadecimal; None before the upload.
        problem: code of the error of the last upload; None without an error.
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
class ReservedLink:
    """A link that only this call may use, with its record from before the call.

    Attributes:
        key: key of the record.
        stored: the current record with its version.
        link: the link from before this call.
        records: the store of the record.
    """

    key: str
    stored: Versioned
    link: UploadLink
    records: Records

    async def update(self, **changes: Any) -> None:
        """Change fields of the record. Raises StorageUnavailable; the client may then upload again."""
        value = {**(self.stored.value or {}), **changes}
        written = await self.records.compare_and_swap(COLLECTION, self.key, self.stored, value, RECORD_SECONDS)
        self.stored = written or self.stored


@dataclass(frozen=True)
class UploadLinks:
    """All upload links, shared by all replicas.

    Attributes:
        records: the store of the links.
        leases: an upload holds the lease of its link; the lease of a dead process expires.
        clock: returns epoch seconds; for tests.
    """

    records: Records
    leases: Leases
    clock: Callable[[], float] = time.time

    async def issue(self, link: UploadLink) -> str:
        """Store a link and return its secret, the last part of the URL. Raises StorageUnavailable."""
        secret = secrets.token_urlsafe(SECRET_BYTES)
        await self.records.compare_and_swap(
            COLLECTION, key_of(secret), ABSENT, link.model_dump(mode="json"), RECORD_SECONDS
        )
        return secret

    async def find_by_key(self, key: str) -> UploadLink | None:
        """Return the link with this key, or None. Raises StorageUnavailable."""
        return _parse(await self.records.read(COLLECTION, key))

    async def find(self, secret: str) -> UploadLink:
        """Return the link with this secret, if a client can use it.

        Raises:
            UploadLinkUnknown: no link has this secret.
            UploadLinkEnded: the link has received its file, or it has expired.
            StorageUnavailable: the store does not respond.
        """
        return self._require_usable(await self.find_by_key(key_of(secret)))

    def _require_usable(self, link: UploadLink | None) -> UploadLink:
        if link is None:
            raise UploadLinkUnknown
        if link.state == "done":
            raise UploadLinkEnded("This upload link has received its file. Each link works once.")
        if self.has_expired(link):
            raise UploadLinkEnded("This upload link has expired.")
        return link

    def has_expired(self, link: UploadLink) -> bool:
        """Return whether the link has expired."""
        return self.clock() >= link.expires_at

    @asynccontextmanager
    async def reserved(self, secret: str) -> AsyncIterator[ReservedLink]:
        """Reserve a link while the block runs. Raises as `find` does, and UploadRunning when an upload is running."""
        key = key_of(secret)
        try:
            lease = await self.leases.acquire((f"upload.{key}",), 0)
        except TimeoutError as error:
            raise UploadRunning from error
        async with self.leases.renewing(lease):
            stored = await self.records.read(COLLECTION, key)
            link = self._require_usable(_parse(stored))
            begun = link.model_copy(update={"state": "uploading", "is_first_try": False, "problem": None})
            written = await self.records.compare_and_swap(
                COLLECTION, key, stored, begun.model_dump(mode="json"), RECORD_SECONDS
            )
            if written is None:
                raise UploadRunning
            yield ReservedLink(key, written, link, self.records)


def key_of(secret: str) -> str:
    """Return the key of the record of a link."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _parse(stored: Versioned) -> UploadLink | None:
    if stored.value is None:
        return None
    try:
        return UploadLink.model_validate(stored.value)
    except ValidationError:
        return None


class UploadBatch(BaseModel):
    """The record of one draft that waits for files.

    Attributes:
        message_id: our id of the message; the server finds the message by it in any folder.
        draft_id: Graph's id of the draft.
        addresses: the addresses of all recipients.
        warnings: warnings for the sender.
        link_keys: keys of the links' records, in the order of the caller. The stored field has the name of v0.1.0,
            `tickets`.
    """

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)

    message_id: str
    draft_id: str
    addresses: tuple[str, ...]
    warnings: tuple[str, ...]
    link_keys: tuple[str, ...] = Field(alias="tickets")


@dataclass(frozen=True)
class UploadBatches:
    """All upload batches, shared by all replicas."""

    records: Records

    async def put(self, person: PersonId, batch: UploadBatch) -> None:
        """Store a person's batch. Raises StorageUnavailable."""
        value = batch.model_dump(mode="json", by_alias=True)
        await self.records.compare_and_swap(BATCHES, person.digest(batch.draft_id), ABSENT, value, RECORD_SECONDS)

    async def find(self, person: PersonId, draft_id: str) -> UploadBatch:
        """Return the batch of the person's draft. Raises DraftUnknown, StorageUnavailable."""
        stored = await self.records.read(BATCHES, person.digest(draft_id))
        try:
            return UploadBatch.model_validate(stored.value)
        except ValidationError as error:
            raise DraftUnknown from error
