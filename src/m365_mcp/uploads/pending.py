"""Mail with files that come by link: a draft is made with a link for each file, and sent when every file is there.

The draft of an abandoned upload stays in the person's Drafts folder: it belongs to the person, and this server does
not delete it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from m365_mcp.errors import AttachmentsMissing
from m365_mcp.mail import Message, MessageRequest
from m365_mcp.sending.delivery import Progress, SendReceipt, no_progress
from m365_mcp.sending.outbox import Outbox
from m365_mcp.sending.send_request import SendRequest, new_message_id
from m365_mcp.sending.strategies import ExistingDraftSend
from m365_mcp.uploads.files import ExpectedFile, read_files
from m365_mcp.uploads.links import LINK_SECONDS, UploadBatch, UploadBatches, UploadLink, UploadLinks, name_of
from m365_mcp.uploads.receiver import ReceivedFile

PATH = "/upload"


@dataclass(frozen=True)
class Uploads:
    """What all people's uploads share.

    Attributes:
        links: what each link stands for.
        batches: which files belong to which draft.
        base_url: public URL of this server.
    """

    links: UploadLinks
    batches: UploadBatches
    base_url: str

    def for_person(self, outbox: Outbox, session_id: str) -> PendingUploads:
        """Return the uploads of one person."""
        return PendingUploads(self, outbox, session_id)


@dataclass(frozen=True)
class FileLink:
    """Where one file goes."""

    name: str
    url: str


@dataclass(frozen=True)
class PendingUpload:
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
    links: tuple[FileLink, ...]


@dataclass(frozen=True)
class SentUpload:
    """A draft that was sent with its files."""

    batch: UploadBatch
    receipt: SendReceipt
    files: tuple[ReceivedFile, ...]


@dataclass(frozen=True)
class PendingUploads:
    """One person's mail with files that are uploaded by link.

    Attributes:
        uploads: what all people share.
        outbox: the person's outgoing mail.
        session_id: the session of the call; the links end with it.
    """

    uploads: Uploads
    outbox: Outbox
    session_id: str

    async def begin(self, request: MessageRequest, files: Sequence[Mapping[str, Any]]) -> PendingUpload:
        """Create a draft, and a link for each file that is to go with it. Raises M365Error; nothing is sent."""
        message = await self.outbox.compose(request)
        attached = [attachment.name for attachment in message.attachments]
        expected = read_files(files, self.outbox.rules, attached)
        message_id = new_message_id()
        async with self.outbox.slot():
            draft = await self.outbox.drafts.create(message.draft_as_graph(message_id), message_id)
        expires_at = self.uploads.links.clock() + LINK_SECONDS
        secrets = [await self._issue(file, draft.id, expires_at) for file in expected]
        batch = UploadBatch(
            message_id=message_id,
            draft_id=draft.id,
            addresses=message.addresses,
            warnings=message.warnings,
            link_names=tuple(map(name_of, secrets)),
        )
        await self.uploads.batches.put(self.outbox.person, batch)
        links = tuple(
            FileLink(file.name, f"{self.uploads.base_url}{PATH}/{secret}")
            for file, secret in zip(expected, secrets, strict=True)
        )
        return PendingUpload(message, message_id, draft.id, expires_at, links)

    async def _issue(self, file: ExpectedFile, draft_id: str, expires_at: float) -> str:
        link = UploadLink(
            person=self.outbox.person,
            session_id=self.session_id,
            draft_id=draft_id,
            name=file.name,
            size=file.size,
            expires_at=expires_at,
        )
        return await self.uploads.links.issue(link)

    async def send(self, draft_id: str, progress: Progress = no_progress) -> SentUpload:
        """Send the draft once, with every file that was expected for it.

        Raises:
            DraftUnknown: the draft is not one of this person's.
            AttachmentsMissing: a file has not arrived; nothing is sent.
            MessageMissing: the person has deleted the draft, or moved it.
            OutcomeUnknown, M365Error: see `Delivery.send`.
        """
        batch = await self.uploads.batches.find(self.outbox.person, draft_id)
        files = await self._arrived(batch)
        fingerprint = hashlib.sha256(draft_id.encode()).hexdigest()
        # The key is longer than any that a caller may give, so the two never meet.
        request = SendRequest(self.outbox.person, fingerprint, idempotency_key=f"draft {fingerprint}")
        strategy = ExistingDraftSend(self.outbox.drafts, draft_id, batch.message_id, is_shown=True)
        receipt = await self.outbox.deliver(request, batch.addresses, strategy, progress)
        return SentUpload(batch, replace(receipt, message_id=batch.message_id), files)

    async def _arrived(self, batch: UploadBatch) -> tuple[ReceivedFile, ...]:
        links = [await self.uploads.links.find_by_name(name) for name in batch.link_names]
        missing = [
            f"'files' entry {number} {self._state(link)}"
            for number, link in enumerate(links, start=1)
            if link is None or link.state != "done"
        ]
        if missing:
            raise AttachmentsMissing(f"{len(missing)} of {len(links)} files are missing: {', '.join(missing)}.")
        return tuple(ReceivedFile(t.name, t.size or 0, t.sha256 or "") for t in links if t is not None)

    def _state(self, link: UploadLink | None) -> str:
        if link is None:
            return "is not known any more"
        if link.state == "uploading":
            return "is being uploaded"
        tried = f"; its last upload failed with {link.problem}" if link.problem else ""
        if self.uploads.links.has_expired(link):
            return f"did not come before its link expired{tried}"
        return f"is waited for{tried}"
