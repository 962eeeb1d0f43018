"""From the arguments of a call to a message, or to a sentence that says why not. May know only `errors`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from m365_mcp.errors import InvalidArgument
from m365_mcp.mail.attachments import Attachment, InlineAttachment, read_attachments
from m365_mcp.mail.body import Body, read_body
from m365_mcp.mail.message import Importance, Message
from m365_mcp.mail.people import People, check_bcc, read_people
from m365_mcp.mail.recipients import Recipient, read_recipient
from m365_mcp.mail.rules import MAX_SUBJECT, MailRules
from m365_mcp.mail.unicode_checks import has_control_characters

IMPORTANCES: tuple[Importance, ...] = ("low", "normal", "high")
_ROOM_FOR_ID = "x" * 128  # a message that fits must still fit with the id this server puts in


@dataclass(frozen=True)
class MessageWish:
    """A message as a caller describes it; nothing is checked yet.

    Attributes:
        to: recipients, each `a@b` or `Name <a@b>`; `cc`, `bcc`, `reply_to` and `from_` are written likewise.
        body: the text, in the format `content_type` names: HTML, Text or Markdown.
        from_: the shared mailbox it is to leave from.
        importance: low, normal or high.
        attachments: files inside the call; mappings have the fields of `InlineAttachment`.
        save_to_sent: whether a copy is kept in Sent Items.
    """

    to: Sequence[str]
    subject: str
    body: str
    cc: Sequence[str] | None = None
    bcc: Sequence[str] | None = None
    reply_to: Sequence[str] | None = None
    from_: str | None = None
    content_type: str = "HTML"
    importance: str = "normal"
    attachments: Sequence[InlineAttachment | Mapping[str, Any]] | None = None
    request_read_receipt: bool = False
    save_to_sent: bool = True


def build_message(wish: MessageWish, rules: MailRules) -> Message:
    """Return the message `wish` describes.

    Raises:
        InvalidArgument: naming the argument and what to mend; never repeating an address or the text.
        RecipientNotAllowed: somebody is outside the domains the operator allows.
        MessageTooLarge: more than Graph takes in one request.
    """
    _check_switches(wish, rules)
    subject = _check_subject(wish.subject)
    importance = _choose_importance(wish.importance)
    people = read_people(rules, to=wish.to, cc=wish.cc, bcc=wish.bcc, reply_to=wish.reply_to)
    attachments, about_attachments = read_attachments(wish.attachments or (), rules)
    body = read_body(wish.body, wish.content_type)
    message = Message(
        to=people.to,
        cc=people.cc,
        bcc=people.bcc,
        reply_to=people.reply_to,
        sender=_read_sender(wish.from_),
        subject=subject,
        body=body.content,
        content_type=body.content_type,
        importance=importance,
        attachments=attachments,
        request_read_receipt=wish.request_read_receipt,
        save_to_sent_items=wish.save_to_sent,
        warnings=(*about_people(people), *body.warnings, *about_attachments, *about_images(body, attachments)),
    )
    message.encode(_ROOM_FOR_ID)
    return message


def _check_switches(wish: MessageWish, rules: MailRules) -> None:
    check_bcc(wish.bcc, rules)
    if _is_given(wish.from_) and not rules.allow_from:
        raise InvalidArgument(
            "'from_' is switched off on this server: every message leaves from the person's own mailbox.",
            advice="Leave it out, or ask the people who run this server to set M365_SEND_FROM.",
        )


def _is_given(text: str | None) -> bool:
    return bool(text and text.strip())


def _read_sender(text: str | None) -> Recipient | None:
    return read_recipient("'from_'", text) if text and _is_given(text) else None


def _check_subject(subject: str) -> str:
    if len(subject) > MAX_SUBJECT:
        raise InvalidArgument(
            f"'subject' has {len(subject):,} characters, and Exchange Online takes {MAX_SUBJECT}.",
            advice="Shorten the subject; longer text belongs into the body.",
        )
    if has_control_characters(subject):
        raise InvalidArgument(
            "'subject' contains a line break or another control character.",
            advice="Write the subject in one line.",
        )
    return subject


def _choose_importance(value: str) -> Importance:
    for known in IMPORTANCES:
        if value.strip().lower() == known:
            return known
    raise InvalidArgument("'importance' is none of low, normal and high.", advice='Use "low", "normal" or "high".')


def about_people(people: People) -> tuple[str, ...]:
    """Return a sentence about recipients who were named more than once."""
    if not people.repeated:
        return ()
    which = "1 recipient was" if people.repeated == 1 else f"{people.repeated} recipients were"
    return (f"{which} named more than once; everybody gets the mail once.",)


def about_images(body: Body, attachments: Sequence[Attachment]) -> tuple[str, ...]:
    """Return a sentence about images that no attachment belongs to."""
    missing = len(body.content_ids - {attachment.content_id for attachment in attachments})
    if not missing:
        return ()
    which = "1 image has" if missing == 1 else f"{missing} images have"
    return (f"{which} a cid: address that no attachment has as its content_id, so nothing is shown there.",)
