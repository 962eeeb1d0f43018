"""Schedules, lists and cancels mail that Graph sends later."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from m365_mcp.errors import AlreadySent, InvalidArgument, MessageMissing, StorageUnavailable
from m365_mcp.graph.drafts import list_scheduled
from m365_mcp.graph.items import Item
from m365_mcp.mail import Message
from m365_mcp.sending.draft_inspection import require_own
from m365_mcp.sending.outbox import Outbox
from m365_mcp.sending.scheduled_mail import ScheduledMail
from m365_mcp.sending.send_events import cancellation, content_of
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
        return await self.outbox.deliver(request, message.addresses, deferred_send(self.outbox, message), progress)

    async def list(self, now: datetime) -> tuple[ScheduledItem, ...]:
        """Return the messages that this server scheduled and Graph has not sent yet, next first. Raises M365Error."""
        items, inspection = await list_scheduled(self.outbox.mailbox, now), self.outbox.inspection
        own = await inspection.own_keys(items)
        return tuple(ScheduledItem(item, is_allowed=inspection.is_allowed(item, own)) for item in items)

    async def cancel(self, item_id: str) -> Item:
        """Cancel a scheduled message for the person, forget its record, and return it. Raises as `call_back` does."""
        item = await self.call_back(item_id)
        with suppress(StorageUnavailable):  # then the record ends with its time
            await self.outbox.outgoing.scheduled.remove(self.outbox.person, str(item.message_id))
        delivery = self.outbox.outgoing.delivery
        delivery.metrics.sends.labels("cancelled").inc()
        delivery.observer.end(
            cancellation(self.outbox.person, self.outbox.origin, str(item.message_id), item.addresses)
        )
        return item

    async def call_back(self, item_id: str) -> Item:
        """Have Exchange not send a scheduled message, which is a draft in Deleted Items from then on, and return it.

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


def deferred_send(outbox: Outbox, message: Message) -> DeferredSend:
    """Return what hands a message to Exchange for its time, and has this server keep track of it until then."""
    scheduled, person, origin = outbox.outgoing.scheduled, outbox.person, outbox.origin
    # The edition of now, and not of the decision: if the policies change meanwhile, the message is decided once more.
    edition = outbox.outgoing.policies.edition

    async def remember(message_id: str, draft_id: str) -> None:
        await scheduled.add(
            person,
            ScheduledMail(
                id=message_id,
                draft_id=draft_id,
                session_id=origin.session_id,
                client=origin.client,
                sign_in_name=origin.sign_in_name,
                addresses=message.addresses,
                handed_over_at=scheduled.clock(),
                due_at=message.send_at.timestamp() if message.send_at else scheduled.clock(),
                is_approved=outbox.is_approved,
                decided=(edition,),
            ),
        )

    async def forget(message_id: str) -> None:
        with suppress(StorageUnavailable):  # then the record ends with its time
            await scheduled.remove(person, message_id)

    permit = partial(outbox.policy.message, message, "Send", "Schedule")
    return DeferredSend(outbox.drafts, message, permit, remember=remember, forget=forget)
