"""The strategies to send a message: one request, a new draft, an existing draft, or a deferred send."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import ClassVar

from m365_mcp.errors import M365Error, OutcomeUnknown, Throttled
from m365_mcp.graph.drafts import Drafts
from m365_mcp.graph.items import Item
from m365_mcp.graph.mailbox import Mailbox
from m365_mcp.mail import Message
from m365_mcp.sending.draft_inspection import DraftInspection
from m365_mcp.sending.held_mail import HeldContent, Way
from m365_mcp.sending.send_request import SendContent
from m365_mcp.sending.send_strategy import RecordDraft

# Pauses between polls until Graph has moved a sent message out of the Drafts folder, in seconds.
POLL_PAUSES = (0.3, 0.7, 1.0, 2.0, 4.0)


async def _do_nothing() -> None:
    return


Permit = Callable[[], Awaitable[None]]
"""Returns if the policies of now permit the message to leave; raises PolicyDenied or PolicyFailed."""


@dataclass(frozen=True)
class DirectSend:
    """`POST /me/sendMail`: needs the smallest permission, and cannot reconcile an unknown outcome."""

    mailbox: Mailbox
    message: Message
    permit: Permit
    records_draft: ClassVar[bool] = False

    async def send(self, message_id: str, record_draft: RecordDraft) -> str | None:
        """Send the message in one request; see `send_strategy.SendStrategy`."""
        await self.permit()
        return await self.mailbox.send(self.message.encode(message_id))

    def to_hold(self) -> HeldContent:
        """Return the message; see `send_strategy.SendStrategy`."""
        return HeldContent("direct", self.message)

    async def reconcile(self, message_id: str, draft_id: str | None) -> bool | None:
        """Return None: `Mail.Send` alone does not permit this server to read Sent Items."""
        return None


@dataclass(frozen=True)
class DraftSend:
    """Creates a draft and sends it: the outcome can be reconciled, and Graph sends a draft only once.

    Attributes:
        drafts: the person's drafts.
        message: the message to send.
        permit: is asked before the draft is made, and before it is sent once more.
        poll_pauses: pauses between polls, in seconds.
    """

    drafts: Drafts
    message: Message
    permit: Permit
    records_draft: ClassVar[bool] = True
    poll_pauses: tuple[float, ...] = POLL_PAUSES

    async def send(self, message_id: str, record_draft: RecordDraft) -> str | None:
        """Create a draft, record it and send it; delete it when Graph refuses it. See `send_strategy.SendStrategy`."""
        await self.permit()
        draft = await self.drafts.create(self.message.draft_as_graph(message_id), message_id)
        try:
            await record_draft(draft.id)
            return await self.drafts.send(draft.id)
        except OutcomeUnknown:
            raise
        except M365Error as error:
            # 429 means that Graph did not accept the message. By some reports it sometimes did; the draft shows it.
            if isinstance(error, Throttled) and await _has_left(self.drafts, message_id, draft.id, self.poll_pauses):
                return error.reference
            with contextlib.suppress(M365Error):  # a draft that stays in the folder reaches no recipient
                await self.drafts.delete(draft.id)
            raise

    def to_hold(self) -> HeldContent:
        """Return the message; see `send_strategy.SendStrategy`."""
        return HeldContent("draft", self.message)

    async def reconcile(self, message_id: str, draft_id: str | None) -> bool | None:
        """Find the message in the mailbox; see `reconcile_draft`."""
        return await reconcile_draft(self.drafts, message_id, draft_id, self.poll_pauses, self.permit)


async def _remember_nothing(_: str, __: str) -> None:
    return


async def _forget_nothing(_: str) -> None:
    return


@dataclass(frozen=True)
class DeferredSend(DraftSend):
    """Sends a draft now that Graph delivers later.

    Attributes:
        remember: records our id and Graph's id of the message before Exchange gets it; raises M365Error.
        forget: removes that record when Exchange did not get the message.
    """

    remember: Callable[[str, str], Awaitable[None]] = _remember_nothing
    forget: Callable[[str], Awaitable[None]] = _forget_nothing

    async def send(self, message_id: str, record_draft: RecordDraft) -> str | None:
        """Create a draft, record it and send it; see `DraftSend.send`."""

        async def record(draft_id: str) -> None:
            await record_draft(draft_id)
            await self.remember(message_id, draft_id)

        try:
            return await super().send(message_id, record)
        except OutcomeUnknown:
            raise
        except M365Error:
            await self.forget(message_id)
            raise

    def to_hold(self) -> HeldContent:
        """Return the message; see `send_strategy.SendStrategy`."""
        return HeldContent("deferred", self.message)

    async def reconcile(self, message_id: str, draft_id: str | None) -> bool | None:
        """Find the message in the Outbox or Sent Items; delete it if it is still a draft, so that it stays unsent."""
        if draft_id is None:
            return False
        if await self.drafts.is_in("outbox", message_id):
            return True
        location = await self.drafts.location(draft_id, message_id)
        if location == "draft":
            # Some mailboxes store a deferred message among the drafts, where it looks like an unsent draft.
            await self.drafts.delete(draft_id)
            await self.forget(message_id)
            return False
        return True if location == "sent" else None


@dataclass
class ExistingDraftSend:
    """Sends a draft that is already in the mailbox.

    Attributes:
        drafts: the person's drafts.
        draft_id: Graph's id of the draft.
        message_id: our id, which the draft contains; None when this server could not read the draft.
        inspection: inspects a draft that the person knows, each time before it is sent; such a draft stays in the
            mailbox when it is refused. None for a draft that this call created; it is deleted when it is refused.
        permit: is asked besides, each time before the draft is sent.
        way: what the draft is, for the page where the person approves it.
        poll_pauses: pauses between polls, in seconds.
        has_started: whether this call has started to send the draft.
        inspected: the draft as the last inspection found it.
    """

    records_draft: ClassVar[bool] = True
    drafts: Drafts
    draft_id: str
    message_id: str | None
    inspection: DraftInspection | None = None
    permit: Permit = _do_nothing
    way: Way = "existing"
    poll_pauses: tuple[float, ...] = POLL_PAUSES
    has_started: bool = field(default=False, init=False)
    inspected: Item | None = field(default=None, init=False)

    def content(self) -> SendContent:
        """Return what is known of the draft, for a record of the send."""
        if self.inspected is None:
            return SendContent()
        return SendContent(self.inspected.subject, addresses=self.inspected.addresses)

    async def send(self, message_id: str, record_draft: RecordDraft) -> str | None:
        """Send the draft; see `send_strategy.SendStrategy`. The id in the draft overrides the id in the ledger."""
        self.has_started = True
        try:
            await self._inspect()
            await record_draft(self.draft_id)
            return await self.drafts.send(self.draft_id)
        except OutcomeUnknown:
            raise
        except M365Error:
            if self.inspection is None:
                await self.discard()
            raise

    def to_hold(self) -> HeldContent:
        """Return the draft; see `send_strategy.SendStrategy`."""
        return HeldContent(self.way, draft_id=self.draft_id)

    async def _inspect(self) -> None:
        await self.permit()
        if self.inspection is not None:
            self.inspected = await self.inspection.inspect(self.draft_id)

    async def reconcile(self, message_id: str, draft_id: str | None) -> bool | None:
        """Find the message in the mailbox; see `reconcile_draft`. A draft that is sent once more is inspected again."""
        if draft_id == self.draft_id and self.message_id is not None:
            message_id = self.message_id  # an earlier call of a reply had another draft, with the ledger's id
        return await reconcile_draft(self.drafts, message_id, draft_id, self.poll_pauses, self._inspect)

    async def discard(self) -> None:
        """Delete the draft, and ignore a failure: a draft that stays in the folder reaches no recipient."""
        with contextlib.suppress(M365Error):
            await self.drafts.delete(self.draft_id)


async def reconcile_draft(
    drafts: Drafts,
    message_id: str,
    draft_id: str | None,
    poll_pauses: tuple[float, ...] = POLL_PAUSES,
    before_resend: Permit = _do_nothing,
) -> bool | None:
    """Poll until Graph has moved the message out of the Drafts folder; send the draft once more if it stays there.

    Args:
        before_resend: raises M365Error if the draft must not be sent; then the outcome stays unknown.

    Returns:
        True when Graph sent the message, False when it did not, None when the mailbox does not show which.
    """
    if draft_id is None:
        return False  # the ledger records a draft before the request to send it, so no request went out
    if await _has_left(drafts, message_id, draft_id, poll_pauses):
        return True
    if not await drafts.is_in("drafts", message_id):
        return None  # the person deleted the draft (in Deleted Items it is still a draft) or moved it
    await before_resend()
    with contextlib.suppress(OutcomeUnknown):
        await drafts.send(draft_id)
        return True
    return True if await _has_left(drafts, message_id, draft_id, poll_pauses) else None


async def _has_left(drafts: Drafts, message_id: str, draft_id: str, poll_pauses: tuple[float, ...]) -> bool:
    for pause in poll_pauses:
        await asyncio.sleep(pause)
        if await drafts.location(draft_id, message_id) == "sent":
            return True
    return False
