"""The types of the tools' arguments, each with the description that a model reads."""

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from m365_mcp.mail import CONTENT_TYPES, IMPORTANCES

_ATTACHMENT = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "File name with its extension."},
        "content_base64": {"type": "string", "description": "Content, base64."},
        "content_type": {"type": "string", "description": "Media type. If left out, it is guessed from the name."},
        "content_id": {"type": "string", "description": "Id of a picture in an HTML body: <img src='cid:…'>."},
    },
    "required": ["name", "content_base64"],
    "additionalProperties": False,
}
_FILE = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "File name with its extension, as the recipients will see it."},
        "size": {
            "type": "integer",
            "minimum": 0,
            "description": "Size in bytes, if known. Then a file of another size is refused.",
        },
    },
    "required": ["name"],
    "additionalProperties": False,
}

To = Annotated[
    list[str],
    Field(
        description="Recipients, one address per entry: 'name@example.com' or 'Name <name@example.com>'. At least one."
    ),
]
Subject = Annotated[str, Field(description="Subject, one line.")]
Text = Annotated[str, Field(description="Text of the mail, in the format that content_type names.")]
Cc = Annotated[list[str] | None, Field(description="Copy recipients, written like 'to'.")]
Bcc = Annotated[list[str] | None, Field(description="Blind copy recipients, if the operator allows them.")]
ReplyTo = Annotated[list[str] | None, Field(description="Addresses that replies go to instead of the sender's.")]
From = Annotated[
    str | None, Field(description="A shared mailbox to send from, if the operator and the mailbox allow it.")
]
ContentType = Annotated[
    str,
    Field(
        description="Format of body: 'HTML', 'Text', or 'Markdown', which becomes HTML.",
        json_schema_extra={"enum": list(CONTENT_TYPES)},
    ),
]
SaveToSent = Annotated[bool, Field(description="Save a copy in Sent Items.")]
Importance = Annotated[
    str, Field(description="'low', 'normal' or 'high'.", json_schema_extra={"enum": list(IMPORTANCES)})
]
Attachments = Annotated[
    list[dict[str, Any]] | None,
    WithJsonSchema(
        {
            "anyOf": [{"type": "array", "items": _ATTACHMENT}, {"type": "null"}],
            "default": None,
            "description": "Small files, in total below 3 MB.",
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
            "description": "The files that will be uploaded, each with a different name; in total up to 150 MB.",
        }
    ),
]
ReadReceipt = Annotated[bool, Field(description="Request a read receipt.")]
IdempotencyKey = Annotated[
    str | None,
    Field(
        description="Your own id for this send. A second call with the same key is a repeat and sends nothing.",
        min_length=1,
        max_length=64,
    ),
]
PeopleQuery = Annotated[
    str, Field(description="A name, part of one, or part of an address.", min_length=1, max_length=100)
]
Top = Annotated[int, Field(description="Maximum number of results.", ge=1, le=50)]
DraftId = Annotated[str, Field(description="draft_id from create_draft or attach_files.")]
OriginalId = Annotated[str, Field(description="message_id from list_messages: the message to reply to or forward.")]
ScheduledId = Annotated[str, Field(description="scheduled_id from schedule_mail or list_scheduled.")]
ReplyAll = Annotated[bool, Field(description="Reply to all other people on the message too.")]
Folder = Annotated[Literal["inbox", "sentitems"], Field(description="Folder: 'inbox' or 'sentitems'.")]
SendAt = Annotated[
    str,
    Field(description="When to send it, ISO 8601 with the offset from UTC: 2027-01-15T09:00:00+01:00."),
]
AsWritten = Annotated[
    bool,
    Field(description="Send it exactly so after the error 'body_form', 'empty_subject' or 'empty_body'."),
]
AllowDuplicate = Annotated[
    bool, Field(description="Send a second copy on purpose, although an equal message was just sent.")
]
