"""Ways of handing a message to Graph: in one request, or as a draft that can be looked up afterwards.

May know `errors`, `mail` and `graph.*`.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from m365_mcp.errors import M365Error, OutcomeUnknown, Throttled
from m365_mcp.graph.drafts import Drafts
from m365_mcp.graph.mailbox import Mailbox
from m365_mcp.mail import Message
from m365_mcp.mailbox_errors import MessageMissing
from m365_mcp.sending.delivery import NoteDraft

# How long Graph is given to move a message that was sent out of the Drafts folder, in seconds between looks.
LOOKS = (0.3, 0.7, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class AtOnce:
    """`POST /me/sendMail`: the smallest permission, and no way to look afterwards."""

    mailbox: Mailbox
    message: Message

    async def send(self, message_id: str, note_draft: NoteDraft) -> str | None:
        """Send in one request; see `delivery.Dispatch`."""
        return await self.mailbox.send(self.message.encode(message_id))

    async def settle(self, message_id: str, draft_id: str | None) -> bool | None:
        """Return None: with `Mail.Send` alone nobody can look into Sent Items."""
        return None


@dataclass(frozen=True)
class ByDraft:
    """A draft, sent: what became of it can be looked up, and sending the same draft again is no second mail.

    Attributes:
        drafts: the person's drafts.
        message: what is sent.
        looks: pauses between looks, in seconds.
    """

    drafts: Drafts
    message: Message
    looks: tuple[float, ...] = LOOKS

    async def send(self, message_id: str, note_draft: NoteDraft) -> str | None:
        """Create a draft, note it, send it; see `delivery.Dispatch`. A draft that Graph refuses is thrown away."""
        draft = await self.drafts.create(self.message.draft_as_graph(message_id), message_id)
        try:
            await note_draft(draft.id)
            return await self.drafts.send(draft.id)
        except OutcomeUnknown:
            raise
        except M365Error as error:
            # 429 means that Graph did not take it. It is said that at times it had; here one can look.
            if isinstance(error, Throttled) and await _has_left(self.drafts, message_id, draft.id, self.looks):
                return error.reference
            with contextlib.suppress(M365Error):  # a draft left behind is sent to nobody
                await self.drafts.delete(draft.id)
            raise

    async def settle(self, message_id: str, draft_id: str | None) -> bool | None:
        """Find out by looking; see `settle_draft`."""
        return await settle_draft(self.drafts, message_id, draft_id, self.looks)


@dataclass(frozen=True)
class AsDraft:
    """A draft that is there already, with everything that belongs to it; one that Graph refuses stays.

    Attributes:
        drafts: the person's drafts.
        draft_id: Graph's id of it.
        message_id: our id, which it was marked with when it was made.
        looks: pauses between looks, in seconds.
    """

    drafts: Drafts
    draft_id: str
    message_id: str
    looks: tuple[float, ...] = LOOKS

    async def send(self, message_id: str, note_draft: NoteDraft) -> str | None:
        """Send it; see `delivery.Dispatch`. Its own id counts, not the ledger's."""
        # A draft that was deleted lies in Deleted Items, and Graph would send it from there.
        if not await self.drafts.is_in("drafts", self.message_id):
            raise MessageMissing("This draft lies in the Drafts folder no more.")
        await note_draft(self.draft_id)
        return await self.drafts.send(self.draft_id)

    async def settle(self, message_id: str, draft_id: str | None) -> bool | None:
        """Look until it has left the Drafts folder; one that stays there is sent once more."""
        return False if draft_id is None else await settle_draft(self.drafts, self.message_id, draft_id, self.looks)


async def settle_draft(
    drafts: Drafts, message_id: str, draft_id: str | None, looks: tuple[float, ...] = LOOKS
) -> bool | None:
    """Look until the message has left the Drafts folder; one that stays there is sent once more."""
    if draft_id is None:
        return False  # it was never told to send: that comes after the draft was noted
    if await _has_left(drafts, message_id, draft_id, looks):
        return True
    if not await drafts.is_in("drafts", message_id):
        return None  # the person has deleted it (it is a draft in Deleted Items, too), or moved it away
    with contextlib.suppress(OutcomeUnknown):
        await drafts.send(draft_id)
        return True
    return True if await _has_left(drafts, message_id, draft_id, looks) else None


async def _has_left(drafts: Drafts, message_id: str, draft_id: str, looks: tuple[float, ...]) -> bool:
    for pause in looks:
        await asyncio.sleep(pause)
        if await drafts.whereabouts(draft_id, message_id) == "sent":
            return True
    return False
