"""The arguments of tools that write mail: each with the words a model reads."""

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from m365_mcp.mail import CONTENT_TYPES, IMPORTANCES

_ATTACHMENT = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "File name with its extension."},
        "content_base64": {"type": "string", "description": "The content, base64."},
        "content_type": {"type": "string", "description": "Media type; guessed from the name when left out."},
        "content_id": {"type": "string", "description": "For a picture in an HTML body: <img src='cid:…'>."},
    },
    "required": ["name", "content_base64"],
    "additionalProperties": False,
}
_FILE = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "File name with its extension, as the recipients are to see it."},
        "size": {"type": "integer", "minimum": 0, "description": "Bytes, if known; then no other file is taken."},
    },
    "required": ["name"],
    "additionalProperties": False,
}

To = Annotated[
    list[str],
    Field(description="Recipients, one an entry: 'name@example.com' or 'Name <name@example.com>'. At least one."),
]
Subject = Annotated[str, Field(description="Subject, one line.")]
Text = Annotated[str, Field(description="Text of the mail, in the format content_type names.")]
Cc = Annotated[list[str] | None, Field(description="Copy recipients, written like 'to'.")]
Bcc = Annotated[list[str] | None, Field(description="Blind copy recipients, where the operator allows them.")]
ReplyTo = Annotated[list[str] | None, Field(description="Where replies go instead of to the sender.")]
From = Annotated[
    str | None, Field(description="A shared mailbox to send for, where the operator and the mailbox allow it.")
]
ContentType = Annotated[
    str,
    Field(
        description="Format of body: 'HTML', 'Text', or 'Markdown', which becomes HTML.",
        json_schema_extra={"enum": list(CONTENT_TYPES)},
    ),
]
SaveToSent = Annotated[bool, Field(description="Keep a copy in Sent Items.")]
Importance = Annotated[
    str, Field(description="'low', 'normal' or 'high'.", json_schema_extra={"enum": list(IMPORTANCES)})
]
Attachments = Annotated[
    list[dict[str, Any]] | None,
    WithJsonSchema(
        {
            "anyOf": [{"type": "array", "items": _ATTACHMENT}, {"type": "null"}],
            "default": None,
            "description": "Small files, together below 3 MB.",
        }
    ),
]
Files = Annotated[
    list[dict[str, Any]],
    WithJsonSchema(
        {
            "type": "array",
            "items": _FILE,
            "minItems": 1,
            "description": "The files to be uploaded, each with its own name; together up to 150 MB.",
        }
    ),
]
ReadReceipt = Annotated[bool, Field(description="Ask to be told when it is read.")]
IdempotencyKey = Annotated[
    str | None,
    Field(
        description="Your own name for this send: a call with the same key is a repeat and sends nothing.",
        min_length=1,
        max_length=64,
    ),
]
PeopleQuery = Annotated[
    str, Field(description="A name, part of one, or part of an address.", min_length=1, max_length=100)
]
Top = Annotated[int, Field(description="How many to show at most.", ge=1, le=50)]
DraftId = Annotated[str, Field(description="draft_id of create_draft, or of attach_files.")]
OriginalId = Annotated[str, Field(description="message_id of list_messages: the message to answer.")]
ScheduledId = Annotated[str, Field(description="scheduled_id of schedule_mail or list_scheduled.")]
ReplyAll = Annotated[bool, Field(description="Whether everybody else on the message gets the reply, too.")]
Folder = Annotated[Literal["inbox", "sentitems"], Field(description="Which folder: 'inbox' or 'sentitems'.")]
SendAt = Annotated[
    str,
    Field(description="When it is to leave, ISO 8601 with the offset from UTC: 2027-01-15T09:00:00+01:00."),
]
AllowDuplicate = Annotated[
    bool, Field(description="Send although an equal message was just sent, because a second copy is wanted.")
]
