"""Drafts the person looks at before they are sent. May know `errors`, `mail`, `graph.*` and `sending.*`.

Only what this server has made is sent or thrown away: it bears our id (`graph.items.MARKER`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from m365_mcp.errors import InvalidArgument, M365Error
from m365_mcp.graph.drafts import Draft
from m365_mcp.graph.items import Item
from m365_mcp.mail import MailRules, Message, Recipient, check_people
from m365_mcp.mailbox_errors import AlreadySent, MessageMissing
from m365_mcp.sending.delivery import Progress, Receipt, in_silence
from m365_mcp.sending.ledger import Wish, new_message_id
from m365_mcp.sending.office import Desk
from m365_mcp.sending.prepared import Prepared


@dataclass(frozen=True)
class DraftDesk:
    """One person's drafts that this server made."""

    desk: Desk

    async def create(self, message: Message) -> tuple[str, Draft]:
        """Put a message into the Drafts folder; return our id of it and the draft. Raises M365Error."""
        message_id = new_message_id()
        async with self.desk.turn():
            return message_id, await self.desk.drafts.create(message.draft_as_graph(message_id), message_id)

    async def send(self, draft_id: str, progress: Progress = in_silence) -> tuple[Item, Receipt]:
        """Send a draft once, as it is now; see `Delivery.send`.

        Raises:
            MessageMissing: there is no such draft.
            AlreadySent: it has left, and not by this server's doing a short while ago.
        """
        item, refusal = await self._look(draft_id)
        key = f"draft {draft_id}"
        wish = Wish(self.desk.person, hashlib.sha256(key.encode()).hexdigest(), key, message_id=item.message_id)
        way = Prepared(self.desk.drafts, item, is_shown=True, refusal=refusal)
        return item, await self.desk.office.delivery.send(wish, item.addresses, way, progress)

    async def _look(self, draft_id: str) -> tuple[Item, M365Error | None]:
        """Return the draft, and why it cannot be sent: that counts only if no earlier call has sent it."""
        try:
            item = await self._find(draft_id)
            if item.is_draft:
                check_item(item, self.desk.office.rules)
        except MessageMissing as missing:
            # A mailbox may show a message nowhere for a while after it was sent.
            return Item(draft_id, "", is_draft=False), missing
        return item, None if item.is_draft else AlreadySent()

    async def discard(self, draft_id: str) -> None:
        """Throw a draft away. Raises MessageMissing, AlreadySent and other M365Errors."""
        item = await self._find(draft_id)
        if not item.is_draft:
            raise AlreadySent
        async with self.desk.turn():
            # A draft that was deleted lies in Deleted Items, where deleting it would remove it for good.
            if not await self.desk.drafts.is_in("drafts", str(item.message_id)):
                raise MessageMissing("This draft lies in the Drafts folder no more.")
            await self.desk.drafts.delete(item.id)

    async def _find(self, draft_id: str) -> Item:
        return made_here(await self.desk.drafts.find(draft_id))


def made_here(item: Item) -> Item:
    """Return a message that this server made. Raises InvalidArgument for any other."""
    if item.message_id is None:
        raise InvalidArgument(
            "This message was not made by this server, which touches no other.",
            advice="Use the id that create_draft or schedule_mail returned; the person can see to the rest in Outlook.",
        )
    return item


def check_item(item: Item, rules: MailRules) -> None:
    """Check whom a draft goes to, as the mailbox has it now. Raises InvalidArgument, RecipientNotAllowed."""
    fields = {"to": item.to, "cc": item.cc, "bcc": item.bcc}
    check_people(rules, **{name: tuple(map(Recipient, addresses)) for name, addresses in fields.items()})
