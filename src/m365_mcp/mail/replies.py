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
from m365_mcp.mail.recipients import Recipient, check_bcc, read_recipients
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


@dataclass(frozen=True)
class Reply:
    """A valid reply or forward, without the message it answers."""

    kind: ReplyKind
    original: str
    body: Body
    to: tuple[Recipient, ...] = ()
    cc: tuple[Recipient, ...] = ()
    bcc: tuple[Recipient, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    warnings: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """Return a SHA-256, hexadecimal, that is the same for two answers a reader would call the same."""
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
    about = (*body.warnings, *about_attachments, *missing_image_warnings(body, attachments))
    if request.kind != "forward":
        return Reply(request.kind, request.original, body, attachments=attachments, warnings=about)
    recipients = read_recipients(rules, to=request.to, cc=request.cc, bcc=request.bcc, reply_to=None)
    warnings = (*duplicate_warnings(recipients), *about)
    return Reply(
        request.kind, request.original, body, recipients.to, recipients.cc, recipients.bcc, attachments, warnings
    )


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
