"""The strategies to send a message: one request, a new draft, an existing draft, or a deferred send."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import ClassVar

from m365_mcp.errors import M365Error, MessageMissing, OutcomeUnknown, Throttled
from m365_mcp.graph.drafts import Drafts
from m365_mcp.graph.mailbox import Mailbox
from m365_mcp.mail import Message
from m365_mcp.sending.delivery import RecordDraft

# Pauses between polls until Graph has moved a sent message out of the Drafts folder, in seconds.
POLL_PAUSES = (0.3, 0.7, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class DirectSend:
    """`POST /me/sendMail`: needs the smallest permission, and cannot reconcile an unknown outcome."""

    mailbox: Mailbox
    message: Message
    records_draft: ClassVar[bool] = False

    async def send(self, message_id: str, record_draft: RecordDraft) -> str | None:
        """Send the message in one request; see `delivery.SendStrategy`."""
        return await self.mailbox.send(self.message.encode(message_id))

    async def reconcile(self, message_id: str, draft_id: str | None) -> bool | None:
        """Return None: `Mail.Send` alone does not permit this server to read Sent Items."""
        return None


@dataclass(frozen=True)
class DraftSend:
    """Creates a draft and sends it: the outcome can be reconciled, and Graph sends a draft only once.

    Attributes:
        drafts: the person's drafts.
        message: the message to send.
        poll_pauses: pauses between polls, in seconds.
    """

    drafts: Drafts
    message: Message
    records_draft: ClassVar[bool] = True
    poll_pauses: tuple[float, ...] = POLL_PAUSES

    async def send(self, message_id: str, record_draft: RecordDraft) -> str | None:
        """Create a draft, record it and send it; delete it when Graph refuses it. See `delivery.SendStrategy`."""
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

    async def reconcile(self, message_id: str, draft_id: str | None) -> bool | None:
        """Find the message in the mailbox; see `reconcile_draft`."""
        return await reconcile_draft(self.drafts, message_id, draft_id, self.poll_pauses)


class DeferredSend(DraftSend):
    """Sends a draft now that Graph delivers later."""

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
            return False
        return True if location == "sent" else None


@dataclass
class ExistingDraftSend:
    """Sends a draft that is already in the mailbox.

    Attributes:
        drafts: the person's drafts.
        draft_id: Graph's id of the draft.
        message_id: our id, which the draft contains; None when this server could not read the draft.
        person_knows_draft: whether the person knows the draft. This strategy sends such a draft from the Drafts folder
            only, and leaves it there when Graph refuses it. It deletes any other draft that Graph refuses.
        refusal: the error that forbids to send the draft, if known.
        has_started: whether this call has started to send the draft.
    """

    records_draft: ClassVar[bool] = True
    drafts: Drafts
    draft_id: str
    message_id: str | None
    person_knows_draft: bool
    refusal: M365Error | None = None
    has_started: bool = field(default=False, init=False)

    async def send(self, message_id: str, record_draft: RecordDraft) -> str | None:
        """Send the draft; see `delivery.SendStrategy`. The id in the draft overrides the id in the ledger."""
        self.has_started = True
        try:
            await self._check(self.message_id or message_id)
            await record_draft(self.draft_id)
            return await self.drafts.send(self.draft_id)
        except OutcomeUnknown:
            raise
        except M365Error:
            if not self.person_knows_draft:
                await self.discard()
            raise

    async def _check(self, message_id: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        # A deleted draft is in Deleted Items, and Graph would send it from there.
        if self.person_knows_draft and not await self.drafts.is_in("drafts", message_id):
            raise MessageMissing("This draft is no longer in the Drafts folder.")

    async def reconcile(self, message_id: str, draft_id: str | None) -> bool | None:
        """Find the message in the mailbox; see `reconcile_draft`."""
        return await reconcile_draft(self.drafts, self.message_id or message_id, draft_id)

    async def discard(self) -> None:
        """Delete the draft, and ignore a failure: a draft that stays in the folder reaches no recipient."""
        with contextlib.suppress(M365Error):
            await self.drafts.delete(self.draft_id)


async def reconcile_draft(
    drafts: Drafts, message_id: str, draft_id: str | None, poll_pauses: tuple[float, ...] = POLL_PAUSES
) -> bool | None:
    """Poll until Graph has moved the message out of the Drafts folder; send the draft once more if it stays there.

    Returns:
        True when Graph sent the message, False when it did not, None when the mailbox does not show which.
    """
    if draft_id is None:
        return False  # the ledger records a draft before the request to send it, so no request went out
    if await _has_left(drafts, message_id, draft_id, poll_pauses):
        return True
    if not await drafts.is_in("drafts", message_id):
        return None  # the person deleted the draft (in Deleted Items it is still a draft) or moved it
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
