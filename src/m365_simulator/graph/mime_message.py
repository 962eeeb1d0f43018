"""Turns the MIME body of `sendMail` (base64 in text/plain) into a Message, or refuses it (page "user: sendMail")."""

import base64
import binascii
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart
from email.utils import getaddresses

from m365_simulator.graph.problems import GraphError
from m365_simulator.graph.recipients import check_recipients
from m365_simulator.mail import Attachment, Message, Recipient
from m365_simulator.people import Person
from m365_simulator.switches import Switches

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
)


def read_mime_message(body: bytes, sender: Person, switches: Switches) -> Message:
    """Return the message; raises GraphError for bad base64, a foreign sender or wrong recipients."""
    mime = _parse(body)
    _check_sender(mime, sender)
    to, cc, bcc, reply_to = (_recipients(mime, name) for name in ("To", "Cc", "Bcc", "Reply-To"))
    check_recipients((*to, *cc, *bcc), reply_to, switches)
    part = mime.get_body(("html", "plain"))
    return Message(
        sender=Recipient(sender.mail or sender.user_principal_name, sender.display_name),
        to=to,
        cc=cc,
        bcc=bcc,
        reply_to=reply_to,
        subject=str(mime.get("Subject", "")),
        content_type="HTML" if part is not None and part.get_content_type() == "text/html" else "Text",
        content=str(part.get_content()) if part is not None else "",
        headers=tuple((name, str(value)) for name, value in mime.items() if name.casefold() not in _OWN),
        attachments=tuple(_attachment(item) for item in mime.iter_attachments()),
    )


def _parse(body: bytes) -> EmailMessage:
    try:
        raw = base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        raise GraphError(
            400, "ErrorMimeContentInvalidBase64String", "Invalid base64 string for MIME content."
        ) from None
    return message_from_bytes(raw, policy=policy.default)


def _check_sender(mime: EmailMessage, sender: Person) -> None:
    for recipient in _recipients(mime, "From"):
        if not sender.answers_to(recipient.address):
            raise GraphError(
                403,
                "ErrorSendAsDenied",
                "The user account which was used to submit this request does not have the right to send mail on "
                "behalf of the "
                "specified sending account. Cannot submit message.",
            )


def _recipients(mime: EmailMessage, name: str) -> tuple[Recipient, ...]:
    pairs = getaddresses([str(value) for value in mime.get_all(name, [])])
    return tuple(Recipient(address, display) for display, address in pairs)


def _attachment(part: MIMEPart) -> Attachment:
    content = part.get_payload(decode=True)
    size = len(content) if isinstance(content, bytes) else 0
    inline = part.get_content_disposition() == "inline"
    return Attachment(part.get_filename() or "attachment", part.get_content_type(), size, inline)
