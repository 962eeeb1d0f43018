"""Schedules, lists and cancels mail that Graph sends later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from m365_mcp.errors import AlreadySent, InvalidArgument, MessageMissing
from m365_mcp.graph.drafts import list_scheduled
from m365_mcp.graph.items import Item
from m365_mcp.mail import Message
from m365_mcp.sending.draft_inspection import require_own
from m365_mcp.sending.outbox import Outbox
from m365_mcp.sending.send_events import content_of
from m365_mcp.sending.send_request import SendRequest
from m365_mcp.sending.send_strategy import Progress, SendReceipt, no_progress
from m365_mcp.sending.strategies import DeferredSend


@dataclass(frozen=True)
class ScheduledItem:
    """A scheduled message, and whether the rules of now allow its sender and recipients.

    Exchange sends the message by itself, so this server cannot inspect it at that moment.
    """

    item: Item
    is_allowed: bool


@dataclass(frozen=True)
class Schedule:
    """One person's scheduled mail."""

    outbox: Outbox

    async def add(
        self, message: Message, *, idempotency_key: str | None, allow_duplicate: bool, progress: Progress = no_progress
    ) -> SendReceipt:
        """Send a message to Graph once; Graph delivers it at its `send_at`. See `Delivery.send`."""
        request = SendRequest(
            self.outbox.person,
            message.fingerprint,
            composed_fingerprint=message.composed_fingerprint(),
            idempotency_key=idempotency_key,
            allow_duplicate=allow_duplicate,
            content=partial(content_of, message),
        )
        permit = partial(self.outbox.policy.message, message, "Send", "Schedule")
        return await self.outbox.deliver(
            request, message.addresses, DeferredSend(self.outbox.drafts, message, permit), progress
        )

    async def list(self, now: datetime) -> tuple[ScheduledItem, ...]:
        """Return the messages that this server scheduled and Graph has not sent yet, next first. Raises M365Error."""
        items, inspection = await list_scheduled(self.outbox.mailbox, now), self.outbox.inspection
        own = await inspection.own_keys(items)
        return tuple(ScheduledItem(item, is_allowed=inspection.is_allowed(item, own)) for item in items)

    async def cancel(self, item_id: str) -> Item:
        """Cancel a scheduled message, and return it.

        Raises:
            AlreadySent: Graph has sent the message.
            MessageMissing: the mailbox has no such message, or an earlier call cancelled it.
            InvalidArgument: this server did not schedule the message.
        """
        item = require_own(await self.outbox.drafts.find(item_id))
        if not item.is_draft:
            raise AlreadySent
        if item.send_at is None:
            raise InvalidArgument("This message is a draft and not scheduled.", advice="Use discard_draft for drafts.")
        drafts, message_id = self.outbox.drafts, str(item.message_id)
        async with self.outbox.slot():
            # A cancelled message is in Deleted Items. A second deletion would remove it permanently.
            is_waiting = await drafts.is_in("outbox", message_id) or await drafts.is_in("drafts", message_id)
            if is_waiting:
                await drafts.delete(item.id)
        if await drafts.location(item.id, message_id) == "sent":
            raise AlreadySent  # Graph sent the message during the cancellation
        if not is_waiting:
            raise MessageMissing("This message is not scheduled any more: it was cancelled, or the person moved it.")
        return item
