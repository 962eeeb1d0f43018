"""Turns a message in JSON into the fields of a Message, or refuses it as Graph would (page "message resource type").

Who may send it, and to whom, is asked when it is sent (`submission`): a draft may be anything yet.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from m365_simulator.graph.json_attachment import read_attachment
from m365_simulator.graph.json_body import Json, read_object, read_parameters
from m365_simulator.graph.problems import GraphError
from m365_simulator.graph.schema import EXTENDED_ID, MESSAGE
from m365_simulator.mail import ExtendedProperty, Message, Recipient

MOST_HEADERS = 5
Fields = dict[str, Any]


def read_send_mail(body: bytes, own: Recipient) -> Message:
    """Return the message of a `sendMail` request."""
    parameters = read_parameters(body or b"{}", "message", "saveToSentItems")
    if not isinstance(parameters.get("message"), dict):
        raise GraphError(400, "ErrorInvalidParameter", "The parameter 'Message' is required and must be an object.")
    fields = read_fields(parameters["message"])
    return new_message(own, fields | {"save_to_sent_items": _read_save(parameters.get("saveToSentItems", True))})


def read_draft(body: bytes, own: Recipient) -> Message:
    """Return the message of a request that creates a draft."""
    return new_message(own, read_fields(read_object(body)))


def new_message(own: Recipient, fields: Fields) -> Message:
    """Return a new message of this mailbox."""
    return replace(Message(sender=own, from_=own), **fields)


def read_fields(message: Json) -> Fields:
    """Return the fields that the JSON sets, and no others; GraphError for what Graph would not take."""
    MESSAGE.check(message, "message")
    fields: Fields = {}
    for name, read in _READERS.items():
        if name in message:
            fields |= read(message[name])
    return fields


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


def _body(value: Any) -> Fields:
    content = value or {}
    is_html = str(content.get("contentType", "text")).casefold() == "html"
    return {"content_type": "HTML" if is_html else "Text", "content": content.get("content") or ""}


def _headers(value: Any) -> Fields:
    if value is None:
        return {}
    if not 1 <= len(value) <= MOST_HEADERS:
        raise GraphError(
            400,
            "InvalidInternetMessageHeaderCollection",
            f"The collection must hold 1 to {MOST_HEADERS} internet message headers.",
        )
    pairs = tuple((header.get("name") or "", header.get("value") or "") for header in value)
    for name, text in pairs:
        if not name.casefold().startswith("x-"):
            raise GraphError(
                400,
                "InvalidInternetMessageHeader",
                f"The internet message header name '{name}' should start with 'x-' or 'X-'.",
            )
        if any(character in name + text for character in "\r\n"):
            raise GraphError(400, "InvalidInternetMessageHeader", "An internet message header must be a single line.")
    return {"headers": pairs}


def _extended(value: Any) -> Fields:
    properties = tuple(ExtendedProperty(item.get("id") or "", item.get("value") or "") for item in value or [])
    for one in properties:
        if not EXTENDED_ID.fullmatch(one.id):
            raise GraphError(400, "ErrorInvalidProperty", f"The id of the extended property '{one.id}' is malformed.")
    return {"extended": properties, "visible_at": deferred_until(properties)}


def deferred_until(properties: tuple[ExtendedProperty, ...]) -> float:
    """Read PidTagDeferredSendTime, in epoch seconds; 0 without one."""
    for one in properties:
        if one.is_named("SystemTime 0x3FEF"):
            try:
                when = datetime.fromisoformat(one.value)
                return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
            except (ValueError, OverflowError):
                raise GraphError(
                    400, "ErrorInvalidProperty", "The deferred send time is not a date and time."
                ) from None
    return 0.0


def _message_id(value: Any) -> Fields:
    return {"internet_message_id": value} if value else {}


def _recipients(field: str) -> Callable[[Any], Fields]:
    return lambda value: {field: tuple(_recipient(item) for item in value or [])}


def _one_recipient(field: str) -> Callable[[Any], Fields]:
    def read(value: Any) -> Fields:
        recipient = _recipient(value or {})
        return {field: recipient} if recipient.address else {}

    return read


def _recipient(item: Json) -> Recipient:
    address = item.get("emailAddress") or {}
    return Recipient(address.get("address") or "", address.get("name") or "")


def _flag(field: str) -> Callable[[Any], Fields]:
    return lambda value: {field: bool(value)}


_READERS: dict[str, Callable[[Any], Fields]] = {
    "subject": lambda value: {"subject": value or ""},
    "body": _body,
    "toRecipients": _recipients("to"),
    "ccRecipients": _recipients("cc"),
    "bccRecipients": _recipients("bcc"),
    "replyTo": _recipients("reply_to"),
    "sender": _one_recipient("sender"),
    "from": _one_recipient("from_"),
    "importance": lambda value: {"importance": str(value).casefold()},
    "internetMessageHeaders": _headers,
    "internetMessageId": _message_id,
    "attachments": lambda value: {"attachments": tuple(read_attachment(item) for item in value or [])},
    "singleValueExtendedProperties": _extended,
    "isReadReceiptRequested": _flag("is_read_receipt_requested"),
    "isDeliveryReceiptRequested": _flag("is_delivery_receipt_requested"),
    "isRead": _flag("is_read"),
    "categories": lambda value: {"categories": tuple(str(item) for item in value or [])},
}
