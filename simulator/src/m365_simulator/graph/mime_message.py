"""Turns a MIME body (base64 in text/plain) into a Message, or refuses it (page "user: sendMail")."""

import base64
import binascii
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart
from email.utils import getaddresses

from m365_simulator.graph.json_attachment import attachment_of
from m365_simulator.graph.problems import GraphError
from m365_simulator.mail import Attachment, Message, Recipient

_OWN = (
    "from",
    "to",
    "cc",
    "bcc",
    "reply-to",
    "subject",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "date",
    "in-reply-to",
)


def read_mime_message(body: bytes, own: Recipient) -> Message:
    """Return the message; raises GraphError for bad base64."""
    mime = _parse(body)
    to, cc, bcc, reply_to = (_recipients(mime, name) for name in ("To", "Cc", "Bcc", "Reply-To"))
    part = mime.get_body(("html", "plain"))
    in_reply_to = str(mime.get("In-Reply-To", "")).strip()
    return Message(
        sender=own,
        from_=next(iter(_recipients(mime, "From")), own),
        to=to,
        cc=cc,
        bcc=bcc,
        reply_to=reply_to,
        subject=str(mime.get("Subject", "")),
        content_type="HTML" if part is not None and part.get_content_type() == "text/html" else "Text",
        content=str(part.get_content()) if part is not None else "",
        headers=tuple((name, str(value)) for name, value in mime.items() if name.casefold() not in _OWN),
        attachments=tuple(_attachment(item) for item in mime.iter_attachments()),
        in_reply_to=in_reply_to,
    )


def _parse(body: bytes) -> EmailMessage:
    try:
        raw = base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        raise GraphError(
            400, "ErrorMimeContentInvalidBase64String", "Invalid base64 string for MIME content."
        ) from None
    return message_from_bytes(raw, policy=policy.default)


def _recipients(mime: EmailMessage, name: str) -> tuple[Recipient, ...]:
    pairs = getaddresses([str(value) for value in mime.get_all(name, [])])
    return tuple(Recipient(address, display) for display, address in pairs)


def _attachment(part: MIMEPart) -> Attachment:
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    inline = part.get_content_disposition() == "inline"
    return attachment_of(part.get_filename() or "attachment", part.get_content_type(), content, inline)
