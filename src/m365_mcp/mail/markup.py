"""Finds the HTML tags of a text that may be no HTML, and tells what they say about its format.

`html.angle_brackets` decides what is a tag, so the format of a body and the sanitizer never disagree about one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.entities import html5
from itertools import islice
from typing import NamedTuple

from m365_mcp.errors import BodyTooComplex
from m365_mcp.mail.html.angle_brackets import find_markup
from m365_mcp.mail.html.elements import BLOCK_ELEMENTS, RAW_TEXT_ELEMENTS, TABLE_ELEMENTS, VOID_ELEMENTS
from m365_mcp.mail.text import words

MAX_TAGS = 10_000  # of a text with more `<`, nothing is examined: no letter has as many

DOCUMENT = words("!doctype html head body")
_OTHER_BLOCKS = words(
    "details dir fieldset form frameset hgroup legend link listing marquee menu meta noframes plaintext script search "
    "style summary template title xmp"
)
BLOCKS = DOCUMENT | BLOCK_ELEMENTS | TABLE_ELEMENTS | _OTHER_BLOCKS
PREFORMATTED = words("listing plaintext pre xmp")

_BEGINNING = re.compile(r"<(/?)\s*+(!--|!doctype|[a-z][^\s/>]*+)", re.IGNORECASE)
_MAX_ENTITIES = 1_000  # are looked at
_MAX_AMPERSANDS = 100_000  # a body with more of them is refused as HTML
_ENTITY = re.compile(r"&(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")


class Tag(NamedTuple):
    """A tag, a whole comment (`!--`), or a document type; a start tag includes content that is no markup.

    Attributes:
        name: in lower case.
        start, end: where it stands in the text.
    """

    name: str
    is_end: bool
    has_attributes: bool
    start: int
    end: int


def find_tags(text: str) -> list[Tag]:
    """Return the HTML tags of `text` in order; none if there are more than any letter has."""
    if "<" not in text or text.count("<") > MAX_TAGS:
        return []
    try:
        return list(_read_tags(text))
    except BodyTooComplex:
        return []


def _read_tags(text: str) -> Iterator[Tag]:
    started: set[str] = set()
    for start, end in find_markup(text):
        found = _BEGINNING.match(text, start)
        if not found:  # a conditional comment, or a processing instruction
            continue
        name, is_end = found[2].lower(), bool(found[1])
        if name == "plaintext" and not is_end:
            yield Tag(name, False, False, start, len(text))
            return
        if not is_end or name in started or name == "br":  # a browser takes </br> for <br> (13.2.6.4.7)
            started.add(name)
            yield Tag(name, is_end, bool(text[found.end() : end].strip("\t\n\f\r />")), start, end)


def has_entities(text: str) -> bool:
    """Return whether `text` has a character reference of HTML, with its semicolon."""
    if text.count("&") > _MAX_AMPERSANDS:
        return False
    return any(found[1][0] == "#" or f"{found[1]};" in html5 for found in islice(_ENTITY.finditer(text), _MAX_ENTITIES))


def is_document(tags: list[Tag]) -> bool:
    """Return whether the text is a whole document."""
    return any(tag.name in DOCUMENT for tag in tags)


def has_blocks(tags: list[Tag]) -> bool:
    """Return whether HTML sets the lines of the text: there is an element that begins a line, or a line break."""
    return any(tag.name in BLOCKS or tag.name == "br" for tag in tags)


def is_only_blocks(text: str, tags: list[Tag]) -> bool:
    """Return whether nothing but white space stands outside the block elements of `text`."""
    if not any(tag.name in BLOCKS and tag.name not in VOID_ELEMENTS for tag in tags):
        return False
    position, depth = 0, 0
    for tag in tags:
        if not depth and text[position : tag.start].strip():
            return False
        if tag.name in BLOCKS and tag.name not in VOID_ELEMENTS and tag.name not in RAW_TEXT_ELEMENTS:
            depth = max(depth - 1, 0) if tag.is_end else depth + 1
        elif not depth and tag.name not in BLOCKS | {"br", "!--"}:
            return False
        position = tag.end
    return bool(depth) or not text[position:].strip()


def visible_source(text: str, tags: list[Tag]) -> str:
    """Return the text between the tags, without code; a line of its own stands for each tag that begins a line."""
    parts, position, code = [], 0, 0
    for tag in tags:
        if not code:
            parts.append(text[position : tag.start])
        if tag.name in ("pre", "code"):
            code = max(code - 1, 0) if tag.is_end else code + 1
        if tag.name in BLOCKS or tag.name == "br":
            parts.append("\n\u2028\n")
        position = tag.end
    return "".join((*parts, text[position:]))
