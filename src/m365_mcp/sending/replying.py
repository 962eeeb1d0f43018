"""Replies and forwards: Graph creates a draft in the thread, and this module adds our text and sends the draft once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from m365_mcp.errors import M365Error, TooManyHeld
from m365_mcp.graph.attachments import Attached, list_attachments
from m365_mcp.graph.drafts import marked
from m365_mcp.graph.items import Item
from m365_mcp.graph.replies import ReplyDraft, ReplyDrafts
from m365_mcp.mail import (
    Original,
    Reply,
    ReplyRecipients,
    check_recipients,
    choose_recipients,
    quote_original,
    read_quotation,
)
from m365_mcp.mail.report import Note, warnings_of
from m365_mcp.sending.draft_inspection import own_keys
from m365_mcp.sending.dry_run import DryRun, decision_of
from m365_mcp.sending.held_mail import Way
from m365_mcp.sending.outbox import Outbox
from m365_mcp.sending.send_request import SendContent, SendRequest, new_message_id
from m365_mcp.sending.send_strategy import Progress, SendReceipt, no_progress
from m365_mcp.sending.strategies import ExistingDraftSend


@dataclass(frozen=True)
class SentReply:
    """A sent reply: the addresses of its recipients, the receipt, and warnings for the sender."""

    addresses: tuple[str, ...]
    receipt: SendReceipt
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class DraftedReply:
    """A reply that waits in the Drafts folder: Graph's id and link, our id, its addresses, and warnings."""

    id: str
    web_link: str | None
    message_id: str
    addresses: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Replies:
    """One person's replies and forwards."""

    outbox: Outbox

    async def send(
        self, reply: Reply, *, idempotency_key: str | None, allow_duplicate: bool, progress: Progress = no_progress
    ) -> SentReply:
        """Send a reply once. See `Delivery.send`.

        This method creates the draft before it asks the ledger: only the mailbox knows the recipients of a reply.
        A repeat deletes its own draft.

        Raises:
            MessageMissing: the mailbox does not have the original.
            InvalidArgument: nobody but the person would get the reply, or the text shows an image that nobody has.
            RecipientNotAllowed: a recipient is outside the allowed domains; this method deletes the draft.
        """
        message_id = new_message_id()
        draft, notes = await self._create_draft(reply, message_id)
        item = draft.item
        permit = partial(self._permit, reply, item, "Send")
        way: Way = "forward" if reply.kind == "forward" else "reply"
        strategy = ExistingDraftSend(self.outbox.drafts, item.id, message_id, permit=permit, way=way)
        request = SendRequest(
            self.outbox.person,
            reply.fingerprint,
            composed_fingerprint=reply.composed_fingerprint(),
            idempotency_key=idempotency_key,
            allow_duplicate=allow_duplicate,
            message_id=message_id,
            content=partial(_content_of, reply, item),
        )
        try:
            receipt = await self.outbox.deliver(request, item.addresses, strategy, progress)
        except M365Error as error:
            if not strategy.has_started or isinstance(error, TooManyHeld):
                await strategy.discard()
            raise
        if receipt.is_repeat or (receipt.approval is not None and receipt.message_id != message_id):
            await strategy.discard()
        return SentReply(item.addresses, receipt, warnings_of((*reply.notes, *notes)))

    async def leave(self, reply: Reply) -> DraftedReply:
        """Leave a reply in the Drafts folder. It sends nothing; a draft that is not permitted is deleted.

        Raises:
            PolicyDenied, PolicyFailed: the policies do not permit the draft.
            MessageMissing, InvalidArgument, RecipientNotAllowed: see `send`.
        """
        message_id = new_message_id()
        draft, notes = await self._create_draft(reply, message_id)
        item = draft.item
        try:
            await self._permit(reply, item, "Draft")
        except M365Error:
            await ExistingDraftSend(self.outbox.drafts, item.id, message_id).discard()
            raise
        warnings = warnings_of((*reply.notes, *notes))
        return DraftedReply(item.id, draft.web_link, message_id, item.addresses, warnings)

    async def dry_run(self, reply: Reply) -> DryRun:
        """Return what would become of a reply; create no draft. Raises as `send` before it asks the policies."""
        drafts, is_forward = self.outbox.drafts, reply.kind == "forward"
        original = await self._original(reply)
        draft = await ReplyDrafts(drafts).expected(reply.original, reply.kind)
        item, chosen = await self._addressed(draft.item, reply, original)
        body, notes = await self.outbox.run(partial(_text_with_quote, draft, reply))
        quoted = await list_attachments(self.outbox.mailbox, reply.original) if is_forward else ()
        attached = (*quoted, *_attached(reply))
        written = (body["contentType"], body["content"])
        permit = self.outbox.policy.draft(
            item, attached, "Send", is_reply=not is_forward, is_forward=is_forward, body=written
        )
        warnings, decision = warnings_of((*reply.notes, *chosen, *notes)), await decision_of(permit)
        return DryRun(item, written[0], len(written[1].encode()), attached, warnings, decision)

    async def _permit(self, reply: Reply, item: Item, action: str) -> None:
        """Return if the policies permit `action` on the reply, with the original's attachments if it is a forward."""
        is_forward = reply.kind == "forward"
        attached = await list_attachments(self.outbox.mailbox, item.id) if is_forward else _attached(reply)
        await self.outbox.policy.draft(item, attached, action, is_reply=not is_forward, is_forward=is_forward)

    async def _create_draft(self, reply: Reply, message_id: str) -> tuple[ReplyDraft, tuple[Note, ...]]:
        """Create the draft and complete it; delete it when the rules do not allow the reply."""
        drafts = self.outbox.drafts
        async with self.outbox.slot():
            original = await self._original(reply)
            draft = await ReplyDrafts(drafts).begin(reply.original, reply.kind, message_id)
            try:
                return await self._complete(draft, reply, original, message_id)
            except M365Error:
                await ExistingDraftSend(drafts, draft.item.id, message_id).discard()
                raise

    async def _original(self, reply: Reply) -> Original | None:
        """Return the people of the original; None for a forward, whose recipients the caller gives."""
        return None if reply.kind == "forward" else await ReplyDrafts(self.outbox.drafts).original(reply.original)

    async def _complete(
        self, draft: ReplyDraft, reply: Reply, original: Original | None, message_id: str
    ) -> tuple[ReplyDraft, tuple[Note, ...]]:
        """Give the draft its recipients, its text and its files; return it, and notes for the report."""
        item, chosen = await self._addressed(draft.item, reply, original)
        # Composing takes processor time, and an original may be any size.
        body, notes = await self.outbox.run(partial(_text_with_quote, draft, reply))
        changes = {"body": body, **_changed_recipients(draft.item, item)}
        await self.outbox.drafts.change(item.id, marked(changes, message_id))
        for attachment in reply.attachments:
            await self.outbox.drafts.attach(item.id, attachment.as_graph())
        return replace(draft, item=item), (*chosen, *notes)

    async def _addressed(self, draft: Item, reply: Reply, original: Original | None) -> tuple[Item, tuple[Note, ...]]:
        """Return the draft with the recipients of the reply, and notes for the report. Raises M365Error."""
        chosen = await self._choose_recipients(draft, reply, original)
        item = replace(draft, to=chosen.to, cc=chosen.cc, bcc=(*draft.bcc, *reply.bcc))
        check_recipients(self.outbox.rules, to=item.to, cc=item.cc, bcc=item.bcc)
        return item, chosen.notes

    async def _choose_recipients(self, draft: Item, reply: Reply, original: Original | None) -> ReplyRecipients:
        if original is None:
            return ReplyRecipients(reply.to, reply.cc)
        proposed, own = ReplyRecipients(draft.to, draft.cc), await own_keys(self.outbox.drafts)
        return choose_recipients(original, proposed, own, to_all=reply.kind == "reply_all")


def _attached(reply: Reply) -> tuple[Attached, ...]:
    return tuple(Attached(file.name, is_file=True, size=file.size) for file in reply.attachments)


def _content_of(reply: Reply, item: Item) -> SendContent:
    """Return our part of a reply, for a record of the send; of a forward, the original's files are not known here."""
    sizes = tuple(file.size for file in reply.attachments) if reply.kind != "forward" else None
    return SendContent(item.subject, reply.body.content, sizes)


def _text_with_quote(draft: ReplyDraft, reply: Reply) -> tuple[dict[str, str], tuple[Note, ...]]:
    """Return Graph's `itemBody` with our text above the quotation, and notes for the report. Raises InvalidArgument."""
    quotation = read_quotation(draft.content, draft.content_type)
    image_notes = reply.check_images(quotation.content_ids)
    content_type, content, notes = quote_original(reply.body, quotation)
    return {"contentType": content_type, "content": content}, (*image_notes, *notes)


def _changed_recipients(draft: Item, wanted: Item) -> dict[str, Any]:
    """Return Graph's JSON of the recipients; nothing if Graph has already put them into the draft."""
    fields = {"toRecipients": wanted.to, "ccRecipients": wanted.cc, "bccRecipients": wanted.bcc}
    if (draft.to, draft.cc, draft.bcc) == tuple(fields.values()):
        return {}
    return {field: [recipient.as_graph() for recipient in recipients] for field, recipients in fields.items()}
