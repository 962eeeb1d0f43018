"""The types of the tools' arguments, each with the description that a model reads.

A model reads the schemas of all tools in every conversation, so a description tells what name, type and default do not.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from m365_mcp.mail import CONTENT_TYPES, IMPORTANCES
from m365_mcp.tools.names import FIELDS, is_quotable

_ATTACHMENT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "content_base64": {"type": "string"},
        "content_type": {"type": "string", "description": "Default: by name."},
        "content_id": {"type": "string", "description": "For <img src='cid:…'>."},
    },
    "required": ["name", "content_base64"],
    "additionalProperties": False,
}
_FILE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "As recipients will see it."},
        "size": {"type": "integer", "minimum": 0, "description": "Bytes, if known; another size is then refused."},
    },
    "required": ["name"],
    "additionalProperties": False,
}


def _known_fields(schema: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a validator that tells the real name of a field that is known by its meaning only."""

    def check(entry: dict[str, Any]) -> dict[str, Any]:
        unknown = [name for name in entry if name not in schema["properties"] and is_quotable(name)]
        meant = {name: FIELDS.meaning(name, schema["properties"]) for name in unknown[:10]}
        wrong = [f"'{name}' is not a field, use '{field}'" for name, field in meant.items() if field is not None]
        if wrong:
            raise ValueError("; ".join(wrong))
        return entry

    return check


To = Annotated[
    list[str],
    Field(description="One address an entry: 'name@example.com' or 'Name <name@example.com>'."),
]
Subject = str
Text = Annotated[str, Field(description="In the format of content_type.")]
Cc = list[str] | None
Bcc = list[str] | None
ReplyTo = Annotated[list[str] | None, Field(description="Where replies go.")]
From = Annotated[str | None, Field(description="Shared mailbox to send from.")]
ContentType = Annotated[
    str,
    Field(
        description="Of body; Markdown becomes HTML.",
        json_schema_extra={"enum": list(CONTENT_TYPES)},
    ),
]
SaveToSent = Annotated[bool, Field(description="Save a copy in Sent Items.")]
Importance = Annotated[str, Field(json_schema_extra={"enum": list(IMPORTANCES)})]
Attachments = Annotated[
    list[Annotated[dict[str, Any], AfterValidator(_known_fields(_ATTACHMENT))]] | None,
    WithJsonSchema({"type": "array", "items": _ATTACHMENT, "description": "Small files, together below 3 MB."}),
]
Files = Annotated[
    list[Annotated[dict[str, Any], AfterValidator(_known_fields(_FILE))]],
    WithJsonSchema(
        {
            "type": "array",
            "items": _FILE,
            "minItems": 1,
            "description": "To upload, each with another name; together up to 150 MB.",
        }
    ),
]
ReadReceipt = bool
IdempotencyKey = Annotated[
    str | None,
    Field(
        description="Your id for this send; a second call with it sends nothing.",
        min_length=1,
        max_length=64,
    ),
]
PeopleQuery = Annotated[str, Field(description="A name, or part of a name or address.", min_length=1, max_length=100)]
Top = Annotated[int, Field(ge=1, le=50)]
DraftId = Annotated[str, Field(description="From create_draft.")]
UploadDraftId = Annotated[str, Field(description="From attach_files.")]
OriginalId = Annotated[str, Field(description="From list_messages.")]
ScheduledId = Annotated[str, Field(description="From list_scheduled, or the receipt.")]
HeldMessageId = Annotated[str, Field(description="message_id of a result.", min_length=1, max_length=64)]
ReplyAll = Annotated[bool, Field(description="Also to all other people on the message.")]
Folder = Literal["inbox", "sentitems"]
SendAt = Annotated[
    str,
    Field(description="ISO 8601 with the person's UTC offset: 2027-01-15T09:00:00+01:00."),
]
AsWritten = Annotated[
    bool,
    Field(description="After body_form, empty_subject or empty_body: send it exactly so."),
]
AllowDuplicate = Annotated[bool, Field(description="Send an equal mail again on purpose.")]
DryRun = Annotated[bool, Field(description="Only tell whether and how it would leave.")]
