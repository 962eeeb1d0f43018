"""What happens to an upload: its ticket is taken, its bytes go into the draft of the person who asked for the link."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

from m365_mcp.auth.graph_token_provider import GraphTokenProvider
from m365_mcp.errors import M365Error, SignInNeeded, StorageUnavailable, UploadBrokenOff, UploadIncomplete
from m365_mcp.graph.attachments import DraftAttachments
from m365_mcp.graph.client import GraphClient
from m365_mcp.graph.mailbox import Mailbox
from m365_mcp.mail import MailRules
from m365_mcp.metrics import Metrics
from m365_mcp.sending.mailbox_slots import MailboxSlots
from m365_mcp.sending.outbox import mailbox_of
from m365_mcp.uploads.files import check_size
from m365_mcp.uploads.links import ClaimedLink, UploadLink, UploadLinks
from m365_mcp.uploads.slots import UploadSlots
from m365_mcp.uploads.transfer import Incoming, Transfer


@dataclass(frozen=True)
class ReceivedFile:
    """A file that is attached."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class UploadReceiver:
    """Takes uploads in.

    Attributes:
        links: what the links stand for.
        access: where the person's Graph token comes from; an upload brings none.
        graph: Microsoft Graph.
        slots: how many requests a mailbox takes at a time.
        rules: what may be attached.
        metrics: where uploads are counted.
        upload_slots: how many uploads run at a time.
    """

    links: UploadLinks
    access: GraphTokenProvider
    graph: GraphClient
    slots: MailboxSlots
    rules: MailRules
    metrics: Metrics
    upload_slots: UploadSlots = field(default_factory=UploadSlots)

    async def look(self, secret: str) -> UploadLink:
        """Return what a link stands for; see `UploadLinks.find`."""
        return await self.links.find(secret)

    async def receive(self, secret: str, incoming: Incoming) -> ReceivedFile:
        """Attach the file to its draft.

        Raises:
            UploadLinkUnknown, UploadLinkEnded, UploadRunning: the link is not to be had.
            ServerBusy: the person, or all people together, upload as many files as may be uploaded at a time.
            SignInNeeded: the session that asked for the link has ended.
            UploadIncomplete, FileTooLarge, InvalidArgument: the file is not one that can be taken.
            M365Error: it is not attached; the same link may be tried again until it expires.
        """
        link = await self.links.find(secret)
        check_size(incoming.size)
        if link.size not in (None, incoming.size):
            raise UploadIncomplete(f"The file has {incoming.size:,} bytes, and {link.size:,} were announced.")
        with self.upload_slots.slot(link.person):
            mailbox = await self._mailbox(link)
            async with self.links.claimed(secret) as claimed:
                return await self._attach(claimed, mailbox, incoming)

    async def _mailbox(self, link: UploadLink) -> Mailbox:
        caller = await self.access.caller(link.session_id)
        if caller.person != link.person:
            raise SignInNeeded
        return mailbox_of(self.graph, self.access, caller)

    async def _attach(self, claimed: ClaimedLink, mailbox: Mailbox, incoming: Incoming) -> ReceivedFile:
        link = claimed.link
        attachments = DraftAttachments(mailbox, link.draft_id, lambda: self.slots.slot(link.person))
        try:
            transfer = Transfer(attachments, self.rules)
            await transfer.run(link.name, incoming, is_first_try=link.is_first_try)
        except BaseException as error:
            refused = isinstance(error, M365Error) and not isinstance(error, UploadBrokenOff)
            self.metrics.uploads.labels("failed" if refused else "broken_off").inc()
            with contextlib.suppress(StorageUnavailable):  # what says `uploading` and has no lease may be tried again
                await claimed.note(state="failed" if refused else "open", problem=getattr(error, "code", None))
            raise
        await claimed.note(state="done", size=incoming.size, sha256=incoming.sha256)
        self.metrics.uploads.labels("done").inc()
        return ReceivedFile(link.name, incoming.size, incoming.sha256)
