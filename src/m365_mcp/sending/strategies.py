"""The ways to hand a message to Graph: one request, a new draft, a draft that exists, or a send that Graph defers."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from m365_mcp.errors import M365Error, MessageMissing, OutcomeUnknown, Throttled
from m365_mcp.graph.drafts import Drafts
from m365_mcp.graph.mailbox import Mailbox
from m365_mcp.mail import Message
from m365_mcp.sending.delivery import NoteDraft

# How long Graph is given to move a sent message out of the Drafts folder: pauses between looks, in seconds.
LOOKS = (0.3, 0.7, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class DirectSend:
    """`POST /me/sendMail`: needs the smallest permission, and the outcome cannot be looked up afterwards."""

    mailbox: Mailbox
    message: Message

    async def send(self, message_id: str, note_draft: NoteDraft) -> str | None:
        """Send the message in one request; see `delivery.SendStrategy`."""
        return await self.mailbox.send(self.message.encode(message_id))

    async def reconcile(self, message_id: str, draft_id: str | None) -> bool | None:
        """Return None: `Mail.Send` alone does not let this server look into Sent Items."""
        return None


@dataclass(frozen=True)
class DraftSend:
    """A new draft, which is then sent: the outcome can be looked up, and sending a draft twice is one mail.

    Attributes:
        drafts: the person's drafts.
        message: what is sent.
        looks: pauses between looks, in seconds.
    """

    drafts: Drafts
    message: Message
    looks: tuple[float, ...] = LOOKS

    async def send(self, message_id: str, note_draft: NoteDraft) -> str | None:
        """Create a draft, note it, send it; see `delivery.SendStrategy`. A draft that Graph refuses is deleted."""
        draft = await self.drafts.create(self.message.draft_as_graph(message_id), message_id)
        try:
            await note_draft(draft.id)
            return await self.drafts.send(draft.id)
        except OutcomeUnknown:
            raise
        except M365Error as error:
            # 429 means that Graph did not take the message. Reports say that it sometimes had; a draft shows it.
            if isinstance(error, Throttled) and await _has_left(self.drafts, message_id, draft.id, self.looks):
                return error.reference
            with contextlib.suppress(M365Error):  # nobody receives a draft that stays behind
                await self.drafts.delete(draft.id)
            raise

    async def reconcile(self, message_id: str, draft_id: str | None) -> bool | None:
        """Find out by looking; see `reconcile_draft`."""
        return await reconcile_draft(self.drafts, message_id, draft_id, self.looks)


class DeferredSend(DraftSend):
    """A draft that is sent now and that Graph delivers later."""

    async def reconcile(self, message_id: str, draft_id: str | None) -> bool | None:
        """Look whether the message waits or has left; if neither can be seen, delete it, so that it cannot leave."""
        if draft_id is None:
            return False
        if await self.drafts.is_in("outbox", message_id):
            return True
        location = await self.drafts.location(draft_id, message_id)
        if location == "draft":
            # A mailbox may let a deferred message wait among the drafts, where it looks like one never sent.
            await self.drafts.delete(draft_id)
            return False
        return True if location == "sent" else None


@dataclass
class ExistingDraftSend:
    """A draft that is in the mailbox already.

    Attributes:
        drafts: the person's drafts.
        draft_id: Graph's id of the draft.
        message_id: our id, which the draft was marked with; None when the draft could not be read.
        is_shown: whether the person knows the draft. Such a draft is sent only from the Drafts folder, and it stays
            there when Graph refuses it; any other is deleted then.
        refusal: why the draft cannot be sent, if that is known.
        has_started: whether this call, and none before it, has worked on the draft.
    """

    drafts: Drafts
    draft_id: str
    message_id: str | None
    is_shown: bool
    refusal: M365Error | None = None
    has_started: bool = field(default=False, init=False)

    async def send(self, message_id: str, note_draft: NoteDraft) -> str | None:
        """Send the draft; see `delivery.SendStrategy`. The id in the draft counts, not the ledger's."""
        self.has_started = True
        try:
            await self._check(self.message_id or message_id)
            await note_draft(self.draft_id)
            return await self.drafts.send(self.draft_id)
        except OutcomeUnknown:
            raise
        except M365Error:
            if not self.is_shown:
                await self.discard()
            raise

    async def _check(self, message_id: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        # A deleted draft lies in Deleted Items, and Graph would send it from there.
        if self.is_shown and not await self.drafts.is_in("drafts", message_id):
            raise MessageMissing("This draft is no longer in the Drafts folder.")

    async def reconcile(self, message_id: str, draft_id: str | None) -> bool | None:
        """Find out by looking; see `reconcile_draft`."""
        return await reconcile_draft(self.drafts, self.message_id or message_id, draft_id)

    async def discard(self) -> None:
        """Delete the draft if that is possible; nobody receives a draft that stays behind."""
        with contextlib.suppress(M365Error):
            await self.drafts.delete(self.draft_id)


async def reconcile_draft(
    drafts: Drafts, message_id: str, draft_id: str | None, looks: tuple[float, ...] = LOOKS
) -> bool | None:
    """Look until the message has left the Drafts folder; send it once more if it stays there.

    Returns:
        True when it was sent, False when it was not, None when that cannot be told.
    """
    if draft_id is None:
        return False  # Graph was never asked to send it: the ledger notes a draft before that
    if await _has_left(drafts, message_id, draft_id, looks):
        return True
    if not await drafts.is_in("drafts", message_id):
        return None  # the person has deleted it (in Deleted Items it is still a draft) or moved it
    with contextlib.suppress(OutcomeUnknown):
        await drafts.send(draft_id)
        return True
    return True if await _has_left(drafts, message_id, draft_id, looks) else None


async def _has_left(drafts: Drafts, message_id: str, draft_id: str, looks: tuple[float, ...]) -> bool:
    for pause in looks:
        await asyncio.sleep(pause)
        if await drafts.location(draft_id, message_id) == "sent":
            return True
    return False
