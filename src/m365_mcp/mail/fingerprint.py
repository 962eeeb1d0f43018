"""The fingerprint of a request to send: two calls with one fingerprint ask for the same mail.

It is taken over the request as the caller wrote it, and not over the mail that is composed from it. So a change to the
composing (another rule of the sanitizer, another style of the Markdown) does not make an equal request a new one.
Recipients are normalised first. What they are called and the order they are named in do not count.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from m365_mcp.mail.attachments import Attachment
from m365_mcp.mail.recipients import Recipient


def fingerprint_of(
    kind: str,
    recipients: Iterable[Iterable[Recipient]],
    attachments: Iterable[Attachment],
    body: str,
    content_type: str,
    **fields: str | float | bool | None,
) -> str:
    """Return a SHA-256, hexadecimal.

    Args:
        kind: what is asked for; a message and a reply never share a fingerprint.
        recipients: the recipients of each field, in an order of the fields that never changes.
        attachments: the files inside the call.
        body: the text as the caller gave it.
        content_type: HTML, Text or Markdown, in any case.
        fields: everything else that makes it another mail, by name.
    """
    written: list[Any] = [
        kind,
        [sorted(recipient.key for recipient in field) for field in recipients],
        [[file.name, file.content_type, file.content_id, file.size, file.sha256] for file in attachments],
        [content_type.strip().lower(), body],
        sorted(fields.items()),
    ]
    return hashlib.sha256(json.dumps(written).encode()).hexdigest()
