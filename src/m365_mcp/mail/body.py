"""The text of a mail, in the form it is sent in, and what was done to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from m365_mcp.errors import InvalidArgument, MessageTooLarge
from m365_mcp.mail import markdown
from m365_mcp.mail.html.links import content_ids, misleading_links
from m365_mcp.mail.html.removals import in_words
from m365_mcp.mail.html.sanitizing import sanitize_html
from m365_mcp.mail.rules import MAX_REQUEST_BYTES
from m365_mcp.mail.unicode_checks import cannot_be_mailed

ContentType = Literal["HTML", "Text"]
CONTENT_TYPES = ("HTML", "Text", "Markdown")  # what a caller may write; Graph knows the first two


@dataclass(frozen=True)
class Body:
    """A text that can be sent.

    Attributes:
        content_ids: what its images refer to.
        warnings: what was done to it.
    """

    content_type: ContentType
    content: str
    content_ids: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()


def read_body(text: str, content_type: str) -> Body:
    """Return the body that `text`, written as `content_type` says, becomes.

    Raises:
        InvalidArgument: the type is unknown, or the text cannot be sent.
        BodyTooComplex: the text is more work than one message may be.
        MessageTooLarge: the text alone is more than Graph takes.
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
    clean, removed = sanitize_html(html)
    return Body("HTML", clean, content_ids(clean), in_words(removed) + _about_links(misleading_links(clean)))


def _about_links(misleading: int) -> tuple[str, ...]:
    if not misleading:
        return ()
    which = (
        "1 link shows one web address and leads"
        if misleading == 1
        else f"{misleading} links show one web address and lead"
    )
    return (f"{which} to another; look at the targets before anybody else does.",)
