"""Brings the pictures of a body and the attachments of its message together (RFC 2392).

A mail program hides an attachment that is marked as inline, because it expects it in the text. So an attachment is
inline if and only if the body shows it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape, unescape
from urllib.parse import unquote

from m365_mcp.errors import InvalidArgument
from m365_mcp.mail.attachments import Attachment, check_total_size, is_content_id
from m365_mcp.mail.body import Body
from m365_mcp.mail.html.links import content_ids
from m365_mcp.mail.report import Note, Weight, counted
from m365_mcp.mail.rules import MAX_ATTACHMENTS, MailRules

# An image of sanitised HTML: every attribute has a name and a value in double quotes. Groups: up to the address of a
# cid: image, the content id.
_IMAGE = re.compile(r'<img(?=[ >])(?:((?: (?!src=)[\w-]+="[^"]*")* src=")cid:([^"]*))?', re.IGNORECASE)


@dataclass(frozen=True)
class Illustrated:
    """A body whose pictures are among the attachments.

    Attributes:
        missing: the numbers of the pictures that no attachment belongs to, counted from 1 in the order of the body.
    """

    body: Body
    attachments: tuple[Attachment, ...]
    missing: tuple[int, ...]
    notes: tuple[Note, ...]


def bring_pictures(body: Body, attachments: Sequence[Attachment], rules: MailRules) -> Illustrated:
    """Return the body with the content ids of its attachments, and the attachments with those that the body brings.

    An image belongs to the attachment that has its content id, in any case and encoding, or else its file name.

    Raises:
        InvalidArgument: there are more attachments than Exchange Online allows.
        MessageTooLarge: they are larger than one request may be.
    """
    own = {attachment.content_id for attachment in attachments}
    files = [*attachments, *(picture for picture in body.pictures if picture.content_id not in own)]
    if len(files) > MAX_ATTACHMENTS:
        raise InvalidArgument(
            f"There are {len(files):,} attachments, with the pictures in the body; Exchange Online allows "
            f"{MAX_ATTACHMENTS}."
        )
    check_total_size(sum(file.size for file in files), rules)
    matching = _Matching(files)
    content = _IMAGE.sub(matching.match, body.content) if body.content_type == "HTML" else body.content
    return Illustrated(
        replace(
            body, content=content, content_ids=content_ids(content) if content != body.content else body.content_ids
        ),
        matching.attachments(),
        tuple(matching.missing),
        _unused_notes(sum(file.is_inline for file in files if file not in matching.shown_files())),
    )


def check_missing(pictures: Illustrated, *, as_written: bool) -> tuple[Note, ...]:
    """Refuse a body whose images no attachment belongs to, or return a note if the caller means it so.

    Raises:
        InvalidArgument: an image has no attachment; not with `as_written`.
    """
    numbers = pictures.missing
    if not numbers:
        return ()
    which = f"picture {numbers[0]}" if len(numbers) == 1 else f"pictures {', '.join(map(str, numbers[:10]))}"
    if not as_written:
        raise InvalidArgument(
            f"'body' shows {which} by a cid: address that no attachment has as its content_id or name.",
            advice="Attach the picture in the call and give it this content_id, or remove the <img>. "
            "With as_written=true the mail is sent without it.",
        )
    have = "has" if len(numbers) == 1 else "have"
    return (Note(Weight.LOST, f"The reader does not see {which} of the body, which {have} no attachment."),)


class _Matching:
    """Finds the attachment of each image in turn."""

    def __init__(self, files: list[Attachment]) -> None:
        self._files = files
        self._by_name = {file.name.lower(): place for place, file in reversed(list(enumerate(files)))}
        self._by_id = {file.content_id.lower(): place for place, file in enumerate(files) if file.content_id}
        self._exact = {file.content_id: place for place, file in enumerate(files) if file.content_id}
        self._ids: dict[int, str] = {}  # of the files that the body shows, by place
        self._images = 0
        self.missing: list[int] = []

    def match(self, image: re.Match[str]) -> str:
        """Return the beginning of an image tag with the content id that its attachment has."""
        self._images += 1
        if image[2] is None:
            return image[0]
        wanted = unquote(unescape(image[2])).strip().removeprefix("<").removesuffix(">")
        place = next((places[key] for places, key in self._places(wanted) if key in places), None)
        if place is None:
            self.missing.append(self._images)
            return image[0]
        return f"<img{image[1]}cid:{escape(self._id_of(place))}"

    def _places(self, wanted: str) -> tuple[tuple[dict[str, int], str], ...]:
        return (self._exact, wanted), (self._by_id, wanted.lower()), (self._by_name, wanted.lower())

    def _id_of(self, place: int) -> str:
        file = self._files[place]
        if place not in self._ids:
            is_free = is_content_id(file.name) and file.name.lower() not in self._by_id
            self._ids[place] = file.content_id or (file.name if is_free else f"file-{file.sha256[:24]}-{place}")
        return self._ids[place]

    def shown_files(self) -> list[Attachment]:
        """Return the files that the body shows, as they were given."""
        return [self._files[place] for place in self._ids]

    def attachments(self) -> tuple[Attachment, ...]:
        """Return all files; those that the body shows have a content id, and no others."""
        return tuple(replace(file, content_id=self._ids.get(place)) for place, file in enumerate(self._files))


def _unused_notes(unused: int) -> tuple[Note, ...]:
    if not unused:
        return ()
    which, are = counted(unused, "attachment has", "attachments have"), "it is" if unused == 1 else "they are"
    return (
        Note(Weight.DETAIL, f"{which} a content_id that no picture in the body uses, so {are} attached as a file."),
    )
