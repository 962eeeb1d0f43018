"""Mail that leaves later: it is scheduled, listed and cancelled here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from m365_mcp.errors import AlreadySent, InvalidArgument, MessageMissing
from m365_mcp.graph.items import Item
from m365_mcp.graph.scheduled import list_scheduled
from m365_mcp.mail import Message
from m365_mcp.sending.delivery import Progress, SendReceipt, no_progress
from m365_mcp.sending.outbox import Outbox
from m365_mcp.sending.own_drafts import require_own
from m365_mcp.sending.send_request import SendRequest
from m365_mcp.sending.strategies import DeferredSend


@dataclass(frozen=True)
class Schedule:
    """One person's mail that leaves later."""

    outbox: Outbox

    async def add(
        self, message: Message, *, idempotency_key: str | None, allow_duplicate: bool, progress: Progress = no_progress
    ) -> SendReceipt:
        """Hand over a message that leaves at its `send_at`, once; see `Delivery.send`."""
        request = SendRequest(
            self.outbox.person,
            message.fingerprint,
            composed_fingerprint=message.composed_fingerprint(),
            idempotency_key=idempotency_key,
            allow_duplicate=allow_duplicate,
        )
        return await self.outbox.deliver(
            request, message.addresses, DeferredSend(self.outbox.drafts, message), progress
        )

    async def list(self, now: datetime) -> tuple[Item, ...]:
        """Return what this server has scheduled and has not left yet, the next to leave first. Raises M365Error."""
        return await list_scheduled(self.outbox.mailbox, now)

    async def cancel(self, item_id: str) -> Item:
        """Cancel a message, and return it.

        Raises:
            AlreadySent: it has left.
            MessageMissing: there is none, or it was cancelled before.
            InvalidArgument: it is not one that this server has scheduled.
        """
        item = require_own(await self.outbox.drafts.find(item_id))
        if not item.is_draft:
            raise AlreadySent
        if item.send_at is None:
            raise InvalidArgument("This message is a draft and not scheduled.", advice="Use discard_draft for drafts.")
        drafts, message_id = self.outbox.drafts, str(item.message_id)
        async with self.outbox.slot():
            # A cancelled message lies in Deleted Items, where a second deletion would remove it for good.
            waits = await drafts.is_in("outbox", message_id) or await drafts.is_in("drafts", message_id)
            if waits:
                await drafts.delete(item.id)
        if await drafts.location(item.id, message_id) == "sent":
            raise AlreadySent  # it left while it was being cancelled
        if not waits:
            raise MessageMissing("This message no longer waits: it was cancelled, or the person moved it.")
        return item
