"""Composes the caller's part of a reply or a forward. Graph sets the recipients of a reply and the quoted message."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from m365_mcp.errors import InvalidArgument
from m365_mcp.mail.attachments import Attachment, read_attachments
from m365_mcp.mail.body import Body, read_body
from m365_mcp.mail.composing import check_shows_something, duplicate_notes
from m365_mcp.mail.fingerprint import as_written_field, fingerprint_of
from m365_mcp.mail.inline_pictures import bring_pictures
from m365_mcp.mail.recipient import Recipient
from m365_mcp.mail.recipients import MessageRecipients, check_bcc, read_recipients
from m365_mcp.mail.report import Note, Weight
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
        notes: what composing changed, for the report.
    """

    kind: ReplyKind
    original: str
    body: Body
    fingerprint: str
    to: tuple[Recipient, ...]
    cc: tuple[Recipient, ...]
    bcc: tuple[Recipient, ...]
    attachments: tuple[Attachment, ...]
    as_written: bool
    notes: tuple[Note, ...]

    def check_images(self, quoted_ids: frozenset[str]) -> tuple[Note, ...]:
        """Refuse a body with an image that nobody has, or return a note if the caller means it so.

        Args:
            quoted_ids: the content ids of the images in the quote, which the draft of the reply has.

        Raises:
            InvalidArgument: neither an attachment nor the quote has the image; not with `as_written`.
        """
        if not self.body.content_ids - {attachment.content_id for attachment in self.attachments} - quoted_ids:
            return ()
        if self.as_written:
            return (Note(Weight.LOST, "The reader does not see an image of the body, which nothing is attached for."),)
        raise InvalidArgument(
            "'body' shows an image by a cid: address that neither an attachment nor the quoted message has.",
            advice="Attach the image and give it this content_id, or remove the <img>. "
            "With as_written=true the mail is sent without it.",
        )

    def composed_fingerprint(self) -> str:
        """Return v0.1.0's fingerprint, which covers the composed text; see `Message.composed_fingerprint`."""
        content = [
            [self.kind, self.original, self.body.content_type, self.body.content],
            [sorted(person.key for person in recipients) for recipients in (self.to, self.cc, self.bcc)],
            [[file.name, file.content_type, file.content_id, file.size, file.sha256] for file in self.attachments],
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def compose_reply(request: ReplyRequest, rules: MailRules, sign_in_name: str = "") -> Reply:
    """Return the reply or forward that `request` describes; `sign_in_name` is the sender's, if it is known.

    Raises:
        InvalidArgument: an argument is not valid; the error names it, and never repeats an address or the text.
        RecipientNotAllowed: a recipient is outside the domains that the operator allows.
        BodyFormMismatch, EmptyBody: the reply looks like a mistake; not with `as_written`.
        BodyTooComplex: the body exceeds a limit on work.
        MessageTooLarge: the text or the attachments are larger than Graph accepts.
    """
    check_bcc(request.bcc, rules)
    body = read_body(request.body, request.content_type, as_written=request.as_written)
    attachments, attachment_notes = read_attachments(request.attachments or (), rules, (sign_in_name,))
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
        as_written=request.as_written,
        notes=(*duplicate_notes(recipients), *body.notes, *attachment_notes, *pictures.notes),
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
