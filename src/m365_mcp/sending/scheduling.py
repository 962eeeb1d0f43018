"""Mail that leaves later: scheduled, listed, called back. May know `errors`, `mail`, `graph.*` and `sending.*`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from m365_mcp.errors import InvalidArgument
from m365_mcp.graph.items import Item
from m365_mcp.graph.waiting import list_waiting
from m365_mcp.mail import Message
from m365_mcp.mailbox_errors import AlreadySent, MessageMissing
from m365_mcp.sending.delivery import Progress, Receipt, in_silence
from m365_mcp.sending.drafting import made_here
from m365_mcp.sending.ledger import Wish
from m365_mcp.sending.office import Desk
from m365_mcp.sending.prepared import Deferred


@dataclass(frozen=True)
class Schedule:
    """One person's mail that leaves later."""

    desk: Desk

    async def add(
        self, message: Message, *, key: str | None, second_copy: bool, progress: Progress = in_silence
    ) -> Receipt:
        """Hand over a message that leaves at its `send_at`, once; see `Delivery.send`."""
        wish = Wish(self.desk.person, message.fingerprint(), key, second_copy)
        way = Deferred(self.desk.drafts, message)
        return await self.desk.office.delivery.send(wish, message.addresses, way, progress)

    async def list(self, now: datetime) -> tuple[Item, ...]:
        """Return what this server has scheduled and has not left yet, the next to leave first. Raises M365Error."""
        return await list_waiting(self.desk.mailbox, now)

    async def cancel(self, item_id: str) -> Item:
        """Call a message back, and return it.

        Raises:
            AlreadySent: it has left.
            MessageMissing: there is none, or it was called back before.
            InvalidArgument: it is not one that this server has scheduled.
        """
        item = made_here(await self.desk.drafts.find(item_id))
        if not item.is_draft:
            raise AlreadySent
        if item.send_at is None:
            raise InvalidArgument("This message is a draft and not scheduled.", advice="Use discard_draft for drafts.")
        drafts, message_id = self.desk.drafts, str(item.message_id)
        async with self.desk.turn():
            # A message that was called back lies in Deleted Items, where deleting it would remove it for good.
            waits = await drafts.is_in("outbox", message_id) or await drafts.is_in("drafts", message_id)
            if waits:
                await drafts.delete(item.id)
        if await drafts.whereabouts(item.id, message_id) == "sent":
            raise AlreadySent  # it left while it was to be called back
        if not waits:
            raise MessageMissing("This message waits no more: it was called back, or the person moved it.")
        return item
