"""A composed message as JSON, with every field, so that it can wait in the store."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from m365_mcp.mail import Attachment, Message, Recipient

_LISTS = ("to", "cc", "bcc", "reply_to")


def message_as_json(message: Message) -> dict[str, Any]:
    """Return every field of a composed message in JSON."""
    plain = {field.name: getattr(message, field.name) for field in dataclasses.fields(message)}
    people = {name: [dataclasses.asdict(one) for one in plain[name]] for name in _LISTS}
    files = [
        {**dataclasses.asdict(file), "content": base64.b64encode(file.content).decode()} for file in message.attachments
    ]
    return {
        **plain,
        **people,
        "from_": message.from_ and dataclasses.asdict(message.from_),
        "attachments": files,
        "send_at": message.send_at and message.send_at.isoformat(),
        "warnings": list(message.warnings),
    }


def message_digest(message: Message) -> str:
    """Return a digest of everything in a composed message; of each attachment, its content too."""
    plain = message_as_json(dataclasses.replace(message, attachments=()))
    files = [
        {**dataclasses.asdict(file), "content": hashlib.sha256(file.content).hexdigest()}
        for file in message.attachments
    ]
    return hashlib.sha256(json.dumps([plain, files], sort_keys=True).encode()).hexdigest()


def message_from_json(found: Mapping[str, Any]) -> Message:
    """Return the composed message for `message_as_json`."""
    files = tuple(Attachment(**{**file, "content": base64.b64decode(file["content"])}) for file in found["attachments"])
    return Message(
        **{
            **found,
            **{name: tuple(Recipient(**one) for one in found[name]) for name in _LISTS},
            "from_": found["from_"] and Recipient(**found["from_"]),
            "attachments": files,
            "send_at": found["send_at"] and datetime.fromisoformat(found["send_at"]),
            "warnings": tuple(found["warnings"]),
        }
    )
