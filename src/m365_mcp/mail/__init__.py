"""The domain: a message, what makes it valid, and the JSON Graph expects for it. Pure, and may know only `errors`.

Read `building` first: it takes the arguments of a call apart into people, body and attachments, and puts a `Message`
together. `rules` holds the operator's choices and Microsoft's limits.
"""

from m365_mcp.mail.attachment_types import SNIFFED_BYTES, check_attachment_name, check_attachment_start
from m365_mcp.mail.attachments import Attachment, InlineAttachment
from m365_mcp.mail.body import CONTENT_TYPES, ContentType
from m365_mcp.mail.building import IMPORTANCES, MessageWish, build_message
from m365_mcp.mail.message import MESSAGE_ID_HEADER, Importance, Message
from m365_mcp.mail.recipients import Recipient
from m365_mcp.mail.rules import DEFAULT_BLOCKED, MAX_RECIPIENTS, MAX_REQUEST_BYTES, MailRules

__all__ = [
    "CONTENT_TYPES",
    "DEFAULT_BLOCKED",
    "IMPORTANCES",
    "MAX_RECIPIENTS",
    "MAX_REQUEST_BYTES",
    "MESSAGE_ID_HEADER",
    "SNIFFED_BYTES",
    "Attachment",
    "ContentType",
    "Importance",
    "InlineAttachment",
    "MailRules",
    "Message",
    "MessageWish",
    "Recipient",
    "build_message",
    "check_attachment_name",
    "check_attachment_start",
]
