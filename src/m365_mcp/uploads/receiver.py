"""Receives an upload: reserves its link, and adds the file to the draft of the person who created the link."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

from m365_mcp.auth.graph_token_provider import GraphTokenProvider
from m365_mcp.errors import Filled, M365Error, SignInNeeded, StorageUnavailable, UploadBrokenOff, UploadIncomplete
from m365_mcp.graph.attachments import DraftAttachments
from m365_mcp.graph.client import GraphClient
from m365_mcp.graph.mailbox import Mailbox
from m365_mcp.mail import MailRules
from m365_mcp.metrics import Metrics
from m365_mcp.sending.mailbox_slots import MailboxSlots
from m365_mcp.sending.outbox import mailbox_of
from m365_mcp.uploads.files import check_size
from m365_mcp.uploads.links import ReservedLink, UploadLink, UploadLinks
from m365_mcp.uploads.slots import UploadSlots
from m365_mcp.uploads.transfer import Incoming, Transfer


@dataclass(frozen=True)
class ReceivedFile:
    """A file that is attached to its draft; `size` is in bytes, `sha256` is hexadecimal."""

    name: str
    size: int
    sha256: str


def _ignore(_: UploadLink, __: M365Error) -> None:
    return


@dataclass(frozen=True)
class UploadReceiver:
    """Receives uploads and adds the files to their drafts.

    Attributes:
        links: the upload links.
        tokens: provides the person's Graph token; an upload request contains none.
        graph: Microsoft Graph.
        slots: limits the concurrent requests for a mailbox.
        rules: the operator's rules for attachments.
        metrics: counts the uploads.
        upload_slots: limits the concurrent uploads.
        on_refusal: is told of each file that a link in force does not accept.
    """

    links: UploadLinks
    tokens: GraphTokenProvider
    graph: GraphClient
    slots: MailboxSlots
    rules: MailRules
    metrics: Metrics
    upload_slots: UploadSlots = field(default_factory=UploadSlots)
    on_refusal: Callable[[UploadLink, M365Error], None] = _ignore

    async def find_link(self, secret: str) -> UploadLink:
        """Return the link with this secret; see `UploadLinks.find`."""
        return await self.links.find(secret)

    async def receive(self, secret: str, incoming: Incoming) -> ReceivedFile:
        """Attach the file to its draft.

        Raises:
            UploadLinkUnknown, UploadLinkEnded, UploadRunning: the client cannot use the link now.
            ServerBusy: the person, or all people together, have reached the limit of concurrent uploads.
            SignInNeeded: the session that created the link has ended.
            UploadIncomplete, FileTooLarge, InvalidArgument: the server does not accept the file.
            M365Error: the file is not attached; the client may use the link again until it expires.
        """
        link = await self.links.find(secret)
        try:
            return await self._receive(secret, link, incoming)
        except UploadBrokenOff:  # by the client
            raise
        except M365Error as error:
            self.on_refusal(link, error)
            raise

    async def _receive(self, secret: str, link: UploadLink, incoming: Incoming) -> ReceivedFile:
        check_size(incoming.size)
        if link.size not in (None, incoming.size):
            raise _another_size(incoming.size, link.size or 0)
        with self.upload_slots.slot(link.person):
            mailbox = await self._mailbox(link)
            async with self.links.reserved(secret) as reserved:
                return await self._attach(reserved, mailbox, incoming)

    async def _mailbox(self, link: UploadLink) -> Mailbox:
        caller = await self.tokens.caller(link.session_id)
        if caller.person != link.person:
            raise SignInNeeded
        return mailbox_of(self.graph, self.tokens, caller)

    async def _attach(self, reserved: ReservedLink, mailbox: Mailbox, incoming: Incoming) -> ReceivedFile:
        link = reserved.link
        attachments = DraftAttachments(mailbox, link.draft_id, lambda: self.slots.slot(link.person))
        try:
            transfer = Transfer(attachments, self.rules)
            await transfer.run(link.name, incoming, is_first_try=link.is_first_try)
        except BaseException as error:
            is_error = isinstance(error, M365Error) and not isinstance(error, UploadBrokenOff)
            self.metrics.uploads.labels("failed" if is_error else "broken_off").inc()
            with contextlib.suppress(
                StorageUnavailable
            ):  # a link in `uploading` without a lease accepts another upload
                await reserved.update(state="failed" if is_error else "open", problem=getattr(error, "code", None))
            raise
        await reserved.update(state="done", size=incoming.size, sha256=incoming.sha256)
        self.metrics.uploads.labels("done").inc()
        return ReceivedFile(link.name, incoming.size, incoming.sha256)


def _another_size(found: int, expected: int) -> UploadIncomplete:
    return UploadIncomplete(
        Filled(
            "The file has %(found)s bytes; the announced size is %(expected)s bytes.",
            found=f"{found:,}",
            expected=f"{expected:,}",
        )
    )
