"""Makes attachments of the pictures that stand inside the HTML as data: addresses (RFC 2397).

Mail programs do not show data: addresses, but they show an attachment that has a content id (RFC 2392).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from urllib.parse import unquote_to_bytes

from m365_mcp.mail.attachments import Attachment
from m365_mcp.mail.html import limits
from m365_mcp.mail.html.removals import Removal

_DATA = re.compile(r"data:([^,]*),(.*)", re.IGNORECASE | re.DOTALL)
_SPACE = re.compile(rb"\s+")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")  # RFC 4648 section 5
# The first bytes decide, not the type that the address claims (WHATWG MIME Sniffing 6.1).
_SIGNATURES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "png", "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "jpg", "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "gif", "image/gif"),
    (re.compile(rb"RIFF....WEBPVP8", re.DOTALL), "webp", "image/webp"),
    (re.compile(rb"BM.{4}\0{4}", re.DOTALL), "bmp", "image/bmp"),
)
_SVG = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<(?:svg|\?xml|!--|!DOCTYPE svg)", re.IGNORECASE)


class DataPictures:
    """The pictures of one body; equal ones are attached once."""

    def __init__(self) -> None:
        self._attachments: dict[str, Attachment] = {}

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """The inline attachments, in the order of the body."""
        return tuple(self._attachments.values())

    def take(self, address: str) -> str | Removal:
        """Return the cid: address of the picture at a data: address, or why it cannot be attached.

        Raises:
            BodyTooComplex: there are too many pictures.
        """
        content = _decode(address)
        found = next((form for form in _SIGNATURES if form[0].match(content)), None) if content else None
        if content is None or found is None:
            return Removal.SVG_IMAGE if content and _SVG.match(content) else Removal.DATA_IMAGE
        _, extension, content_type = found
        # Of the content only, so that equal pictures have one id, in every mail.
        content_id = f"picture-{hashlib.sha256(content).hexdigest()[:24]}.{extension}"
        if content_id not in self._attachments:
            limits.check_count(len(self._attachments) + 1, limits.MAX_DATA_PICTURES, "pictures inside the HTML")
            name = f"image{len(self._attachments) + 1:03}.{extension}"
            self._attachments[content_id] = Attachment(name, content, content_type, content_id)
        return f"cid:{content_id}"


def _decode(address: str) -> bytes | None:
    found = _DATA.match(address)
    if not found:
        return None
    content = unquote_to_bytes(found[2])
    if not found[1].lower().replace(" ", "").endswith(";base64"):
        return content
    packed = _SPACE.sub(b"", content).translate(_URL_SAFE).rstrip(b"=")
    try:
        return base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True)
    except binascii.Error:
        return None
