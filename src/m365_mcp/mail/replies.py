"""Composes the caller's part of a reply or a forward. Graph sets the recipients of a reply and the quoted message."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from m365_mcp.mail.attachments import Attachment, read_attachments
from m365_mcp.mail.body import Body, ContentType, read_body
from m365_mcp.mail.composing import check_shows_something, duplicate_notes
from m365_mcp.mail.fingerprint import as_written_field, fingerprint_of
from m365_mcp.mail.inline_pictures import bring_pictures
from m365_mcp.mail.recipients import MessageRecipients, Recipient, check_bcc, read_recipients
from m365_mcp.mail.report import warnings_of
from m365_mcp.mail.rules import MailRules

ReplyKind = Literal["reply", "reply_all", "forward"]


@dataclass(frozen=True, kw_only=True)
class ReplyRequest:
    """The caller's description of a reply or a forward, before any check.

    Attributes:
        original: Graph's id of the message to answer or forward.
        to: the recipients of a forward; Graph sets those of a reply. The same holds for `cc` and `bcc`.
        as_written: whether the caller means the body exactly so, although it looks like a mistake.
    """

    kind: ReplyKind
    original: str
    body: str
    content_type: str = "HTML"
    to: Sequence[str] = ()
    cc: Sequence[str] | None = None
    bcc: Sequence[str] | None = None
    attachments: Sequence[Mapping[str, Any]] | None = None
    as_written: bool = False


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A valid reply or forward, without the message it answers.

    Attributes:
        fingerprint: the fingerprint of its request; see `mail.fingerprint`.
    """

    kind: ReplyKind
    original: str
    body: Body
    fingerprint: str
    to: tuple[Recipient, ...] = ()
    cc: tuple[Recipient, ...] = ()
    bcc: tuple[Recipient, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    warnings: tuple[str, ...] = ()

    def composed_fingerprint(self) -> str:
        """Return v0.1.0's fingerprint, which covers the composed text; see `Message.composed_fingerprint`."""
        content = [
            [self.kind, self.original, self.body.content_type, self.body.content],
            [sorted(person.key for person in recipients) for recipients in (self.to, self.cc, self.bcc)],
            [[file.name, file.content_type, file.content_id, file.size, file.sha256] for file in self.attachments],
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def compose_reply(request: ReplyRequest, rules: MailRules) -> Reply:
    """Return the reply or forward that `request` describes.

    Raises:
        InvalidArgument: an argument is not valid; the error names it, and never repeats an address or the text.
        RecipientNotAllowed: a recipient is outside the domains that the operator allows.
        BodyFormMismatch, EmptyBody: the reply looks like a mistake; not with `as_written`.
        BodyTooComplex: the body exceeds a limit on work.
        MessageTooLarge: the text or the attachments are larger than Graph accepts.
    """
    check_bcc(request.bcc, rules)
    body = read_body(request.body, request.content_type, as_written=request.as_written)
    attachments, attachment_notes = read_attachments(request.attachments or (), rules)
    pictures = bring_pictures(body, attachments, rules)
    check_shows_something(body, may_be_empty=bool(attachments) or request.kind == "forward" or request.as_written)
    recipients = _read_recipients(request, rules)
    return Reply(
        kind=request.kind,
        original=request.original,
        body=pictures.body,
        to=recipients.to,
        cc=recipients.cc,
        bcc=recipients.bcc,
        attachments=pictures.attachments,
        warnings=warnings_of(
            # An image without an attachment may be one of the original, which is quoted with its pictures.
            (*duplicate_notes(recipients), *body.notes, *attachment_notes, *pictures.notes)
        ),
        fingerprint=fingerprint_of(
            request.kind,
            (recipients.to, recipients.cc, recipients.bcc),
            attachments,
            request.body,
            request.content_type,
            original=request.original,
            **as_written_field(request.as_written),
        ),
    )


def _read_recipients(request: ReplyRequest, rules: MailRules) -> MessageRecipients:
    """Return the recipients of a forward; for a reply there are none, because Graph sets them."""
    if request.kind != "forward":
        return MessageRecipients(to=(), cc=(), bcc=(), reply_to=(), repeated=0)
    return read_recipients(rules, to=request.to, cc=request.cc, bcc=request.bcc, reply_to=None)


def quote_original(body: Body, quoted: str, quoted_type: str) -> tuple[ContentType, str]:
    """Return content type and content of a body with the quoted message below it.

    The caller's text comes first, also before the <html> tag of the quoted message. Browsers and Outlook read the
    result as one page (WHATWG HTML 13.2.6.4), and no markup in the quoted message can hide the caller's text, as an
    open comment before it would.
    """
    quoted_is_html = quoted_type.casefold() == "html"
    if body.content_type == "Text" and not quoted_is_html:
        return "Text", f"{body.content}\n\n{quoted}"
    text = body.content if body.content_type == "HTML" else escape(body.content).replace("\n", "<br>")
    quotation = quoted if quoted_is_html else f"<pre>{escape(quoted)}</pre>"
    return "HTML", f"<div>{text}</div><br>{quotation}"
