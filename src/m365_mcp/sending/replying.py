"""Replies and forwards: Graph creates a draft in the thread, and this module adds our text and sends the draft once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from m365_mcp.errors import M365Error
from m365_mcp.graph.drafts import marked
from m365_mcp.graph.items import Item
from m365_mcp.graph.replies import ReplyDraft, ReplyDrafts
from m365_mcp.mail import Recipient, Reply, quote_original
from m365_mcp.sending.delivery import Progress, SendReceipt, no_progress
from m365_mcp.sending.outbox import Outbox
from m365_mcp.sending.own_drafts import check_draft_recipients
from m365_mcp.sending.send_request import SendRequest, new_message_id
from m365_mcp.sending.strategies import ExistingDraftSend


@dataclass(frozen=True)
class Replies:
    """One person's replies and forwards."""

    outbox: Outbox

    async def send(
        self, reply: Reply, *, idempotency_key: str | None, allow_duplicate: bool, progress: Progress = no_progress
    ) -> tuple[Item, SendReceipt]:
        """Send a reply once; return its draft, with the recipients, and the receipt. See `Delivery.send`.

        This method creates the draft before it asks the ledger: only the mailbox knows the recipients of a reply.
        A repeat deletes its own draft.

        Raises:
            MessageMissing: the mailbox does not have the original.
            RecipientNotAllowed: a recipient is outside the allowed domains; this method deletes the draft.
        """
        message_id = new_message_id()
        item = await self._create_draft(reply, message_id)
        strategy = ExistingDraftSend(self.outbox.drafts, item.id, message_id, person_knows_draft=False)
        request = SendRequest(
            self.outbox.person,
            reply.fingerprint,
            composed_fingerprint=reply.composed_fingerprint(),
            idempotency_key=idempotency_key,
            allow_duplicate=allow_duplicate,
            message_id=message_id,
        )
        try:
            receipt = await self.outbox.deliver(request, item.addresses, strategy, progress)
        except M365Error:
            if not strategy.has_started:
                await strategy.discard()
            raise
        if receipt.is_repeat:
            await strategy.discard()
        return item, receipt

    async def _create_draft(self, reply: Reply, message_id: str) -> Item:
        """Create the draft and complete it; delete it when the rules do not allow the reply."""
        drafts = self.outbox.drafts
        async with self.outbox.slot():
            draft = await ReplyDrafts(drafts).begin(reply.original, reply.kind, message_id)
            item = _with_recipients(draft.item, reply)
            try:
                check_draft_recipients(item, self.outbox.rules)
                await self._complete(draft, reply, message_id)
            except M365Error:
                await ExistingDraftSend(drafts, item.id, message_id, person_knows_draft=False).discard()
                raise
            return item

    async def _complete(self, draft: ReplyDraft, reply: Reply, message_id: str) -> None:
        content_type, content = quote_original(reply.body, draft.content, draft.content_type)
        changes: dict[str, Any] = {"body": {"contentType": content_type, "content": content}}
        if reply.kind == "forward":
            changes |= {
                "toRecipients": _as_graph(reply.to),
                "ccRecipients": _as_graph(reply.cc),
                "bccRecipients": _as_graph(reply.bcc),
            }
        await self.outbox.drafts.change(draft.item.id, marked(changes, message_id))
        for attachment in reply.attachments:
            await self.outbox.drafts.attach(draft.item.id, attachment.as_graph())


def _with_recipients(item: Item, reply: Reply) -> Item:
    """Return the draft with its future recipients: the caller gives those of a forward."""
    if reply.kind != "forward":
        return item
    fields = (reply.to, reply.cc, reply.bcc)
    to, cc, bcc = (tuple(recipient.address for recipient in field) for field in fields)
    return replace(item, to=to, cc=cc, bcc=bcc)


def _as_graph(recipients: tuple[Recipient, ...]) -> list[dict[str, Any]]:
    return [recipient.as_graph() for recipient in recipients]
