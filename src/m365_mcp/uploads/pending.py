"""What a person does with files that come by link: announces them for a draft, and sends it when they are there.

The draft of an upload that was abandoned stays in the person's Drafts folder: it is theirs, and nothing here sweeps it.
May know `errors`, `upload_refusals`, `mail`, `graph.*`, `sending.*` and `uploads.*`.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from m365_mcp.errors import AttachmentsMissing
from m365_mcp.graph.drafts import Drafts
from m365_mcp.graph.mailbox import Mailbox
from m365_mcp.mail import Message, MessageWish, build_message
from m365_mcp.sending.delivery import Progress, Receipt, in_silence
from m365_mcp.sending.ledger import Wish
from m365_mcp.sending.outbox import Office
from m365_mcp.sending.strategies import AsDraft
from m365_mcp.uploads.files import Announced, read_files
from m365_mcp.uploads.links import LINK_SECONDS, Ticket, Tickets, name_of
from m365_mcp.uploads.parcels import Parcel, Parcels
from m365_mcp.uploads.receiver import Arrived

PATH = "/upload"


@dataclass(frozen=True)
class Uploads:
    """What is the same for everybody's uploads.

    Attributes:
        office: the rules, and the way out.
        tickets: what the links stand for.
        parcels: which files belong to which draft.
        base_url: public URL of this server.
    """

    office: Office
    tickets: Tickets
    parcels: Parcels
    base_url: str

    def desk(self, person: tuple[str, str], session_id: str, mailbox: Mailbox) -> UploadDesk:
        """Return one person's place."""
        return UploadDesk(self, person, session_id, mailbox)


@dataclass(frozen=True)
class Link:
    """Where one file goes."""

    name: str
    url: str


@dataclass(frozen=True)
class Opened:
    """A draft that waits for its files.

    Attributes:
        message: what it says.
        message_id: our id of it.
        draft_id: Graph's id of the draft.
        expires_at: end of the links, in epoch seconds.
        links: one for each file.
    """

    message: Message
    message_id: str
    draft_id: str
    expires_at: float
    links: tuple[Link, ...]


@dataclass(frozen=True)
class Sent:
    """A draft that was sent with its files."""

    parcel: Parcel
    receipt: Receipt
    files: tuple[Arrived, ...]


@dataclass(frozen=True)
class UploadDesk:
    """One person's mail with files that come by link.

    Attributes:
        uploads: the rules and records.
        person: tenant and object id.
        session_id: the session of the call; the links die with it.
        mailbox: where the mail leaves from.
    """

    uploads: Uploads
    person: tuple[str, str]
    session_id: str
    mailbox: Mailbox

    async def announce(self, wish: MessageWish, files: Sequence[Mapping[str, Any]]) -> Opened:
        """Create a draft, and a link for each file that is to go with it. Raises M365Error; nothing is sent."""
        office = self.uploads.office
        message = build_message(wish, office.rules)
        announced = read_files(files, office.rules, [attachment.name for attachment in message.attachments])
        message_id = secrets.token_hex(16)
        async with office.delivery.places.one(self.person):
            draft = await Drafts(self.mailbox).create(message.draft_as_graph(message_id), message_id)
        expires_at = self.uploads.tickets.clock() + LINK_SECONDS
        issued = [await self._issue(file, draft.id, expires_at) for file in announced]
        parcel = Parcel(
            message_id=message_id,
            draft_id=draft.id,
            addresses=message.addresses,
            warnings=message.warnings,
            tickets=tuple(name_of(secret) for secret in issued),
        )
        await self.uploads.parcels.put(self.person, parcel)
        addresses = [f"{self.uploads.base_url}{PATH}/{secret}" for secret in issued]
        links = tuple(Link(file.name, url) for file, url in zip(announced, addresses, strict=True))
        return Opened(message, message_id, draft.id, expires_at, links)

    async def _issue(self, file: Announced, draft_id: str, expires_at: float) -> str:
        ticket = Ticket(
            person=self.person,
            session_id=self.session_id,
            draft_id=draft_id,
            name=file.name,
            size=file.size,
            expires_at=expires_at,
        )
        return await self.uploads.tickets.issue(ticket)

    async def send(self, draft_id: str, progress: Progress = in_silence) -> Sent:
        """Send the draft once, with every file that was announced for it.

        Raises:
            DraftUnknown: it is not one of this person's.
            AttachmentsMissing: a file has not arrived; nothing is sent.
            OutcomeUnknown, M365Error: see `Delivery.send`.
        """
        parcel = await self.uploads.parcels.find(self.person, draft_id)
        files = await self._arrived(parcel)
        mark = hashlib.sha256(draft_id.encode()).hexdigest()
        # The key is longer than any that a caller may give, so the two never meet.
        wish = Wish(self.person, fingerprint=mark, key=f"draft {mark}")
        way = AsDraft(Drafts(self.mailbox), draft_id, parcel.message_id)
        receipt = await self.uploads.office.delivery.send(wish, parcel.addresses, way, progress)
        return Sent(parcel, replace(receipt, message_id=parcel.message_id), files)

    async def _arrived(self, parcel: Parcel) -> tuple[Arrived, ...]:
        tickets = [await self.uploads.tickets.named(name) for name in parcel.tickets]
        missing = [
            f"'files' entry {number} {self._state(ticket)}"
            for number, ticket in enumerate(tickets, start=1)
            if ticket is None or ticket.state != "done"
        ]
        if missing:
            raise AttachmentsMissing(f"{len(missing)} of {len(tickets)} files are missing: {', '.join(missing)}.")
        return tuple(Arrived(t.name, t.size or 0, t.sha256 or "") for t in tickets if t is not None)

    def _state(self, ticket: Ticket | None) -> str:
        if ticket is None:
            return "is not known any more"
        if ticket.state == "uploading":
            return "is being uploaded"
        tried = f"; its last upload failed with {ticket.problem}" if ticket.problem else ""
        if self.uploads.tickets.has_expired(ticket):
            return f"did not come before its link expired{tried}"
        return f"is waited for{tried}"
