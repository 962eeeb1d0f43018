"""Reads and checks the attachments inside a call, and makes Graph's JSON for them.

No field names a path or an address, so no call can make this server read a file or fetch a page.
Source: Graph "fileAttachment resource type".
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

from m365_mcp.errors import InvalidArgument, MessageTooLarge
from m365_mcp.mail.attachment_notes import attachment_notes
from m365_mcp.mail.attachment_types import check_attachment_name, check_attachment_start, extension_of
from m365_mcp.mail.base64_content import check_decoded, decode_base64
from m365_mcp.mail.file_signatures import can_be
from m365_mcp.mail.media_types import UNKNOWN, content_type_of, kind_of, read_content_type, with_method
from m365_mcp.mail.report import Note
from m365_mcp.mail.rules import MAX_ATTACHMENTS, MailRules

_CONTENT_ID = re.compile(
    r"[\w.+@-]{1,255}", re.ASCII
)  # the characters of RFC 2392 that need no escape in a cid: address
_FIELDS_ADVICE = (
    "Use name, content_base64, content_type, content_id and is_inline; files are not read from a path or an address."
)
_TOO_LARGE_ADVICE = "Attach larger files by upload link, or share a link to them."


@dataclass(frozen=True)
class InlineAttachment:
    """One attachment inside a call.

    Attributes:
        name: file name.
        content_base64: the file, base64; see `base64_content`.
        content_type: media type; if it is missing, a data: address or the name's extension decides.
        content_id: the name in the HTML, for <img src="cid:...">; makes the attachment inline.
        is_inline: whether mail programs show it inside the text; needs content_id.
    """

    name: str
    content_base64: str = field(repr=False)
    content_type: str | None = None
    content_id: str | None = None
    is_inline: bool = False


@dataclass(frozen=True)
class Attachment:
    """One attached file of a message."""

    name: str
    content: bytes = field(repr=False)
    content_type: str
    content_id: str | None

    @property
    def size(self) -> int:
        """Size of the content in bytes, before base64."""
        return len(self.content)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the content, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def is_inline(self) -> bool:
        """Whether mail programs show it inside the text."""
        return self.content_id is not None

    def as_graph(self) -> dict[str, Any]:
        """Return Graph's `fileAttachment`."""
        attachment = {
            "@odata.type": "#microsoft.graph.fileAttachment",
            "name": self.name,
            "contentType": self.content_type,
            "contentBytes": base64.b64encode(self.content).decode(),
        }
        return {**attachment, "isInline": True, "contentId": self.content_id} if self.is_inline else attachment


def read_attachments(
    given: Sequence[InlineAttachment | Mapping[str, Any]], rules: MailRules, senders: Sequence[str] = ()
) -> tuple[tuple[Attachment, ...], tuple[Note, ...]]:
    """Return the attachments, and notes for the report.

    Args:
        senders: the addresses that are the sender's, as far as they are known.

    Raises:
        InvalidArgument: an entry is not valid; the error names the entry and never repeats its content.
        MessageTooLarge: the attachments together are larger than one request may be.
    """
    if len(given) > MAX_ATTACHMENTS:
        raise InvalidArgument(f"There are {len(given):,} attachments, and Exchange Online allows {MAX_ATTACHMENTS}.")
    numbered = [(f"'attachments' entry {number}", entry) for number, entry in enumerate(given, start=1)]
    entries = [(where, _check_fields(where, entry)) for where, entry in numbered]
    # Decoding takes time, so much too large content is refused first. Half of the text may be line breaks and blanks.
    check_total_size(sum(len(entry.content_base64) for _, entry in entries) * 3 // 8, rules)
    attachments = tuple(_read_attachment(where, entry, rules) for where, entry in entries)
    check_total_size(sum(attachment.size for attachment in attachments), rules)
    content_ids = [attachment.content_id for attachment in attachments if attachment.content_id]
    if len(content_ids) != len(set(content_ids)):
        raise InvalidArgument("Two attachments have the same content_id.", advice="Give each its own.")
    return attachments, attachment_notes(attachments, senders)


def _check_fields(where: str, entry: InlineAttachment | Mapping[str, Any]) -> InlineAttachment:
    if isinstance(entry, InlineAttachment):
        return entry
    types = {"name": str, "content_base64": str, "content_type": str, "content_id": str, "is_inline": bool}
    given = {name: value for name, value in entry.items() if value is not None}
    if set(entry) - {known.name for known in fields(InlineAttachment)}:
        raise InvalidArgument(f"{where} has a field that does not exist.", advice=_FIELDS_ADVICE)
    if not {"name", "content_base64"} <= set(given):
        raise InvalidArgument(f"{where} lacks name or content_base64.", advice=_FIELDS_ADVICE)
    if not all(isinstance(value, types[name]) for name, value in given.items()):
        raise InvalidArgument(f"{where} has a field of the wrong type.", advice=_FIELDS_ADVICE)
    return InlineAttachment(**given)


def check_total_size(size: int, rules: MailRules) -> None:
    """Check the size of all attachments of a call together. Raises MessageTooLarge."""
    if size > rules.max_inline_attachment_bytes:
        raise MessageTooLarge(
            f"The attachments are {size:,} bytes together, and a call may hold {rules.max_inline_attachment_bytes:,}.",
            advice=_TOO_LARGE_ADVICE,
        )


def is_content_id(text: str) -> bool:
    """Return whether `text` can be a content id that needs no escape in a cid: address."""
    return _CONTENT_ID.fullmatch(text) is not None


def _read_attachment(where: str, entry: InlineAttachment, rules: MailRules) -> Attachment:
    name = check_attachment_name(entry.name, rules, where)
    content_id = _read_content_id(where, entry)
    decoded = decode_base64(where, entry.content_base64)
    extension = extension_of(name)
    usual = content_type_of(extension)
    written = (entry.content_type or "").strip()
    if not written and usual == UNKNOWN:
        written = decoded.media_type or ""
    content_type = read_content_type(where, written, rules) if written else usual
    check_attachment_start(decoded.content, rules, where)
    is_known = can_be(extension, b"") is not None
    check_decoded(where, decoded, extension if is_known else kind_of(content_type) or extension)
    return Attachment(name, decoded.content, with_method(content_type, decoded.content), content_id)


def _read_content_id(where: str, entry: InlineAttachment) -> str | None:
    bare = (entry.content_id or "").strip().removeprefix("cid:").removeprefix("<").removesuffix(">")
    if not bare and not entry.is_inline:
        return None
    if not is_content_id(bare):
        raise InvalidArgument(
            f"{where} is inline and has no valid content_id.",
            advice="Give it the content_id that follows cid: in the HTML; letters, digits and .-_+@ are allowed.",
        )
    return bare
