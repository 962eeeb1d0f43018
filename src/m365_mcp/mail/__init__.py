"""The domain: a message, the rules that make it valid, and the JSON that Graph expects.

Read `composing` first. It reads recipients, body and attachments from the arguments of a call and makes a `Message`.
`rules` holds the operator's choices and Microsoft's limits.
"""

from m365_mcp.mail.attachment_notes import notes_on_names
from m365_mcp.mail.attachment_types import check_attachment_name, check_attachment_start, extensions_of
from m365_mcp.mail.attachments import Attachment, InlineAttachment
from m365_mcp.mail.body import CONTENT_TYPES, ContentType
from m365_mcp.mail.composing import IMPORTANCES, MessageRequest, check_from, compose_message
from m365_mcp.mail.message import DEFERRED, MESSAGE_ID_HEADER, Importance, Message
from m365_mcp.mail.quoting import quote_original, read_quotation
from m365_mcp.mail.recipient import Recipient, write_recipient
from m365_mcp.mail.recipients import check_recipients
from m365_mcp.mail.replies import Reply, ReplyKind, ReplyRequest, compose_reply
from m365_mcp.mail.reply_recipients import Original, ReplyRecipients, choose_recipients
from m365_mcp.mail.report import warnings_of
from m365_mcp.mail.rules import DEFAULT_BLOCKED, MAX_RECIPIENTS, MAX_REQUEST_BYTES, MailRules, SendLevel
from m365_mcp.mail.send_at import read_send_at

__all__ = [
    "CONTENT_TYPES",
    "DEFAULT_BLOCKED",
    "DEFERRED",
    "IMPORTANCES",
    "MAX_RECIPIENTS",
    "MAX_REQUEST_BYTES",
    "MESSAGE_ID_HEADER",
    "Attachment",
    "ContentType",
    "Importance",
    "InlineAttachment",
    "MailRules",
    "Message",
    "MessageRequest",
    "Original",
    "Recipient",
    "Reply",
    "ReplyKind",
    "ReplyRecipients",
    "ReplyRequest",
    "SendLevel",
    "check_attachment_name",
    "check_attachment_start",
    "check_from",
    "check_recipients",
    "choose_recipients",
    "compose_message",
    "compose_reply",
    "extensions_of",
    "notes_on_names",
    "quote_original",
    "read_quotation",
    "read_send_at",
    "warnings_of",
    "write_recipient",
]
