"""Turns the text of a call into the body of a message, with warnings about the changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from m365_mcp.errors import InvalidArgument, MessageTooLarge
from m365_mcp.mail import markdown
from m365_mcp.mail.attachments import Attachment
from m365_mcp.mail.html.data_pictures import DataPictures
from m365_mcp.mail.html.link_notes import link_notes
from m365_mcp.mail.html.links import content_ids
from m365_mcp.mail.html.look_report import LookReport
from m365_mcp.mail.html.removals import removal_notes
from m365_mcp.mail.html.sanitizing import sanitize_html
from m365_mcp.mail.report import Note
from m365_mcp.mail.rules import MAX_REQUEST_BYTES
from m365_mcp.mail.text import cannot_be_mailed

ContentType = Literal["HTML", "Text"]
CONTENT_TYPES = ("HTML", "Text", "Markdown")  # the caller's choices; Graph knows the first two


@dataclass(frozen=True)
class Body:
    """The body of a message.

    Attributes:
        content_ids: the content ids that its images refer to.
        pictures: the pictures that stood inside the HTML; the content refers to them by their content ids.
        notes: what composing changed, for the report.
    """

    content_type: ContentType
    content: str
    content_ids: frozenset[str] = frozenset()
    pictures: tuple[Attachment, ...] = ()
    notes: tuple[Note, ...] = ()


def read_body(text: str, content_type: str, *, as_written: bool = False) -> Body:
    """Return the body for `text`, which is in the format `content_type` (HTML, Text or Markdown, in any case).

    Args:
        as_written: whether `text` is meant in exactly this format; then nothing of its form is mended or refused.

    Raises:
        BodyFormMismatch: the text is in another format; not with `as_written`.
        InvalidArgument: the type is unknown, or the text has a character that no mail can carry.
        BodyTooComplex: the text exceeds a limit on work.
        MessageTooLarge: the text alone is larger than Graph accepts.
    """
    kind = _choose_content_type(content_type)
    limit = markdown.MAX_CHARACTERS if kind == "Markdown" else MAX_REQUEST_BYTES
    if len(text) > limit:
        raise MessageTooLarge(f"'body' is {len(text):,} characters; {limit:,} is the most for {kind}.")
    if cannot_be_mailed(text):
        raise InvalidArgument(
            "'body' contains a character that no mail can carry (NUL or half of a surrogate pair).",
            advice="Remove the character.",
        )
    if kind == "Text":
        return Body("Text", text)
    return _read_html(markdown.render_markdown(text) if kind == "Markdown" else text)


def _choose_content_type(value: str) -> str:
    for known in CONTENT_TYPES:
        if value.strip().lower() == known.lower():
            return known
    raise InvalidArgument(
        "'content_type' is none of HTML, Text and Markdown.", advice='Use "HTML", "Text" or "Markdown".'
    )


def _read_html(html: str) -> Body:
    pictures, look = DataPictures(), LookReport()
    clean, removed = sanitize_html(html, pictures, look)
    shown = content_ids(clean)
    return Body(
        "HTML",
        clean,
        content_ids=shown,
        pictures=tuple(picture for picture in pictures.attachments if picture.content_id in shown),
        notes=removal_notes(removed) + look.notes() + link_notes(clean),
    )
