"""Turns the JSON body of `sendMail` into a Message, or refuses it as Graph would (page "user: sendMail")."""

import base64
import json
from datetime import datetime
from typing import Any

from m365_simulator.graph.problems import GraphError
from m365_simulator.graph.recipients import check_recipients
from m365_simulator.graph.schema import MESSAGE
from m365_simulator.mail import Attachment, Message, Recipient
from m365_simulator.people import Person
from m365_simulator.switches import Switches

MOST_HEADERS = 5
DEFERRED_SEND = "systemtime 0x3fef"
"""PidTagDeferredSendTime, as the id of an extended property; its case does not matter."""
Json = dict[str, Any]


def read_json_message(body: bytes, sender: Person, switches: Switches) -> Message:
    """Return the message; raises GraphError for anything that Graph would not take."""
    message, save = _read_envelope(body)
    MESSAGE.check(message, "message")
    _check_sender(message, sender)
    _check_headers(message)
    content = message.get("body") or {}
    to, cc, bcc, reply_to = (
        _recipients(message, name) for name in ("toRecipients", "ccRecipients", "bccRecipients", "replyTo")
    )
    check_recipients((*to, *cc, *bcc), reply_to, switches)
    return Message(
        sender=Recipient(sender.mail or sender.user_principal_name, sender.display_name),
        to=to,
        cc=cc,
        bcc=bcc,
        reply_to=reply_to,
        subject=message.get("subject") or "",
        content_type="HTML" if str(content.get("contentType", "text")).casefold() == "html" else "Text",
        content=content.get("content") or "",
        headers=tuple((h["name"], h.get("value") or "") for h in message.get("internetMessageHeaders") or []),
        attachments=tuple(_attachment(item) for item in message.get("attachments") or []),
        importance=str(message.get("importance", "normal")).casefold(),
        save_to_sent_items=save,
        visible_at=_deferred_until(message),
    )


def _read_envelope(body: bytes) -> tuple[Json, bool]:
    try:
        envelope = json.loads(body)
        json.dumps(envelope, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except ValueError:
        raise GraphError(
            400, "BadRequest", "Unable to read JSON request payload. The payload is not valid JSON."
        ) from None
    if not isinstance(envelope, dict):
        raise GraphError(400, "BadRequest", "Unable to read JSON request payload. An object is expected.")
    by_name = {key[:1].lower() + key[1:]: value for key, value in envelope.items()}
    for key in by_name.keys() - {"message", "saveToSentItems"}:
        raise GraphError(
            400, "RequestBodyRead", f"The parameter '{key}' in the request payload is not a valid parameter."
        )
    if not isinstance(by_name.get("message"), dict):
        raise GraphError(400, "ErrorInvalidParameter", "The parameter 'Message' is required and must be an object.")
    return by_name["message"], _read_save(by_name.get("saveToSentItems", True))


def _read_save(value: object) -> bool:
    """The page's own example passes the string "false", so both kinds are taken."""
    words = {"true": True, "false": False}
    if isinstance(value, str) and value.casefold() in words:
        return words[value.casefold()]
    if value is None or isinstance(value, bool):
        return value is not False
    raise GraphError(
        400, "RequestBodyRead", f"Cannot convert the literal '{value}' to the expected type 'Edm.Boolean'."
    )


def _check_sender(message: Json, sender: Person) -> None:
    """Nobody in this tenant may send as somebody else (page "Send Outlook messages from another user")."""
    for name in ("from", "sender"):
        address = ((message.get(name) or {}).get("emailAddress") or {}).get("address")
        if address and not sender.answers_to(address):
            raise GraphError(
                403,
                "ErrorSendAsDenied",
                "The user account which was used to submit this request does not have the right to send mail on "
                "behalf of the "
                "specified sending account. Cannot submit message.",
            )


def _check_headers(message: Json) -> None:
    headers = message.get("internetMessageHeaders")
    if headers is None:
        return
    if not 1 <= len(headers) <= MOST_HEADERS:
        raise GraphError(
            400,
            "InvalidInternetMessageHeaderCollection",
            f"The collection must hold 1 to {MOST_HEADERS} internet message headers.",
        )
    for header in headers:
        name, value = header.get("name") or "", header.get("value") or ""
        if not name.casefold().startswith("x-"):
            raise GraphError(
                400,
                "InvalidInternetMessageHeader",
                f"The internet message header name '{name}' should start with 'x-' or 'X-'.",
            )
        if any(character in name + value for character in "\r\n"):
            raise GraphError(400, "InvalidInternetMessageHeader", "An internet message header must be a single line.")


def _recipients(message: Json, name: str) -> tuple[Recipient, ...]:
    addresses = ((item.get("emailAddress") or {}) for item in message.get(name) or [])
    return tuple(Recipient(address.get("address") or "", address.get("name") or "") for address in addresses)


def _attachment(item: Json) -> Attachment:
    if item.get("@odata.type") != "#microsoft.graph.fileAttachment":
        raise GraphError(
            400, "RequestBodyRead", "An attachment needs '@odata.type': '#microsoft.graph.fileAttachment'."
        )
    if not item.get("name") or item.get("contentBytes") is None:
        raise GraphError(400, "ErrorRequiredPropertyMissing", "Required property 'name' or 'contentBytes' is missing.")
    try:
        content = base64.b64decode(item["contentBytes"], validate=True)
    except ValueError:
        raise GraphError(
            400, "RequestBodyRead", "Cannot convert the attachment's contentBytes to 'Edm.Binary'."
        ) from None
    kind = item.get("contentType") or "application/octet-stream"
    return Attachment(item["name"], kind, len(content), bool(item.get("isInline")))


def _deferred_until(message: Json) -> float:
    for item in message.get("singleValueExtendedProperties") or []:
        if str(item.get("id")).casefold() == DEFERRED_SEND:
            try:
                return datetime.fromisoformat(str(item.get("value"))).timestamp()
            except ValueError:
                raise GraphError(
                    400, "ErrorInvalidProperty", "The deferred send time is not a date and time."
                ) from None
    return 0.0
