"""Replies and forwards: a draft in the thread, our text above the quoted one, sent once.

May know `errors`, `mail`, `graph.*` and `sending.*`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from m365_mcp.errors import M365Error
from m365_mcp.graph.drafts import marked
from m365_mcp.graph.items import Item
from m365_mcp.graph.replies import Begun, Replies
from m365_mcp.mail import Answer, AnswerWish, Recipient, build_answer, quoting
from m365_mcp.sending.delivery import Progress, Receipt, in_silence
from m365_mcp.sending.ledger import Wish, new_message_id
from m365_mcp.sending.outbox import Desk
from m365_mcp.sending.own_drafts import check_item
from m365_mcp.sending.prepared import Prepared


@dataclass(frozen=True)
class Answers:
    """One person's answers to messages."""

    desk: Desk

    def write(self, wish: AnswerWish) -> Answer:
        """Return the answer a caller wishes for. Raises InvalidArgument, RecipientNotAllowed, MessageTooLarge."""
        return build_answer(wish, self.desk.office.rules)

    async def send(
        self, answer: Answer, *, key: str | None, second_copy: bool, progress: Progress = in_silence
    ) -> tuple[Item, Receipt]:
        """Send an answer once; return the draft it was sent as, with its recipients, and the receipt.

        The draft comes before the ledger is asked, because only the mailbox knows whom a reply goes to; a repeat throws
        its own away. See `Delivery.send`.

        Raises:
            MessageMissing: there is no message to answer.
            RecipientNotAllowed: the reply would go outside the allowed domains; its draft is deleted.
        """
        message_id = new_message_id()
        way = await self._prepare(answer, message_id)
        wish = Wish(self.desk.person, answer.fingerprint(), key, second_copy, message_id)
        try:
            sent = await self.desk.office.delivery.send(wish, way.item.addresses, way, progress)
        except M365Error:
            if not way.began:
                await way.throw_away()
            raise
        if sent.is_repeat:
            await way.throw_away()
        return way.item, sent

    async def _prepare(self, answer: Answer, message_id: str) -> Prepared:
        """Make the draft and finish it; what is not allowed leaves no draft behind."""
        async with self.desk.turn():
            begun = await Replies(self.desk.drafts).begin(answer.original, answer.kind, message_id)
            way = Prepared(self.desk.drafts, _addressed(begun.item, answer), is_shown=False)
            try:
                check_item(way.item, self.desk.office.rules)
                await self._finish(begun, answer, message_id)
            except M365Error:
                await way.throw_away()
                raise
            return way

    async def _finish(self, begun: Begun, answer: Answer, message_id: str) -> None:
        content_type, content = quoting(answer.body, begun.content, begun.content_type)
        changes: dict[str, Any] = {"body": {"contentType": content_type, "content": content}}
        if answer.kind == "forward":
            changes |= {
                "toRecipients": _as_graph(answer.to),
                "ccRecipients": _as_graph(answer.cc),
                "bccRecipients": _as_graph(answer.bcc),
            }
        await self.desk.drafts.change(begun.item.id, marked(changes, message_id))
        for attachment in answer.attachments:
            await self.desk.drafts.attach(begun.item.id, attachment.as_graph())


def _addressed(item: Item, answer: Answer) -> Item:
    """Return the draft with the recipients it will have: a forward's are the caller's."""
    if answer.kind != "forward":
        return item
    to, cc, bcc = (tuple(one.address for one in people) for people in (answer.to, answer.cc, answer.bcc))
    return replace(item, to=to, cc=cc, bcc=bcc)


def _as_graph(people: tuple[Recipient, ...]) -> list[dict[str, Any]]:
    return [one.as_graph() for one in people]
