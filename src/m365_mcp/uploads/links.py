"""Tickets: what an upload link stands for, and how far its file has come; each link does its work once.

    open      → uploading → done     never again
                          → failed   good for another try until it expires
                          → open     whoever uploaded has hung up
    uploading, and nobody holds its lease any more (the process died) → good for another try

The link is the only secret; its hash names the record. May know `errors`, `upload_refusals` and `storage.*`.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from m365_mcp.errors import UploadLinkEnded, UploadLinkUnknown, UploadRunning
from m365_mcp.storage.leases import Leases
from m365_mcp.storage.records import NOTHING, Held, Records

COLLECTION = "m365-upload-tickets"
LINK_SECONDS = 15 * 60.0
KEPT_SECONDS = 24 * 3600.0  # as long as its draft may be sent
SECRET_BYTES = 32  # 256 bits

State = Literal["open", "uploading", "done", "failed"]


class Ticket(BaseModel):
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

    person: tuple[str, str]
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
class Taken:
    """A ticket that this call alone may work with, as it was when it was taken."""

    name: str
    held: Held
    ticket: Ticket
    records: Records

    async def note(self, **changes: Any) -> None:
        """Write down what has become of it. Raises StorageUnavailable; the ticket is then good for another try."""
        value = {**(self.held.value or {}), **changes}
        written = await self.records.swap(COLLECTION, self.name, self.held, value, KEPT_SECONDS)
        self.held = written or self.held


@dataclass(frozen=True)
class Tickets:
    """All tickets, shared by all replicas.

    Attributes:
        records: where they are.
        leases: so that a ticket is worked with once at a time, and one whose process died is free again.
        clock: epoch seconds; for tests.
    """

    records: Records
    leases: Leases
    clock: Callable[[], float] = time.time

    async def issue(self, ticket: Ticket) -> str:
        """Write a ticket down and return its secret, the last part of the link. Raises StorageUnavailable."""
        secret = secrets.token_urlsafe(SECRET_BYTES)
        await self.records.swap(COLLECTION, name_of(secret), NOTHING, ticket.model_dump(mode="json"), KEPT_SECONDS)
        return secret

    async def named(self, name: str) -> Ticket | None:
        """Return the ticket of this name, or None. Raises StorageUnavailable."""
        return _read(await self.records.read(COLLECTION, name))

    async def find(self, secret: str) -> Ticket:
        """Return the ticket of a link that can be used.

        Raises:
            UploadLinkUnknown: there is none.
            UploadLinkEnded: its file has arrived, or its time is over.
            StorageUnavailable: it cannot be told.
        """
        return self._usable(await self.named(name_of(secret)))

    def _usable(self, ticket: Ticket | None) -> Ticket:
        if ticket is None:
            raise UploadLinkUnknown
        if ticket.state == "done":
            raise UploadLinkEnded("The file of this link has arrived; the link works once.")
        if self.has_expired(ticket):
            raise UploadLinkEnded("This upload link has expired.")
        return ticket

    def has_expired(self, ticket: Ticket) -> bool:
        """Tell whether its link is over."""
        return self.clock() >= ticket.expires_at

    @asynccontextmanager
    async def taken(self, secret: str) -> AsyncIterator[Taken]:
        """Have the ticket of a link for oneself while the block runs; raises as `find` does, and UploadRunning."""
        name = name_of(secret)
        try:
            lease = await self.leases.acquire((f"upload.{name}",), 0)
        except TimeoutError as error:
            raise UploadRunning from error
        async with self.leases.kept(lease):
            held = await self.records.read(COLLECTION, name)
            ticket = self._usable(_read(held))
            begun = ticket.model_copy(update={"state": "uploading", "is_first_try": False, "problem": None})
            written = await self.records.swap(COLLECTION, name, held, begun.model_dump(mode="json"), KEPT_SECONDS)
            if written is None:
                raise UploadRunning
            yield Taken(name, written, ticket, self.records)


def name_of(secret: str) -> str:
    """Return the name of the record a link stands for."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _read(held: Held) -> Ticket | None:
    if held.value is None:
        return None
    try:
        return Ticket.model_validate(held.value)
    except ValidationError:
        return None
