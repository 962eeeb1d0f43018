"""The pictures inside a mail's text, as the approval page shows them: in place, as data: addresses (RFC 2397).

Only types that cannot script are shown, and the first bytes decide which a picture is, not what the mail says. Number
and bytes are bounded, so that no mail makes a large page or many requests.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from urllib.parse import unquote

from m365_mcp.errors import M365Error
from m365_mcp.graph.attachments import Attached, read_inline_file
from m365_mcp.graph.mailbox import Mailbox
from m365_mcp.mail import Message
from m365_mcp.mail.file_signatures import can_be

MAX_SHOWN_BYTES = 8_000_000  # of all pictures in the text
MAX_READ_PICTURES = 20  # of a draft: one request to Graph for each
_TYPES = {"png": "image/png", "jpg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"}
# As our sanitizer writes a picture of the mail itself, and as Outlook and Exchange do.
_CID = re.compile(r"""(<img\b[^<>]*?\ssrc\s*=\s*(["']))cid:([^"'<>\s]{1,255})(?=\2)""", re.IGNORECASE)


def with_pictures(html: str, pictures: Mapping[str, bytes]) -> str:
    """Return the text with its own pictures as data: addresses, as far as there is room.

    Args:
        html: the text.
        pictures: the content of each picture by its content id.
    """
    room = MAX_SHOWN_BYTES

    def as_data(found: re.Match[str]) -> str:
        nonlocal room
        content = pictures.get(unquote(found[3]), b"")
        content_type = _type_of(content)
        if content_type is None or len(content) > room:
            return found[0]
        room -= len(content)
        return f"{found[1]}data:{content_type};base64,{base64.b64encode(content).decode()}"

    return _CID.sub(as_data, html)


def pictures_of(message: Message) -> dict[str, bytes]:
    """Return the content of the files that a composed message shows in its text, by content id."""
    return {file.content_id: file.content for file in message.attachments if file.content_id}


async def read_pictures(mailbox: Mailbox, item_id: str, attached: Sequence[Attached], html: str) -> dict[str, bytes]:
    """Return the content of the pictures that a draft shows in its text, by content id, as far as there is room.

    Args:
        mailbox: the mailbox of the draft.
        item_id: Graph's id of the draft.
        attached: its attachments.
        html: its text.
    """
    room, found = MAX_SHOWN_BYTES, dict[str, bytes]()
    pictures = [one for one in attached if one.is_file and _claims_a_picture(one)] if _CID.search(html) else []
    for picture in pictures[:MAX_READ_PICTURES]:
        if picture.size > room:
            continue
        room -= picture.size
        with suppress(M365Error):  # the page then shows the text without it, and it still stands in the list of files
            content_id, content = await read_inline_file(mailbox, item_id, picture.id)
            if content_id is not None:
                found[content_id] = content
    return found


def _claims_a_picture(one: Attached) -> bool:
    return one.content_type.partition(";")[0].strip().lower() in _TYPES.values()


def _type_of(content: bytes) -> str | None:
    return next((content_type for kind, content_type in _TYPES.items() if can_be(kind, content)), None)
