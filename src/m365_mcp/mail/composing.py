"""From the arguments of a call to a message, or to a sentence that says why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from m365_mcp.errors import InvalidArgument
from m365_mcp.mail.attachments import Attachment, InlineAttachment, read_attachments
from m365_mcp.mail.body import Body, read_body
from m365_mcp.mail.fingerprint import fingerprint_of
from m365_mcp.mail.message import Importance, Message
from m365_mcp.mail.recipients import MessageRecipients, Recipient, check_bcc, read_recipient, read_recipients
from m365_mcp.mail.rules import MAX_SUBJECT, MailRules
from m365_mcp.mail.unicode_checks import has_control_characters

IMPORTANCES: tuple[Importance, ...] = ("low", "normal", "high")
_ROOM_FOR_ID = "x" * 128  # a message that fits must still fit with the id this server puts in


@dataclass(frozen=True, kw_only=True)
class MessageRequest:
    """A message as a caller describes it; nothing is checked yet.

    Attributes:
        to: recipients, each `a@b` or `Name <a@b>`; `cc`, `bcc`, `reply_to` and `from_` are written likewise.
        body: the text, in the format `content_type` names: HTML, Text or Markdown.
        from_: the shared mailbox it is to leave from.
        importance: low, normal or high.
        attachments: files inside the call; mappings have the fields of `InlineAttachment`.
        save_to_sent: whether a copy is kept in Sent Items.
        send_at: when it is to leave, when that is not at once.
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
    send_at: datetime | None = None


def compose_message(request: MessageRequest, rules: MailRules) -> Message:
    """Return the message `request` describes.

    Raises:
        InvalidArgument: naming the argument and what to mend; never repeating an address or the text.
        RecipientNotAllowed: somebody is outside the domains the operator allows.
        BodyTooComplex: the body is more work than one message may be.
        MessageTooLarge: more than Graph takes in one request.
    """
    _check_switches(request, rules)
    subject = _check_subject(request.subject)
    importance = _choose_importance(request.importance)
    recipients = read_recipients(rules, to=request.to, cc=request.cc, bcc=request.bcc, reply_to=request.reply_to)
    attachments, about_attachments = read_attachments(request.attachments or (), rules)
    body = read_body(request.body, request.content_type)
    from_ = _read_from(request.from_)
    message = Message(
        to=recipients.to,
        cc=recipients.cc,
        bcc=recipients.bcc,
        reply_to=recipients.reply_to,
        from_=from_,
        subject=subject,
        body=body.content,
        content_type=body.content_type,
        importance=importance,
        attachments=attachments,
        request_read_receipt=request.request_read_receipt,
        save_to_sent=request.save_to_sent,
        send_at=request.send_at,
        fingerprint=_fingerprint(request, recipients, from_, importance, attachments),
        warnings=(
            *duplicate_warnings(recipients),
            *body.warnings,
            *about_attachments,
            *missing_image_warnings(body, attachments),
        ),
    )
    message.encode(_ROOM_FOR_ID)
    return message


def _fingerprint(
    request: MessageRequest,
    recipients: MessageRecipients,
    from_: Recipient | None,
    importance: Importance,
    attachments: Sequence[Attachment],
) -> str:
    """Return the fingerprint of the request; whether a copy is kept in Sent Items makes no other mail."""
    return fingerprint_of(
        "message",
        (recipients.to, recipients.cc, recipients.bcc, recipients.reply_to, (from_,) if from_ else ()),
        attachments,
        request.body,
        request.content_type,
        subject=request.subject,
        importance=importance,
        request_read_receipt=request.request_read_receipt,
        send_at=request.send_at.timestamp() if request.send_at else None,
    )


def _check_switches(request: MessageRequest, rules: MailRules) -> None:
    check_bcc(request.bcc, rules)
    if _is_given(request.from_) and not rules.allow_from:
        raise InvalidArgument(
            "'from_' is switched off on this server: every message leaves from the person's own mailbox.",
            advice="Leave it out, or ask the people who run this server to set M365_SEND_FROM.",
        )


def _is_given(text: str | None) -> bool:
    return bool(text and text.strip())


def _read_from(text: str | None) -> Recipient | None:
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


def duplicate_warnings(recipients: MessageRecipients) -> tuple[str, ...]:
    """Return a sentence about recipients who were named more than once."""
    if not recipients.repeated:
        return ()
    which = "1 recipient was" if recipients.repeated == 1 else f"{recipients.repeated} recipients were"
    return (f"{which} named more than once; everybody gets the mail once.",)


def missing_image_warnings(body: Body, attachments: Sequence[Attachment]) -> tuple[str, ...]:
    """Return a sentence about images that no attachment belongs to."""
    missing = len(body.content_ids - {attachment.content_id for attachment in attachments})
    if not missing:
        return ()
    which = "1 image has" if missing == 1 else f"{missing} images have"
    return (f"{which} a cid: address that no attachment has as its content_id, so nothing is shown there.",)
