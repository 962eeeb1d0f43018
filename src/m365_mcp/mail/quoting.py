"""Quotes the original below a reply or a forward, so that nothing in it can hide or cover the text above.

The text above is complete and closed before the quotation begins. Four things could still reach it:

- a style sheet, a script, a base address or a redirect, which act on the whole page: they are removed;
- an open tag or comment, or a stray end tag: the sanitizer writes balanced HTML;
- a position (`position`, `transform`, …), which lays content over the page: the sanitizer has no such property;
- content that is drawn outside its own box, by a negative margin or by a large font in a low line: the quotation is in
  a box of our own with `overflow`, outside of which nothing is drawn (CSS 2.1 section 11.1.1).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape, unescape

from m365_mcp.errors import BodyTooComplex, InvalidArgument
from m365_mcp.mail.body import Body, ContentType
from m365_mcp.mail.html.elements import BLOCK_ELEMENTS
from m365_mcp.mail.html.links import content_ids
from m365_mcp.mail.html.removals import Removal
from m365_mcp.mail.html.sanitizing import sanitize_html
from m365_mcp.mail.html.tokens import End, Start, Text, Token, read_tokens, write_tokens
from m365_mcp.mail.report import Note, Weight, counted
from m365_mcp.mail.rules import MAX_REQUEST_BYTES

MAX_QUOTED_TEXT = 300_000  # characters of an original that is quoted as text
_BOX = '<div style="clear:both;overflow:auto">'
_WRAPPED = "white-space:pre-wrap;overflow-wrap:break-word"
_ROOM = MAX_REQUEST_BYTES - 10_000  # bytes of the text in the request; the rest is for its other fields
_LINES = BLOCK_ELEMENTS | {"br", "table", "tr"}  # elements that begin a line
_SPACES = re.compile(r"^ | (?= )", re.MULTILINE)
_PICTURES = (Removal.REMOTE_IMAGE, Removal.DATA_IMAGE, Removal.SVG_IMAGE)

_AS_TEXT = Note(Weight.LOOK, "The original is quoted as plain text, because its HTML is more than this server cleans.")
_CUT = Note(Weight.LOST, "The end of the original is left out of the quote, because the original is too long.")


@dataclass(frozen=True)
class Quotation:
    """The original as it is quoted: HTML, or text.

    Attributes:
        content_ids: the content ids that its pictures refer to; the draft has these pictures.
        notes: what the reader of the quote does not see, for the report.
    """

    content_type: ContentType
    content: str
    content_ids: frozenset[str] = frozenset()
    notes: tuple[Note, ...] = ()


def read_quotation(original: str, content_type: str) -> Quotation:
    """Return the quotation of an original, as Graph put it into the draft with its sender, time and subject.

    HTML is sanitised like a body of our own. No original makes a reply impossible: HTML that exceeds the sanitizer's
    limits is quoted as text.
    """
    mailable = original.replace("\x00", "").encode(errors="replace").decode()
    if content_type.casefold() != "html":
        return _quote_text(mailable)
    if len(mailable) > MAX_REQUEST_BYTES:
        return _quote_html_as_text(mailable)
    try:
        # The rules of the original's style sheets would also act on the lines that Graph put above it.
        clean, removed = sanitize_html(mailable, applies_style_sheets=False)
    except (BodyTooComplex, InvalidArgument):
        return _quote_html_as_text(mailable)
    pictures = sum(removed[kind] for kind in _PICTURES)
    notes = (_picture_note(pictures),) if pictures else ()
    wrapped = write_tokens(_wrap_lines(read_tokens(clean))) if "<pre" in clean else clean
    return Quotation("HTML", wrapped, content_ids(clean), notes)


def quote_original(body: Body, quotation: Quotation) -> tuple[ContentType, str, tuple[Note, ...]]:
    """Return content type and content of `body` with the quotation below it, and notes for the report.

    Nothing in the original can hide or cover the text of `body`; the module says why.
    """
    if body.content_type == "Text" and quotation.content_type == "Text":
        return "Text", *_fitting(f"{body.content}\n\n", quotation.content, "", quotation.notes)
    text = body.content if body.content_type == "HTML" else text_as_html(body.content)
    above, below = f"<div>{text}</div><br>{_BOX}", "</div>"
    if quotation.content_type == "HTML":
        if _size(f"{above}{quotation.content}{below}") <= _ROOM:
            return "HTML", f"{above}{quotation.content}{below}", quotation.notes
        quotation = _quote_html_as_text(quotation.content)
    opening, closing = f'{above}<pre style="{_WRAPPED}">', f"</pre>{below}"
    return "HTML", *_fitting(opening, escape(quotation.content), closing, quotation.notes)


def text_as_html(text: str) -> str:
    """Return plain text as HTML that shows the same lines and spaces."""
    lines = escape(text).replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)
    return _SPACES.sub("&nbsp;", lines).replace("\n", "<br>")


def _quote_text(text: str, *notes: Note) -> Quotation:
    cut = (_CUT,) if len(text) > MAX_QUOTED_TEXT else ()
    return Quotation("Text", text[:MAX_QUOTED_TEXT], notes=(*cut, *notes))


def _quote_html_as_text(html: str) -> Quotation:
    cut = (_CUT,) if len(html) > MAX_QUOTED_TEXT else ()
    return _quote_text(visible_text(html[:MAX_QUOTED_TEXT]), *cut, _AS_TEXT)


def visible_text(html: str) -> str:
    """Return the text of any HTML, with a line for each block; its time is linear."""
    pieces = [one.raw if isinstance(one, Text) else _line_break(one) for one in read_tokens(html)]
    lines = (" ".join(line.split()) for line in unescape("".join(pieces)).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _line_break(tag: Start | End) -> str:
    return "\n" if tag.name in _LINES else " " if tag.name in ("td", "th") else ""


def _wrap_lines(tokens: Iterable[Token]) -> Iterator[Token]:
    """Let the lines of a <pre> wrap: Graph quotes a plain text so, and its long lines would run out of the window."""
    for token in tokens:
        if isinstance(token, Start) and token.name == "pre":
            token.attributes["style"] = ";".join(filter(None, (token.attributes.get("style"), _WRAPPED)))
        yield token


def _fitting(above: str, quoted: str, below: str, notes: tuple[Note, ...]) -> tuple[str, tuple[Note, ...]]:
    """Return the whole content, with as much of the quoted text as the request has room for."""
    whole = f"{above}{quoted}{below}"
    too_much = _size(whole) - _ROOM
    if too_much <= 0:
        return whole, notes
    # A character has at least one byte. A cut in the middle of a character reference would show half of it.
    kept = re.sub(r"&[^;]{0,9}$", "", quoted[: max(0, len(quoted) - too_much)])
    return f"{above}{kept}{below}", tuple(dict.fromkeys((*notes, _CUT)))


def _size(content: str) -> int:
    return len(json.dumps(content, ensure_ascii=False).encode())


def _picture_note(count: int) -> Note:
    which = counted(count, "picture of the original is", "pictures of the original are")
    return Note(Weight.LOOK, f"{which} left out of the quote, because only pictures that are attached to it are sent.")
