"""Composes a reply or a forward: recipients, subject, threading headers and the quoted original."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

from m365_simulator.mail import Message, Recipient
from m365_simulator.people import Person
from m365_simulator.templating import render

Kind = Literal["reply", "replyAll", "forward"]


def reply_to(original: Message, kind: Kind, person: Person, own: Recipient) -> Message:
    """Return the draft that answers or forwards a message, with the original quoted below an empty text."""
    return replace(
        Message(sender=own, from_=own),
        to=_to(original, kind, person),
        cc=_others(original.cc, person, _to(original, kind, person)) if kind == "replyAll" else (),
        subject=_prefixed("FW: " if kind == "forward" else "RE: ", original.subject),
        content_type="HTML",
        content=with_quote("", original),
        # Files travel on with a forward; a reply keeps only what its text shows (page "message: createReply").
        attachments=tuple(one for one in original.attachments if kind == "forward" or one.is_inline),
        conversation_id=original.conversation_id,
        in_reply_to=original.internet_message_id,
        references=(*original.references, original.internet_message_id),
    )


def with_quote(text: str, original: Message) -> str:
    """Return an HTML body: the text, a line, and the original with who wrote it when to whom."""
    sent = datetime.fromtimestamp(original.visible_at or original.created_at, UTC)
    to = "; ".join(one.name or one.address for one in original.to)
    facts = (
        ("From", f"{original.from_.name} <{original.from_.address}>"),
        ("Sent", f"{sent:%A, %d %B %Y %H:%M}"),
        ("To", to),
        ("Subject", original.subject),
    )
    return render("quoted_mail.html", text=text, facts=facts, original=original)


def _to(original: Message, kind: Kind, person: Person) -> tuple[Recipient, ...]:
    """A reply goes to `replyTo` if there is one (RFC 5322 section 3.6.3); to all, also to whom the original went."""
    if kind == "forward":
        return ()
    wrote = original.reply_to or (original.from_,)
    if kind == "reply":
        return wrote
    return (*wrote, *_others(original.to, person, wrote))


def _others(recipients: Iterable[Recipient], person: Person, known: tuple[Recipient, ...]) -> tuple[Recipient, ...]:
    there = {one.address.casefold() for one in known}
    return tuple(
        one for one in recipients if not person.answers_to(one.address) and one.address.casefold() not in there
    )


def _prefixed(prefix: str, subject: str) -> str:
    return subject if subject.casefold().startswith(prefix.casefold()) else prefix + subject
