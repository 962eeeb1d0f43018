"""Drafts that a person reads before they are sent.

This server sends and deletes only drafts of its own: they carry our id (`graph.items.MARKER`).
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
    """One person's drafts that this server made."""

    outbox: Outbox

    async def create(self, message: Message) -> tuple[str, Draft]:
        """Put a message into the Drafts folder; return our id of it and the draft. Raises M365Error."""
        message_id = new_message_id()
        async with self.outbox.slot():
            return message_id, await self.outbox.drafts.create(message.draft_as_graph(message_id), message_id)

    async def send(self, draft_id: str, progress: Progress = no_progress) -> tuple[Item, SendReceipt]:
        """Send a draft once, as it is now; see `Delivery.send`.

        Raises:
            MessageMissing: there is no such draft.
            AlreadySent: it has left, and not by this server's doing a short while ago.
        """
        item, refusal = await self._look(draft_id)
        key = f"draft {draft_id}"
        fingerprint = hashlib.sha256(key.encode()).hexdigest()
        request = SendRequest(self.outbox.person, fingerprint, idempotency_key=key, message_id=item.message_id)
        strategy = ExistingDraftSend(self.outbox.drafts, item.id, item.message_id, is_shown=True, refusal=refusal)
        return item, await self.outbox.deliver(request, item.addresses, strategy, progress)

    async def _look(self, draft_id: str) -> tuple[Item, M365Error | None]:
        """Return the draft, and why it cannot be sent: that counts only if no earlier call has sent it."""
        try:
            item = await self._find(draft_id)
            if item.is_draft:
                check_draft_recipients(item, self.outbox.rules)
        except MessageMissing as missing:
            # A mailbox may show a message nowhere for a while after it was sent.
            return Item(draft_id, "", is_draft=False), missing
        return item, None if item.is_draft else AlreadySent()

    async def discard(self, draft_id: str) -> None:
        """Delete a draft. Raises MessageMissing, AlreadySent and other M365Errors."""
        item = await self._find(draft_id)
        if not item.is_draft:
            raise AlreadySent
        async with self.outbox.slot():
            # A deleted draft lies in Deleted Items, where a second deletion would remove it for good.
            if not await self.outbox.drafts.is_in("drafts", str(item.message_id)):
                raise MessageMissing("This draft is no longer in the Drafts folder.")
            await self.outbox.drafts.delete(item.id)

    async def _find(self, draft_id: str) -> Item:
        return require_own(await self.outbox.drafts.find(draft_id))


def require_own(item: Item) -> Item:
    """Return a message that this server made. Raises InvalidArgument for any other."""
    if item.message_id is None:
        raise InvalidArgument(
            "This message was not made by this server, which touches no other.",
            advice="Use the id that create_draft or schedule_mail returned; the person can see to the rest in Outlook.",
        )
    return item


def check_draft_recipients(item: Item, rules: MailRules) -> None:
    """Check whom a draft goes to, as the mailbox has it now. Raises InvalidArgument, RecipientNotAllowed."""
    fields = {"to": item.to, "cc": item.cc, "bcc": item.bcc}
    check_recipients(rules, **{name: tuple(map(Recipient, addresses)) for name, addresses in fields.items()})
