"""Turns the text of a call into the body of a message, with warnings about the changes."""

from __future__ import annotations

from dataclasses import dataclass
from html import unescape
from typing import Literal

from m365_mcp.errors import InvalidArgument, MessageTooLarge
from m365_mcp.mail import markdown
from m365_mcp.mail.attachments import Attachment
from m365_mcp.mail.body_form import BodyForm, read_form
from m365_mcp.mail.html.data_pictures import DataPictures
from m365_mcp.mail.html.links import content_ids, link_notes
from m365_mcp.mail.html.removals import LookReport, removal_notes
from m365_mcp.mail.html.sanitizing import sanitize_html
from m365_mcp.mail.html.tokens import Start, Text, read_tokens
from m365_mcp.mail.plain_text import render_plain_text
from m365_mcp.mail.report import Note, Weight
from m365_mcp.mail.rules import MAX_REQUEST_BYTES
from m365_mcp.mail.text import cannot_be_mailed, shows_nothing

ContentType = Literal["HTML", "Text"]
CONTENT_TYPES: tuple[Literal["HTML", "Text", "Markdown"], ...] = (
    "HTML",
    "Text",
    "Markdown",
)  # the caller's choices; Graph knows the first two
_NOT_RENDERED = (
    Note(
        Weight.FORM,
        "The body has Markdown marks but is too much work as Markdown, so it was sent as text with its marks.",
    ),
)


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
    return _compose(read_form(text, kind, as_written=as_written), is_guess=kind != "Markdown")


def _compose(form: BodyForm, *, is_guess: bool) -> Body:
    if form.format == "Text":
        return Body("Text", form.text, notes=form.notes)
    if form.format == "Markdown":
        try:
            return _read_html(markdown.render_markdown(form.text), form.notes)
        except InvalidArgument:  # too much work as Markdown, which nobody said it to be
            if not is_guess:
                raise
        form = BodyForm("Plain", form.text, _NOT_RENDERED)
    return _read_html(render_plain_text(form.text) if form.format == "Plain" else form.text, form.notes)


def is_blank_body(body: Body) -> bool:
    """Return whether a reader sees nothing of `body`: no text, no picture and no line."""
    if body.content_type == "Text":
        return shows_nothing(body.content)
    return not any(
        token.name in ("img", "hr") if isinstance(token, Start) else isinstance(token, Text) and _is_seen(token)
        for token in read_tokens(body.content)
    )


def _is_seen(text: Text) -> bool:
    return not shows_nothing(unescape(text.raw))


def _choose_content_type(value: str) -> Literal["HTML", "Text", "Markdown"]:
    for known in CONTENT_TYPES:
        if value.strip().lower() == known.lower():
            return known
    raise InvalidArgument(
        "'content_type' is none of HTML, Text and Markdown.", advice='Use "HTML", "Text" or "Markdown".'
    )


def _read_html(html: str, notes: tuple[Note, ...]) -> Body:
    pictures, look = DataPictures(), LookReport()
    clean, removed = sanitize_html(html, pictures, look)
    shown = content_ids(clean)
    return Body(
        "HTML",
        clean,
        content_ids=shown,
        pictures=tuple(picture for picture in pictures.attachments if picture.content_id in shown),
        notes=notes + removal_notes(removed) + look.notes() + link_notes(clean),
    )
