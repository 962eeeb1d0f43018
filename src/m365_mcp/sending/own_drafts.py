"""Drafts that a person reads before the tools send them.

This server sends and deletes only drafts that it created. They contain our id (`graph.items.MARKER`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from m365_mcp.errors import AlreadySent, InvalidArgument, M365Error, MessageMissing
from m365_mcp.graph.drafts import Draft
from m365_mcp.graph.items import Item
from m365_mcp.mail import MailRules, Message, Recipient, check_recipients
from m365_mcp.sending.delivery import Progress, SendReceipt, no_progress
from m365_mcp.sending.outbox import Outbox
from m365_mcp.sending.send_request import SendRequest, new_message_id
from m365_mcp.sending.strategies import ExistingDraftSend


@dataclass(frozen=True)
class OwnDrafts:
    """One person's drafts that this server created."""

    outbox: Outbox

    async def create(self, message: Message) -> tuple[str, Draft]:
        """Create a draft in the Drafts folder; return our id of the message and the draft. Raises M365Error."""
        message_id = new_message_id()
        async with self.outbox.slot():
            return message_id, await self.outbox.drafts.create(message.draft_as_graph(message_id), message_id)

    async def send(self, draft_id: str, progress: Progress = no_progress) -> tuple[Item, SendReceipt]:
        """Send a draft once, with its current content; see `Delivery.send`.

        Raises:
            MessageMissing: the mailbox has no such draft.
            AlreadySent: the draft was sent, and no recent call of this server sent it.
        """
        item, refusal = await self._inspect(draft_id)
        key = f"draft {draft_id}"
        fingerprint = hashlib.sha256(key.encode()).hexdigest()
        request = SendRequest(self.outbox.person, fingerprint, idempotency_key=key, message_id=item.message_id)
        strategy = ExistingDraftSend(
            self.outbox.drafts, item.id, item.message_id, person_knows_draft=True, refusal=refusal
        )
        return item, await self.outbox.deliver(request, item.addresses, strategy, progress)

    async def _inspect(self, draft_id: str) -> tuple[Item, M365Error | None]:
        """Return the draft, and the reason not to send it; the reason counts only if no earlier call sent the draft."""
        try:
            item = await self._find(draft_id)
            if item.is_draft:
                check_draft_recipients(item, self.outbox.rules)
        except MessageMissing as missing:
            # For a while after a send, Graph may find the message in no folder.
            return Item(draft_id, "", is_draft=False), missing
        return item, None if item.is_draft else AlreadySent()

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


def require_own(item: Item) -> Item:
    """Return `item` if this server created it. Raises InvalidArgument if not."""
    if item.message_id is None:
        raise InvalidArgument(
            "This server did not create this message, and it changes only its own messages.",
            advice="Use the id that create_draft or schedule_mail returned; other messages can be changed in Outlook.",
        )
    return item


def check_draft_recipients(item: Item, rules: MailRules) -> None:
    """Check the current recipients of a draft. Raises InvalidArgument, RecipientNotAllowed."""
    fields = {"to": item.to, "cc": item.cc, "bcc": item.bcc}
    check_recipients(rules, **{name: tuple(map(Recipient, addresses)) for name, addresses in fields.items()})
