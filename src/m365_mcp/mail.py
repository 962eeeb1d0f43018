"""The domain: a message, what makes it valid, and the JSON Graph expects for it. Pure.

Sources: Graph "user: sendMail" and "message resource type"; RFC 5321 and 5322 for addresses; Exchange Online limits.
May know only `errors`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import getaddresses, parseaddr
from typing import Any, Literal

from email_validator import EmailNotValidError, validate_email

from m365_mcp.errors import InvalidArgument, MessageTooLarge

ContentType = Literal["HTML", "Text"]
CONTENT_TYPES: tuple[ContentType, ...] = ("HTML", "Text")
MAX_RECIPIENTS = 500  # Exchange Online's default for one message
MAX_NAME = 256  # what Exchange keeps of a display name
MAX_REQUEST_BYTES = 4_000_000  # Graph takes about 4 MB in one write request


@dataclass(frozen=True)
class Recipient:
    """One person a message goes to.

    Attributes:
        address: normalised `local@domain`; an internationalised domain is kept readable.
        name: display name, or None.
    """

    address: str
    name: str | None = None

    def as_graph(self) -> dict[str, Any]:
        """Return Graph's `recipient`."""
        inner = {"address": self.address, "name": self.name} if self.name else {"address": self.address}
        return {"emailAddress": inner}


@dataclass(frozen=True)
class Message:
    """A valid message, ready to be sent."""

    to: tuple[Recipient, ...]
    cc: tuple[Recipient, ...]
    subject: str
    body: str
    content_type: ContentType
    save_to_sent_items: bool

    def as_graph(self) -> dict[str, Any]:
        """Return the JSON body of `POST /me/sendMail`."""
        message: dict[str, Any] = {
            "subject": self.subject,
            "body": {"contentType": self.content_type, "content": self.body},
            "toRecipients": [recipient.as_graph() for recipient in self.to],
        }
        if self.cc:
            message["ccRecipients"] = [recipient.as_graph() for recipient in self.cc]
        return {"message": message, "saveToSentItems": self.save_to_sent_items}

    def encode(self) -> bytes:
        """Return the request body as it goes over the wire. Raises MessageTooLarge."""
        encoded = json.dumps(self.as_graph(), ensure_ascii=False).encode()
        if len(encoded) > MAX_REQUEST_BYTES:
            raise MessageTooLarge(
                f"The message is {len(encoded):,} bytes; Microsoft Graph takes {MAX_REQUEST_BYTES:,} in one request."
            )
        return encoded


def build_message(
    *, to: Sequence[str], subject: str, body: str, cc: Sequence[str] | None, content_type: str, save_to_sent: bool
) -> Message:
    """Return the message the arguments describe.

    Raises:
        InvalidArgument: naming the argument and what to mend; never repeating an address or the text.
        MessageTooLarge: more than Graph takes.
    """
    message = Message(
        to=_parse_recipients("to", to),
        cc=_parse_recipients("cc", cc or ()),
        subject=_check_subject(subject),
        body=_check_body(body),
        content_type=_choose_content_type(content_type),
        save_to_sent_items=save_to_sent,
    )
    if not message.to:
        raise InvalidArgument("There is no recipient.", advice="Put at least one address into 'to'.")
    count = len(message.to) + len(message.cc)
    if count > MAX_RECIPIENTS:
        raise InvalidArgument(
            f"There are {count} recipients, and Exchange Online takes {MAX_RECIPIENTS} for one message.",
            advice="Send it in several messages.",
        )
    message.encode()
    return message


def _parse_recipients(field: str, values: Sequence[str]) -> tuple[Recipient, ...]:
    return tuple(_parse_recipient(f"'{field}' entry {number}", value) for number, value in enumerate(values, start=1))


def _parse_recipient(where: str, value: str) -> Recipient:
    """Return the recipient written as `a@b` or `Name <a@b>` (RFC 5322 section 3.4)."""
    if _has_control_characters(value):
        raise InvalidArgument(f"{where} contains a line break or another control character.", advice=_ONE_ADDRESS)
    text = value.strip()
    if not text:
        raise InvalidArgument(f"{where} is empty.", advice=_ONE_ADDRESS)
    unquoted = re.sub(r'"[^"]*"', "", text)
    if len(getaddresses([text])) != 1 or ";" in unquoted or (unquoted.count("@") > 1 and "<" not in text):
        raise InvalidArgument(f"{where} holds more than one address.", advice=_ONE_ADDRESS)
    name, address = parseaddr(text)
    if not address or ("<" in text) != text.endswith(">") or ("<" in text) != (address != text):
        raise InvalidArgument(f"{where} has a form that cannot be read.", advice=_ONE_ADDRESS)
    return Recipient(_normalise(where, address), _check_name(where, name))


def _normalise(where: str, address: str) -> str:
    try:
        # Deliverability is Exchange's to find out; special domains (example.com, .test) are legal to write to.
        found = validate_email(address, check_deliverability=False, test_environment=True, strict=True)
    except EmailNotValidError:
        raise InvalidArgument(f"{where} is not a mail address.", advice=_ONE_ADDRESS) from None
    # An address that was given in ASCII stays in ASCII (xn--…); one in another script keeps its script.
    return found.ascii_email or found.normalized if address.isascii() else found.normalized


def _check_name(where: str, name: str) -> str | None:
    # "boss@example.com <other@example.com>" shows one address and goes to another; so do a full-width @ and an
    # encoded word (RFC 2047), which a mail client would decode.
    if "@" in unicodedata.normalize("NFKC", name) or "=?" in name:
        raise InvalidArgument(f"{where} has an address in its display name.", advice=_ONE_ADDRESS)
    if len(name) > MAX_NAME:
        raise InvalidArgument(f"{where} has a display name of {len(name)} characters.", advice=_ONE_ADDRESS)
    return name or None


def _check_subject(subject: str) -> str:
    if _has_control_characters(subject):
        raise InvalidArgument(
            "'subject' contains a line break or another control character.",
            advice="Write the subject in one line.",
        )
    return subject


def _check_body(body: str) -> str:
    if "\x00" in body or any("\ud800" <= character <= "\udfff" for character in body):
        raise InvalidArgument(
            "'body' contains a character that no mail can carry (NUL or half of a surrogate pair).",
            advice="Remove the character.",
        )
    return body


def _choose_content_type(value: str) -> ContentType:
    for known in CONTENT_TYPES:
        if value.strip().lower() == known.lower():
            return known
    raise InvalidArgument("'content_type' is neither HTML nor Text.", advice='Use "HTML" or "Text".')


def _has_control_characters(text: str) -> bool:
    # Cc: CR, LF, NUL and the rest. Zl, Zp: line and paragraph separators. Cs: half of a surrogate pair.
    # The bidirectional controls can make a header read as something else than it is.
    bidi = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    return any(unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") or c in bidi for c in text)


_ONE_ADDRESS = "Give one address an entry, as name@example.com or Name <name@example.com>."
