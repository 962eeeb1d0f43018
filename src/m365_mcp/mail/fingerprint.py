"""The fingerprint of a request to send: two calls with equal fingerprints ask for the same mail.

It covers the request as the caller wrote it, and not the composed mail. So a new rule of the sanitizer or a new style
of the Markdown does not change the fingerprint of an equal request. Recipients are normalised first. Their display
names and their order do not count.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from m365_mcp.mail.attachments import Attachment
from m365_mcp.mail.recipient import Recipient


def fingerprint_of(
    kind: str,
    recipients: Iterable[Iterable[Recipient]],
    attachments: Iterable[Attachment],
    body: str,
    content_type: str,
    **fields: str | float | bool | None,
) -> str:
    """Return the fingerprint, a SHA-256 in hexadecimal.

    Args:
        kind: `message` or the kind of reply; a message and a reply never share a fingerprint.
        recipients: the recipients of each field; the order of the fields must never change.
        attachments: the files inside the call.
        body: the text as the caller gave it.
        content_type: HTML, Text or Markdown, in any case.
        fields: all other fields that change the mail, by name.
    """
    content: list[Any] = [
        kind,
        [sorted(recipient.key for recipient in field) for field in recipients],
        [[file.name, file.content_type, file.content_id, file.size, file.sha256] for file in attachments],
        [content_type.strip().lower(), body],
        sorted(fields.items()),
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def as_written_field(as_written: bool) -> dict[str, bool]:
    """Return the field of `as_written`; none when it is false, so that versions without it find an equal request."""
    return {"as_written": True} if as_written else {}
