"""Chooses the recipients of a reply. Graph addresses the sender of the original, also when that is the person.

A reply to one's own mail goes to the people that the mail went to, as in Outlook. No reply goes to oneself alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from m365_mcp.errors import InvalidArgument
from m365_mcp.mail.recipient import Recipient
from m365_mcp.mail.report import Note, Weight

_WRITE_OTHERWISE = (
    "Write a new mail, or use forward, and name the recipients. If others are in cc of the message, reply with "
    "reply_all=true."
)
_TO_FIRST_RECIPIENTS = Note(
    Weight.DETAIL, "The message is the person's own, so the reply goes to those whom the message went to."
)


@dataclass(frozen=True)
class Original:
    """The people of a message that is answered.

    Attributes:
        senders: `from` and `sender`; a shared mailbox and the person, if the person wrote for it.
        is_sent: whether it is in Sent Items, so that the person sent it under whatever address.
    """

    senders: tuple[Recipient, ...]
    to: tuple[Recipient, ...]
    cc: tuple[Recipient, ...]
    is_sent: bool


@dataclass(frozen=True)
class ReplyRecipients:
    """The recipients of a reply, and notes for the report."""

    to: tuple[Recipient, ...]
    cc: tuple[Recipient, ...] = ()
    notes: tuple[Note, ...] = ()


def choose_recipients(
    original: Original, proposed: ReplyRecipients, own_keys: frozenset[str], *, to_all: bool
) -> ReplyRecipients:
    """Return the recipients of a reply.

    Args:
        original: the message to answer.
        proposed: the recipients that Graph has chosen.
        own_keys: the person's addresses, each as `Recipient.key`.
        to_all: whether the reply goes to everybody on the message.

    Raises:
        InvalidArgument: the reply would reach nobody but the person.
    """
    senders = {sender.key for sender in original.senders}
    if original.is_sent or senders & own_keys:
        first = ReplyRecipients(original.to, original.cc if to_all else (), (_TO_FIRST_RECIPIENTS,))
        chosen = others = _without(own_keys | senders, first)
    else:
        others = _without(own_keys, proposed)
        chosen = others if to_all else proposed
    if not (others.to or others.cc):
        raise InvalidArgument("Nobody but the person would get this reply.", advice=_WRITE_OTHERWISE)
    return chosen


def _without(own_keys: frozenset[str], recipients: ReplyRecipients) -> ReplyRecipients:
    """Return the recipients without the person, each of them once."""
    to = {one.key: one for one in recipients.to if one.key not in own_keys}
    cc = {one.key: one for one in recipients.cc if one.key not in own_keys | to.keys()}
    return ReplyRecipients(tuple(to.values()), tuple(cc.values()), recipients.notes)
