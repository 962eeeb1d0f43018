"""Writes a message as Graph does (page "message resource type"): which properties there are, and which are shown."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from m365_simulator.graph.call import Call
from m365_simulator.mail import Attachment, Message, Recipient

HIDDEN_FROM_BASIC = ("body", "bodyPreview", "uniqueBody")
"""What Mail.ReadBasic does not show, beside attachments and extended properties (page "Permissions reference")."""
ONLY_WHEN_SELECTED = ("internetMessageHeaders", "uniqueBody")
DISPLAY_NAMES = {
    "inbox": "Inbox",
    "drafts": "Drafts",
    "outbox": "Outbox",
    "sentitems": "Sent Items",
    "deleteditems": "Deleted Items",
}
FOLDER_IDS = {name: f"AAMkFOLDER{name}=" for name in DISPLAY_NAMES}
Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Shown:
    """What of a message is to be shown; `select` None means the default properties."""

    select: tuple[str, ...] | None = None
    extended: tuple[str, ...] = ()
    """The ids of the extended properties to expand, in lower case."""


def message_json(call: Call, message: Message, shown: Shown | None = None) -> Json:
    """Return the message; without permission to read more than the basics its text stays out."""
    shown = shown or Shown()
    known = _properties(call, message)
    if may_read_text(call):
        known |= _text(message)
    wanted = shown.select or [name for name in known if name not in ONLY_WHEN_SELECTED]
    chosen: Json = {"@odata.etag": etag(message)}
    chosen |= {name: known[name] for name in dict.fromkeys((*wanted, "id")) if name in known}
    expanded = [one for one in message.extended if one.id.casefold() in shown.extended]
    if expanded:
        # Graph writes the id in lower case, whatever it was given.
        chosen["singleValueExtendedProperties"] = [{"id": one.id.lower(), "value": one.value} for one in expanded]
    return chosen


def entity_json(call: Call, message: Message, shown: Shown | None = None) -> Json:
    """Return one message with its context, as the answer to a request for it."""
    context = f"{call.tenant.authority}/v1.0/$metadata#users('{call.caller.person.object_id}')/messages/$entity"
    return {"@odata.context": context, **message_json(call, message, shown)}


def may_read_text(call: Call) -> bool:
    """Return whether the token allows more than the basics; who may only send sees what it just made."""
    return call.caller.has_any("Mail.Read", "Mail.ReadWrite")


def known_properties() -> frozenset[str]:
    """Return the names that may stand in `$select`."""
    return frozenset(_NAMES)


def shown_id(call: Call, item: Message) -> str:
    """Return the id in the kind that the client asked for."""
    return item.immutable_id if call.wants_immutable_ids else item.id


def etag(message: Message) -> str:
    """Return the entity tag: it changes with every change."""
    return f'W/"{message.change_key}"'


def attachment_json(attachment: Attachment) -> Json:
    """Return the metadata of an attachment."""
    return {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "@odata.mediaContentType": attachment.content_type,
        "id": attachment.id,
        "name": attachment.name,
        "contentType": attachment.content_type,
        "size": attachment.size,
        "isInline": attachment.is_inline,
        "contentId": attachment.content_id,
    }


def recipients_json(recipients: Iterable[Recipient]) -> list[Mapping[str, object]]:
    """Return recipients as Graph writes them."""
    return [_recipient(recipient) for recipient in recipients]


def as_time(seconds: float) -> str:
    """Return a time as Graph writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _properties(call: Call, message: Message) -> Json:
    item_id = shown_id(call, message)
    created = as_time(message.created_at or message.sent_at)
    sent = created if message.is_draft else as_time(message.visible_at)
    return {
        "id": item_id,
        "createdDateTime": created,
        "lastModifiedDateTime": sent,
        "changeKey": message.change_key,
        "categories": list(message.categories),
        "receivedDateTime": sent,
        "sentDateTime": sent,
        "hasAttachments": any(not one.is_inline for one in message.attachments),
        "internetMessageId": message.internet_message_id,
        "subject": message.subject,
        "importance": message.importance,
        "parentFolderId": FOLDER_IDS[message.folder],
        "conversationId": message.conversation_id,
        "isDeliveryReceiptRequested": message.is_delivery_receipt_requested,
        "isReadReceiptRequested": message.is_read_receipt_requested,
        "isRead": message.is_read,
        "isDraft": message.is_draft,
        "webLink": f"https://outlook.office365.com/owa/?ItemID={quote(item_id, safe='')}&exvsurl=1"
        "&viewmodel=ReadMessageItem",
        "inferenceClassification": "focused",
        "sender": _recipient(message.sender),
        "from": _recipient(message.from_),
        "toRecipients": recipients_json(message.to),
        "ccRecipients": recipients_json(message.cc),
        "bccRecipients": recipients_json(message.bcc),
        "replyTo": recipients_json(message.reply_to),
        "flag": {"flagStatus": "notFlagged"},
        "internetMessageHeaders": _headers(message),
    }


def _text(message: Message) -> Json:
    body = {"contentType": message.content_type.lower(), "content": message.content}
    return {"bodyPreview": message.content[:255], "body": body, "uniqueBody": body}


def _headers(message: Message) -> list[Json]:
    own = [("In-Reply-To", message.in_reply_to)] if message.in_reply_to else []
    own += [("References", " ".join(message.references))] if message.references else []
    return [{"name": name, "value": value} for name, value in (*own, *message.headers)]


def _recipient(recipient: Recipient) -> Json:
    return {"emailAddress": {"name": recipient.name or recipient.address, "address": recipient.address}}


_NAMES = (
    *("id", "createdDateTime", "lastModifiedDateTime", "changeKey"),
    *("categories", "receivedDateTime", "sentDateTime", "hasAttachments"),
    *("internetMessageId", "subject", "bodyPreview", "importance"),
    *("parentFolderId", "conversationId", "isDeliveryReceiptRequested", "isReadReceiptRequested"),
    *("isRead", "isDraft", "webLink", "inferenceClassification"),
    *("body", "uniqueBody", "sender", "from"),
    *("toRecipients", "ccRecipients", "bccRecipients", "replyTo"),
    *("flag", "internetMessageHeaders"),
)
