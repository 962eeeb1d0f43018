"""Inspects a draft at the moment of sending: as it is in the mailbox then, and by the rules of then.

A draft may be a day old. Since its creation the person may have changed it in Outlook, and the operator may have
changed the rules.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from m365_mcp.errors import AlreadySent, ApprovalVoid, AttachmentsMissing, InvalidArgument, MessageMissing
from m365_mcp.graph.attachments import Attached, list_attachments
from m365_mcp.graph.drafts import Drafts
from m365_mcp.graph.items import Item
from m365_mcp.mail import MailRules, Recipient, check_attachment_name, check_from, check_recipients
from m365_mcp.mail.rules import MAX_ATTACHMENTS
from m365_mcp.sending.held_mail import Way
from m365_mcp.sending.policy_check import PolicyCheck


@dataclass(frozen=True)
class DraftInspection:
    """Inspects the person's drafts.

    Attributes:
        drafts: the person's drafts.
        rules: what the operator and Microsoft allow in a mail.
        policy: asks the policies about the person's messages.
        announced: names of the files that the draft must have, if the draft itself does not name them (v0.1.0).
        way: what the draft is: one that the person knows, or a reply or forward of a call.
        approved: the digest of the draft that the person has approved; None: nobody was asked.
    """

    drafts: Drafts
    rules: MailRules
    policy: PolicyCheck
    announced: tuple[str, ...] = ()
    way: Way = "existing"
    approved: str | None = None

    async def inspect(self, draft_id: str) -> Item:
        """Return the draft, if it may be sent.

        Raises:
            PolicyDenied, PolicyFailed: the policies do not permit the draft to leave.
            ApprovalVoid: the draft differs from what the person has approved.
            ApprovalNeeded: the person is to be asked first.
            M365Error: see `examine`.
        """
        item, attached = await self.examine(draft_id)
        is_reply, is_forward = self.way == "reply", self.way == "forward"
        await self.policy.draft(item, attached, "Send", is_reply=is_reply, is_forward=is_forward)
        if self.approved is not None and self.approved != draft_digest(item, attached, await self.drafts.body(item.id)):
            raise ApprovalVoid
        return item

    async def examine(self, draft_id: str) -> tuple[Item, tuple[Attached, ...]]:
        """Return the draft and its attachments, if the rules allow it; the policies are not asked.

        Raises:
            MessageMissing: the mailbox has no such draft, or the person has moved it out of the Drafts folder.
            AlreadySent: the draft was sent.
            InvalidArgument, RecipientNotAllowed: the rules do not allow the draft; the error names the field.
            AttachmentsMissing: a file that attach_files announced is not in the draft.
        """
        item = require_own(await self.drafts.find(draft_id))
        if not item.is_draft:
            raise AlreadySent
        # A deleted draft is in Deleted Items, and Graph would send it from there.
        if not await self.drafts.is_in("drafts", str(item.message_id)):
            raise MessageMissing("This draft is no longer in the Drafts folder.")
        check_item(item, self.rules, await self.own_keys((item,)))
        attached = await list_attachments(self.drafts.mailbox, item.id)
        check_attachments(attached, item.files or self.announced, self.rules)
        return item, attached

    async def own_keys(self, items: Sequence[Item]) -> frozenset[str]:
        """Return the person's addresses as `Recipient.key`; none if the rules do not need them for `items`."""
        if self.rules.allow_from or not any(item.from_ for item in items):
            return frozenset()
        return await own_keys(self.drafts)

    def is_allowed(self, item: Item, own: frozenset[str]) -> bool:
        """Return whether the rules allow this server to send at all, and sender and addresses of the message."""
        if self.rules.level != "send":
            return False
        try:
            check_item(item, self.rules, own)
        except InvalidArgument:
            return False
        return True


def draft_digest(item: Item, attached: Sequence[Attached], body: tuple[str, str]) -> str:
    """Return a digest of all that a person approves of a draft: people, subject, text, marks, and each attachment.

    Graph can replace an attachment, which then has another id, but cannot change its content.
    """
    people = [[[one.key, one.name] for one in group] for group in (item.to, item.cc, item.bcc, item.reply_to)]
    files = sorted([one.id, one.name, one.size] for one in attached)
    sender = item.from_ and item.from_.key
    marks = [item.importance, item.wants_read_receipt, item.wants_delivery_receipt]
    content = json.dumps([people, sender, item.subject, body, files, item.send_at, marks])
    return hashlib.sha256(content.encode()).hexdigest()


async def own_keys(drafts: Drafts) -> frozenset[str]:
    """Return the addresses of the person, each as `Recipient.key`. Raises M365Error."""
    profile = await drafts.mailbox.profile()
    return frozenset(Recipient(address).key for address in profile.addresses)


def require_own(item: Item) -> Item:
    """Return `item` if this server created it. Raises InvalidArgument if not."""
    if item.message_id is None:
        raise InvalidArgument(
            "This server did not create this message, and it changes only its own messages.",
            advice="Use an id that this server gave to a draft or a scheduled mail; others can be changed in Outlook.",
        )
    return item


def check_item(item: Item, rules: MailRules, own: frozenset[str]) -> None:
    """Check sender, recipients and reply-to addresses of a message in the mailbox.

    Args:
        own: the person's addresses, each as `Recipient.key`.

    Raises:
        InvalidArgument, RecipientNotAllowed: the rules do not allow the message.
    """
    if item.from_ is not None and item.from_.key not in own:
        check_from(rules)
    check_recipients(rules, to=item.to, cc=item.cc, bcc=item.bcc, reply_to=item.reply_to)


def check_attachments(attached: Sequence[Attached], announced: Sequence[str], rules: MailRules) -> None:
    """Check the attachments of a draft.

    Args:
        announced: the names of the files that attach_files announced.

    Raises:
        InvalidArgument: there are too many, or the rules do not allow a file with such a name.
        AttachmentsMissing: an announced file is not there.
    """
    if len(attached) > MAX_ATTACHMENTS:
        raise InvalidArgument(f"The draft has more than {MAX_ATTACHMENTS} attachments, the limit of Exchange Online.")
    present = {_comparable(one.name) for one in attached}
    missing = [number for number, name in enumerate(announced, start=1) if _comparable(name) not in present]
    if missing:
        entries = ", ".join(f"'files' entry {number}" for number in missing)
        raise AttachmentsMissing(f"{len(missing)} of {len(announced)} files are not in the draft: {entries}.")
    for number, one in enumerate(attached, start=1):
        if one.is_file:  # an attached message has its subject for a name
            check_attachment_name(one.name, rules, f"Attachment {number} of the draft")


def _comparable(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
