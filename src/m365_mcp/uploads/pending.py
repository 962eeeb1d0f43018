"""Creates a draft with an upload link for each file, and sends the draft when it has every file.

The draft of an abandoned upload stays in the person's Drafts folder. It belongs to the person, and this server does not
delete it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from m365_mcp.errors import AttachmentsMissing, M365Error
from m365_mcp.graph.drafts import announcing
from m365_mcp.mail import Message, MessageRequest, notes_on_names, warnings_of
from m365_mcp.sending.draft_inspection import DraftInspection
from m365_mcp.sending.dry_run import DryRun, dry_run_of_draft
from m365_mcp.sending.outbox import Outbox
from m365_mcp.sending.send_request import SendRequest, new_message_id
from m365_mcp.sending.send_strategy import Progress, SendReceipt, no_progress
from m365_mcp.sending.strategies import ExistingDraftSend
from m365_mcp.uploads.files import ExpectedFile, parse_files
from m365_mcp.uploads.links import LINK_SECONDS, UploadBatch, UploadBatches, UploadLink, UploadLinks, key_of
from m365_mcp.uploads.receiver import ReceivedFile

PATH = "/upload"


@dataclass(frozen=True)
class Uploads:
    """What all people's uploads share.

    Attributes:
        links: the upload links.
        batches: the upload batch of each draft.
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
    """The upload link of one file: the name of the file and the URL."""

    name: str
    url: str


@dataclass(frozen=True)
class PendingUpload:
    """A draft that waits for its files.

    Attributes:
        message: the message without the expected files.
        message_id: our id of the message.
        draft_id: Graph's id of the draft.
        expires_at: when the links expire, in epoch seconds.
        links: one link for each file.
    """

    message: Message
    message_id: str
    draft_id: str
    expires_at: float
    links: tuple[FileLink, ...]


@dataclass(frozen=True)
class SentUpload:
    """A sent draft: its batch, the addresses of its recipients when it was sent, the receipt and its files."""

    batch: UploadBatch
    addresses: tuple[str, ...]
    receipt: SendReceipt
    files: tuple[ReceivedFile, ...]


@dataclass(frozen=True)
class PendingUploads:
    """One person's drafts that wait for files.

    Attributes:
        uploads: what all people share.
        outbox: the person's outgoing mail.
        session_id: the session of the call; the links stop working when it ends.
    """

    uploads: Uploads
    outbox: Outbox
    session_id: str

    async def begin(self, request: MessageRequest, files: Sequence[Mapping[str, Any]]) -> PendingUpload:
        """Create a draft, and an upload link for each file. Raises M365Error; sends nothing."""
        message = await self.outbox.compose(request)
        await self.outbox.policy.message(message, "Draft")
        attached = [attachment.name for attachment in message.attachments]
        expected = parse_files(files, self.outbox.rules, attached)
        on_names = warnings_of(notes_on_names([file.name for file in expected]))
        message = replace(message, warnings=message.warnings + on_names)
        message_id = new_message_id()
        async with self.outbox.slot():
            content = announcing(message.draft_as_graph(message_id), [file.name for file in expected])
            draft = await self.outbox.drafts.create(content, message_id)
        expires_at = self.uploads.links.clock() + LINK_SECONDS
        secrets = [await self._issue(file, draft.id, expires_at) for file in expected]
        batch = UploadBatch(
            message_id=message_id,
            draft_id=draft.id,
            addresses=message.addresses,
            warnings=message.warnings,
            link_keys=tuple(map(key_of, secrets)),
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
        """Send the draft once, with every file of its batch. Before a send, the strategy inspects the draft.

        Raises:
            DraftUnknown: this person has no batch for the draft.
            AttachmentsMissing: a file has not arrived, or the person removed it; this method sends nothing.
            InvalidArgument, RecipientNotAllowed, MessageMissing, AlreadySent: see `DraftInspection.inspect`.
            OutcomeUnknown, M365Error: see `Delivery.send`.
        """
        batch = await self.uploads.batches.find(self.outbox.person, draft_id)
        files = await self._received_files(batch)
        fingerprint = hashlib.sha256(draft_id.encode()).hexdigest()
        strategy = ExistingDraftSend(self.outbox.drafts, draft_id, batch.message_id, self._inspection(files))
        request = SendRequest(
            self.outbox.person,
            fingerprint,
            own_key=f"draft {fingerprint}",
            message_id=batch.message_id,
            content=strategy.content,
        )
        addresses = await self._addresses(batch)
        receipt = await self.outbox.deliver(request, addresses, strategy, progress)
        sent_to = strategy.inspected.addresses if strategy.inspected else addresses
        return SentUpload(batch, sent_to, replace(receipt, message_id=batch.message_id), files)

    async def dry_run(self, draft_id: str) -> tuple[DryRun, tuple[ReceivedFile, ...]]:
        """Return what would become of the draft, and its files. Raises as `send` before it asks the policies."""
        batch = await self.uploads.batches.find(self.outbox.person, draft_id)
        files = await self._received_files(batch)
        found = await dry_run_of_draft(self._inspection(files), draft_id)
        return replace(found, warnings=batch.warnings), files

    def _inspection(self, files: Sequence[ReceivedFile]) -> DraftInspection:
        return replace(self.outbox.inspection, announced=tuple(file.name for file in files))

    async def _addresses(self, batch: UploadBatch) -> tuple[str, ...]:
        """Return the draft's recipients as they are now; those of the announcement if Graph does not return them.

        A repeat needs no mailbox, so an error is none here: the inspection meets it again before a send.
        """
        try:
            return (await self.outbox.drafts.find(batch.draft_id)).addresses
        except M365Error:
            return batch.addresses

    async def _received_files(self, batch: UploadBatch) -> tuple[ReceivedFile, ...]:
        links = [await self.uploads.links.find_by_key(key) for key in batch.link_keys]
        missing = [
            f"'files' entry {number} {self._describe(link)}"
            for number, link in enumerate(links, start=1)
            if link is None or link.state != "done"
        ]
        if missing:
            raise AttachmentsMissing(f"{len(missing)} of {len(links)} files are missing: {', '.join(missing)}.")
        return tuple(ReceivedFile(link.name, link.size or 0, link.sha256 or "") for link in links if link is not None)

    def _describe(self, link: UploadLink | None) -> str:
        if link is None:
            return "has no record any more"
        if link.state == "uploading":
            return "is being uploaded"
        failure = f"; its last upload failed with {link.problem}" if link.problem else ""
        if self.uploads.links.has_expired(link):
            return f"did not arrive before its link expired{failure}"
        return f"has not arrived{failure}"
