"""The shapes that messages and attachments may have, and the refusal of everything else (page "message resource type").

A check takes a JSON value and the path to it, and raises GraphError when the value does not fit.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from m365_simulator.graph.problems import GraphError

Check = Callable[[object, str], None]
EXTENDED_ID = re.compile(
    r"[a-z]+ (?:0x[0-9a-f]{1,8}|\{?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}? (?:Name .+|Id 0x[0-9a-f]{1,8}))",
    re.IGNORECASE,
)
"""The three formats of an id (page "singleValueLegacyExtendedProperty resource type")."""


@dataclass(frozen=True)
class Type:
    """An object type: its full name and the checks of its properties."""

    name: str
    properties: Mapping[str, Check]

    def check(self, value: object, path: str) -> None:
        """Raise GraphError for a value that is no such object, or that has a property the type does not have."""
        if not isinstance(value, dict):
            raise _wrong_kind(path, "an object")
        for key, item in value.items():
            if "@" in key:
                continue
            if key not in self.properties:
                raise GraphError(
                    400,
                    "RequestBodyRead",
                    f"The property '{key}' does not exist on type '{self.name}'. Make sure to only use property "
                    "names that are "
                    "defined by the type or mark the type as open type.",
                )
            self.properties[key](item, f"{path}/{key}")


def text(value: object, path: str) -> None:
    """Check for a string or null."""
    if value is not None and not isinstance(value, str):
        raise _wrong_kind(path, "a string")


def flag(value: object, path: str) -> None:
    """Check for a boolean or null."""
    if value is not None and not isinstance(value, bool):
        raise _wrong_kind(path, "a boolean")


def anything(value: object, path: str) -> None:
    """Accept every value: properties that exist but do not matter here."""


def one_of(*choices: str) -> Check:
    """Make a check for one of these words in any case."""

    def check(value: object, path: str) -> None:
        if not isinstance(value, str) or value.casefold() not in {choice.casefold() for choice in choices}:
            raise _wrong_kind(path, f"one of {', '.join(choices)}")

    return check


def list_of(item_check: Check) -> Check:
    """Make a check for an array whose every item passes `item_check`."""

    def check(value: object, path: str) -> None:
        if not isinstance(value, list):
            raise _wrong_kind(path, "an array")
        for item in value:
            item_check(item, path)

    return check


def _wrong_kind(path: str, expected: str) -> GraphError:
    return GraphError(
        400,
        "UnableToDeserializePostBody",
        f"Unable to deserialize the post body: '{path.lstrip('/')}' is not {expected}.",
    )


_ADDRESS = Type("microsoft.graph.emailAddress", {"address": text, "name": text})
_RECIPIENT = Type("microsoft.graph.recipient", {"emailAddress": _ADDRESS.check})
_BODY = Type("microsoft.graph.itemBody", {"contentType": one_of("Text", "HTML"), "content": text})
_HEADER = Type("microsoft.graph.internetMessageHeader", {"name": text, "value": text})
_EXTENDED = Type("microsoft.graph.singleValueLegacyExtendedProperty", {"id": text, "value": text})
ATTACHMENT = Type(
    "microsoft.graph.fileAttachment",
    {
        "name": text,
        "contentType": text,
        "contentBytes": text,
        "contentId": text,
        "contentLocation": text,
        "isInline": flag,
        "size": anything,
        "id": anything,
        "lastModifiedDateTime": anything,
    },
)
_UNREMARKABLE = (
    "id changeKey createdDateTime lastModifiedDateTime receivedDateTime sentDateTime hasAttachments "
    "bodyPreview uniqueBody parentFolderId conversationId conversationIndex isDraft webLink "
    "inferenceClassification "
    "multiValueExtendedProperties flag extensions"
)
_SESSION_FIELDS: dict[str, Check] = {
    "attachmentType": one_of("file", "item", "reference"),
    "name": text,
    "size": anything,
    "contentType": text,
    "contentId": text,
    "isInline": flag,
}
ATTACHMENT_ITEM = Type("microsoft.graph.attachmentItem", _SESSION_FIELDS)
MESSAGE = Type(
    "microsoft.graph.message",
    {
        "subject": text,
        "body": _BODY.check,
        "toRecipients": list_of(_RECIPIENT.check),
        "ccRecipients": list_of(_RECIPIENT.check),
        "bccRecipients": list_of(_RECIPIENT.check),
        "replyTo": list_of(_RECIPIENT.check),
        "from": _RECIPIENT.check,
        "sender": _RECIPIENT.check,
        "importance": one_of("low", "normal", "high"),
        "internetMessageHeaders": list_of(_HEADER.check),
        "attachments": list_of(ATTACHMENT.check),
        "singleValueExtendedProperties": list_of(_EXTENDED.check),
        "internetMessageId": text,
        "isRead": flag,
        "isReadReceiptRequested": flag,
        "isDeliveryReceiptRequested": flag,
        "categories": list_of(text),
    }
    | dict.fromkeys(_UNREMARKABLE.split(), anything),
)
