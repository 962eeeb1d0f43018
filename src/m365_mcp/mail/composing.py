"""Composes a message from the arguments of a call, or raises an error that names the argument to correct."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from m365_mcp.errors import EmptyBody, InvalidArgument
from m365_mcp.mail.attachments import Attachment, InlineAttachment, read_attachments
from m365_mcp.mail.body import Body, is_blank_body, read_body
from m365_mcp.mail.fingerprint import as_written_field, fingerprint_of
from m365_mcp.mail.inline_pictures import bring_pictures, check_missing
from m365_mcp.mail.message import Importance, Message
from m365_mcp.mail.recipient import Recipient, read_recipient
from m365_mcp.mail.recipients import MessageRecipients, check_bcc, read_recipients
from m365_mcp.mail.report import Note, Weight, counted, warnings_of
from m365_mcp.mail.rules import MailRules
from m365_mcp.mail.subject import read_subject

IMPORTANCES: tuple[Importance, ...] = ("low", "normal", "high")
_LONGEST_MESSAGE_ID = "x" * 128  # the size check includes the message id that this server adds later


@dataclass(frozen=True, kw_only=True)
class MessageRequest:
    """The caller's description of a message, before any check.

    Attributes:
        to: recipients, each `a@b` or `Name <a@b>`; `cc`, `bcc`, `reply_to` and `from_` have the same form.
        body: the text, in the format that `content_type` names: HTML, Text or Markdown.
        from_: the shared mailbox that sends the message; None: the person's own mailbox.
        importance: low, normal or high.
        attachments: files inside the call; mappings have the fields of `InlineAttachment`.
        save_to_sent: whether Graph stores a copy in Sent Items.
        send_at: when Exchange sends the message; None: at once.
        as_written: whether the caller means the body and the subject exactly so, although they look like a mistake.
        expects_files: whether files will be uploaded into the draft.
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
    as_written: bool = False
    expects_files: bool = False


def compose_message(request: MessageRequest, rules: MailRules, sign_in_name: str = "") -> Message:
    """Return the message that `request` describes; `sign_in_name` is the sender's, if it is known.

    Raises:
        InvalidArgument: an argument is not valid; the error names it, and never repeats an address or the text.
        RecipientNotAllowed: a recipient is outside the domains that the operator allows.
        BodyFormMismatch, EmptySubject, EmptyBody: the message looks like a mistake; not with `as_written`.
        BodyTooComplex: the body exceeds a limit on work.
        MessageTooLarge: the message is larger than Graph accepts in one request.
    """
    _check_switches(request, rules)
    subject, subject_notes = read_subject(request.subject, as_written=request.as_written)
    importance = _choose_importance(request.importance)
    recipients = read_recipients(rules, to=request.to, cc=request.cc, bcc=request.bcc, reply_to=request.reply_to)
    from_ = _read_from(request.from_)
    senders = (sign_in_name, from_.address if from_ else "")
    attachments, attachment_notes = read_attachments(request.attachments or (), rules, senders)
    body = read_body(request.body, request.content_type, as_written=request.as_written)
    pictures = bring_pictures(body, attachments, rules)
    check_shows_something(body, may_be_empty=bool(attachments) or request.expects_files or request.as_written)
    notes = (*duplicate_notes(recipients), *subject_notes, *body.notes, *attachment_notes)
    message = Message(
        to=recipients.to,
        cc=recipients.cc,
        bcc=recipients.bcc,
        reply_to=recipients.reply_to,
        from_=from_,
        subject=subject,
        body=pictures.body.content,
        content_type=body.content_type,
        importance=importance,
        attachments=pictures.attachments,
        request_read_receipt=request.request_read_receipt,
        save_to_sent=request.save_to_sent,
        send_at=request.send_at,
        fingerprint=_fingerprint(request, recipients, from_, importance, attachments),
        warnings=warnings_of((*notes, *check_missing(pictures, as_written=request.as_written), *pictures.notes)),
    )
    message.encode(_LONGEST_MESSAGE_ID)
    return message


def _fingerprint(
    request: MessageRequest,
    recipients: MessageRecipients,
    from_: Recipient | None,
    importance: Importance,
    attachments: Sequence[Attachment],
) -> str:
    """Return the fingerprint of the request. `save_to_sent` does not change the mail, so it is left out."""
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
        **as_written_field(request.as_written),
    )


def _check_switches(request: MessageRequest, rules: MailRules) -> None:
    check_bcc(request.bcc, rules)
    if _is_given(request.from_):
        check_from(rules)


def check_from(rules: MailRules) -> None:
    """Raise InvalidArgument if no other mailbox than the person's own may send."""
    if not rules.allow_from:
        raise InvalidArgument(
            "'from_' is switched off on this server: it sends every message from the person's own mailbox.",
            advice="Leave it out, or ask the people who run this server to set M365_SEND_FROM.",
        )


def check_shows_something(body: Body, *, may_be_empty: bool) -> None:
    """Raise EmptyBody if a reader would see nothing of `body`, unless it may be empty."""
    if not may_be_empty and is_blank_body(body):
        raise EmptyBody


def _is_given(text: str | None) -> bool:
    return bool(text and text.strip())


def _read_from(text: str | None) -> Recipient | None:
    return read_recipient("'from_'", text) if text and _is_given(text) else None


def _choose_importance(value: str) -> Importance:
    for known in IMPORTANCES:
        if value.strip().lower() == known:
            return known
    raise InvalidArgument("'importance' is none of low, normal and high.", advice='Use "low", "normal" or "high".')


def duplicate_notes(recipients: MessageRecipients) -> tuple[Note, ...]:
    """Return a note about recipients that the caller named more than once, or nothing."""
    if not recipients.repeated:
        return ()
    which = counted(recipients.repeated, "recipient was", "recipients were")
    return (Note(Weight.DETAIL, f"{which} named more than once; each gets the mail once."),)
