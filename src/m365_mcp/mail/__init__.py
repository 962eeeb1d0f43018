"""The domain: a message, what makes it valid, and the JSON Graph expects for it. Pure, and may know only `errors`.

Read `building` first: it takes the arguments of a call apart into people, body and attachments, and puts a `Message`
together. `rules` holds the operator's choices and Microsoft's limits.
"""

from m365_mcp.mail.attachment_types import SNIFFED_BYTES, check_attachment_name, check_attachment_start
from m365_mcp.mail.attachments import Attachment, InlineAttachment
from m365_mcp.mail.body import CONTENT_TYPES, ContentType
from m365_mcp.mail.composing import IMPORTANCES, MessageWish, build_message
from m365_mcp.mail.message import DEFERRED, MESSAGE_ID_HEADER, Importance, Message
from m365_mcp.mail.people import check_people
from m365_mcp.mail.recipients import Recipient
from m365_mcp.mail.replies import Answer, AnswerKind, AnswerWish, build_answer, quoting
from m365_mcp.mail.rules import DEFAULT_BLOCKED, MAX_RECIPIENTS, MAX_REQUEST_BYTES, MailRules
from m365_mcp.mail.send_at import read_send_at

__all__ = [
    "CONTENT_TYPES",
    "DEFAULT_BLOCKED",
    "DEFERRED",
    "IMPORTANCES",
    "MAX_RECIPIENTS",
    "MAX_REQUEST_BYTES",
    "MESSAGE_ID_HEADER",
    "SNIFFED_BYTES",
    "Answer",
    "AnswerKind",
    "AnswerWish",
    "Attachment",
    "ContentType",
    "Importance",
    "InlineAttachment",
    "MailRules",
    "Message",
    "MessageWish",
    "Recipient",
    "build_answer",
    "build_message",
    "check_attachment_name",
    "check_attachment_start",
    "check_people",
    "quoting",
    "read_send_at",
]
