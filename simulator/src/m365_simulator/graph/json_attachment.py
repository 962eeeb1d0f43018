"""Turns an attachment in JSON into an Attachment; its bytes are counted, hashed and kept (page "fileAttachment")."""

import base64
import hashlib
from typing import Any

from m365_simulator.graph.problems import GraphError
from m365_simulator.mail import Attachment


def read_attachment(item: dict[str, Any]) -> Attachment:
    """Return a file attachment; GraphError for any other kind, and for bad base64."""
    if item.get("@odata.type") != "#microsoft.graph.fileAttachment":
        raise GraphError(
            400, "RequestBodyRead", "An attachment needs '@odata.type': '#microsoft.graph.fileAttachment'."
        )
    if not item.get("name") or item.get("contentBytes") is None:
        raise GraphError(400, "ErrorRequiredPropertyMissing", "Required property 'name' or 'contentBytes' is missing.")
    try:
        content = base64.b64decode(item["contentBytes"], validate=True)
    except ValueError:
        raise GraphError(
            400, "RequestBodyRead", "Cannot convert the attachment's contentBytes to 'Edm.Binary'."
        ) from None
    kind = item.get("contentType") or "application/octet-stream"
    return attachment_of(item["name"], kind, content, bool(item.get("isInline")), item.get("contentId"))


def attachment_of(
    name: str, content_type: str, content: bytes, is_inline: bool, content_id: str | None = None
) -> Attachment:
    """Return what is kept of a file."""
    digest = hashlib.sha256(content).hexdigest()
    return Attachment(name, content_type, len(content), is_inline, digest, content_id, content=content)
