"""Handing over a draft that lies in the mailbox already, and one that is to leave later.

May know `errors`, `graph.*` and `sending.*`.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

from m365_mcp.errors import M365Error, MessageMissing, OutcomeUnknown
from m365_mcp.graph.drafts import Drafts
from m365_mcp.graph.items import Item
from m365_mcp.sending.delivery import NoteDraft
from m365_mcp.sending.strategies import ByDraft, settle_draft


@dataclass
class Prepared:
    """A draft that bears our id.

    Attributes:
        drafts: the person's drafts.
        item: the draft as it was found or made.
        is_shown: whether the person has it before their eyes: then it is kept when Graph refuses it.
        refusal: why it cannot be sent, if that is known.
        began: whether this call, and none before it, has worked on the draft.
    """

    drafts: Drafts
    item: Item
    is_shown: bool
    refusal: M365Error | None = None
    began: bool = field(default=False, init=False)

    async def send(self, message_id: str, note_draft: NoteDraft) -> str | None:
        """Send the draft; see `delivery.Dispatch`."""
        self.began = True
        try:
            await self._check(message_id)
            await note_draft(self.item.id)
            return await self.drafts.send(self.item.id)
        except OutcomeUnknown:
            raise
        except M365Error:
            if not self.is_shown:
                await self.throw_away()
            raise

    async def _check(self, message_id: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        # A draft that was deleted lies in Deleted Items, and Graph would send it from there.
        if self.is_shown and not await self.drafts.is_in("drafts", message_id):
            raise MessageMissing("This draft lies in the Drafts folder no more.")

    async def settle(self, message_id: str, draft_id: str | None) -> bool | None:
        """Find out by looking; see `settle_draft`."""
        return await settle_draft(self.drafts, message_id, draft_id)

    async def throw_away(self) -> None:
        """Delete the draft if that is possible; one left behind is sent to nobody."""
        with contextlib.suppress(M365Error):
            await self.drafts.delete(self.item.id)


class Deferred(ByDraft):
    """A message that is handed over now and leaves later."""

    async def settle(self, message_id: str, draft_id: str | None) -> bool | None:
        """Look whether it waits or has left; if neither can be seen, call it back, so that it is certain it is not."""
        if draft_id is None:
            return False
        if await self.drafts.is_in("outbox", message_id):
            return True
        where = await self.drafts.whereabouts(draft_id, message_id)
        if where == "draft":
            # A mailbox may let it wait among the drafts, where it looks like one that was never sent.
            await self.drafts.delete(draft_id)
            return False
        return True if where == "sent" else None
