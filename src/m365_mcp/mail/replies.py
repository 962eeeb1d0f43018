"""A reply or a forward: what a caller adds to it. Whom a reply goes to, and what is quoted, is the mailbox's to say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from m365_mcp.mail.attachments import Attachment, read_attachments
from m365_mcp.mail.body import Body, ContentType, read_body
from m365_mcp.mail.composing import duplicate_warnings, missing_image_warnings
from m365_mcp.mail.fingerprint import fingerprint_of
from m365_mcp.mail.recipients import MessageRecipients, Recipient, check_bcc, read_recipients
from m365_mcp.mail.rules import MailRules

ReplyKind = Literal["reply", "reply_all", "forward"]


@dataclass(frozen=True, kw_only=True)
class ReplyRequest:
    """A reply or a forward as a caller describes it; nothing is checked yet.

    Attributes:
        original: Graph's id of the message that is answered.
        to: whom a forward goes to; a reply has its own recipients.
    """

    kind: ReplyKind
    original: str
    body: str
    content_type: str = "HTML"
    to: Sequence[str] = ()
    cc: Sequence[str] | None = None
    bcc: Sequence[str] | None = None
    attachments: Sequence[Mapping[str, Any]] | None = None


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A valid reply or forward, without the message it answers.

    Attributes:
        fingerprint: of the request it was composed from; see `mail.fingerprint`.
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
        """Return v0.1.0's fingerprint, which is taken over the composed text; see `Message.composed_fingerprint`."""
        seen = [
            [self.kind, self.original, self.body.content_type, self.body.content],
            [sorted(person.key for person in recipients) for recipients in (self.to, self.cc, self.bcc)],
            [[file.name, file.content_type, file.content_id, file.size, file.sha256] for file in self.attachments],
        ]
        return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


def compose_reply(request: ReplyRequest, rules: MailRules) -> Reply:
    """Return the reply or forward `request` describes.

    Raises:
        InvalidArgument: naming the argument and what to mend; never repeating an address or the text.
        RecipientNotAllowed: somebody is outside the domains the operator allows.
        BodyTooComplex: the body is more work than one message may be.
        MessageTooLarge: more than Graph takes.
    """
    check_bcc(request.bcc, rules)
    body = read_body(request.body, request.content_type)
    attachments, about_attachments = read_attachments(request.attachments or (), rules)
    recipients = _read_recipients(request, rules)
    return Reply(
        kind=request.kind,
        original=request.original,
        body=body,
        to=recipients.to,
        cc=recipients.cc,
        bcc=recipients.bcc,
        attachments=attachments,
        warnings=(
            *duplicate_warnings(recipients),
            *body.warnings,
            *about_attachments,
            *missing_image_warnings(body, attachments),
        ),
        fingerprint=fingerprint_of(
            request.kind,
            (recipients.to, recipients.cc, recipients.bcc),
            attachments,
            request.body,
            request.content_type,
            original=request.original,
        ),
    )


def _read_recipients(request: ReplyRequest, rules: MailRules) -> MessageRecipients:
    """Return the recipients of a forward; those of a reply are the mailbox's to say."""
    if request.kind != "forward":
        return MessageRecipients(to=(), cc=(), bcc=(), reply_to=(), repeated=0)
    return read_recipients(rules, to=request.to, cc=request.cc, bcc=request.bcc, reply_to=None)


def quote_original(body: Body, quoted: str, quoted_type: str) -> tuple[ContentType, str]:
    """Return content type and content of a body with the quoted message below.

    The text comes before everything else, the quoted page's own <html> included: browsers and Outlook read that as one
    page (WHATWG HTML 13.2.6.4), and nothing the other side wrote can swallow the text, as a comment around it would.
    """
    quoted_is_html = quoted_type.casefold() == "html"
    if body.content_type == "Text" and not quoted_is_html:
        return "Text", f"{body.content}\n\n{quoted}"
    ours = body.content if body.content_type == "HTML" else escape(body.content).replace("\n", "<br>")
    below = quoted if quoted_is_html else f"<pre>{escape(quoted)}</pre>"
    return "HTML", f"<div>{ours}</div><br>{below}"
