"""Drafts that a person reads before the tools send them.

This server sends and deletes only drafts that it created. They contain our id (`graph.items.MARKER`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from m365_mcp.errors import AlreadySent, MessageMissing
from m365_mcp.graph.drafts import Draft
from m365_mcp.graph.items import Item
from m365_mcp.mail import Message
from m365_mcp.sending.draft_inspection import require_own
from m365_mcp.sending.dry_run import DryRun, dry_run_of_draft
from m365_mcp.sending.outbox import Outbox
from m365_mcp.sending.send_request import SendRequest, new_message_id
from m365_mcp.sending.send_strategy import Progress, SendReceipt, no_progress
from m365_mcp.sending.strategies import ExistingDraftSend


@dataclass(frozen=True)
class OwnDrafts:
    """One person's drafts that this server created."""

    outbox: Outbox

    async def create(self, message: Message) -> tuple[str, Draft]:
        """Create a draft in the Drafts folder; return our id of the message and the draft. Raises M365Error."""
        await self.outbox.policy.message(message, "Draft")
        message_id = new_message_id()
        async with self.outbox.slot():
            return message_id, await self.outbox.drafts.create(message.draft_as_graph(message_id), message_id)

    async def send(self, draft_id: str, progress: Progress = no_progress) -> tuple[Item, SendReceipt]:
        """Send a draft once, with its current content; return it as it was sent, and the receipt. See `Delivery.send`.

        A repeat returns the first receipt. Before a send, the strategy inspects the draft.

        Raises:
            MessageMissing: the mailbox has no such draft.
            AlreadySent: the draft was sent, and no recent call of this server sent it.
            InvalidArgument, RecipientNotAllowed, AttachmentsMissing: see `DraftInspection.inspect`.
        """
        item = await self._find_or_placeholder(draft_id)
        key = f"draft {draft_id}"
        fingerprint = hashlib.sha256(key.encode()).hexdigest()
        strategy = ExistingDraftSend(self.outbox.drafts, item.id, item.message_id, self.outbox.inspection)
        request = SendRequest(
            self.outbox.person,
            fingerprint,
            own_key=key,
            message_id=item.message_id,
            content=strategy.content,
        )
        receipt = await self.outbox.deliver(request, item.addresses, strategy, progress)
        return strategy.inspected or item, receipt

    async def dry_run(self, draft_id: str) -> DryRun:
        """Return what would become of a draft. Raises M365Error if it could not be sent; see `dry_run_of_draft`."""
        return await dry_run_of_draft(self.outbox.inspection, draft_id)

    async def _find_or_placeholder(self, draft_id: str) -> Item:
        try:
            return await self._find(draft_id)
        except MessageMissing:
            # For a while after a send, Graph may find the message in no folder, and this call may be a repeat.
            return Item(draft_id, "", is_draft=False)

    async def discard(self, draft_id: str) -> None:
        """Delete a draft. Raises MessageMissing, AlreadySent and other M365Errors."""
        item = await self._find(draft_id)
        if not item.is_draft:
            raise AlreadySent
        async with self.outbox.slot():
            # A deleted draft is in Deleted Items. A second deletion would remove it permanently.
            if not await self.outbox.drafts.is_in("drafts", str(item.message_id)):
                raise MessageMissing("This draft is no longer in the Drafts folder.")
            await self.outbox.drafts.delete(item.id)

    async def _find(self, draft_id: str) -> Item:
        return require_own(await self.outbox.drafts.find(draft_id))
