"""Finds the HTML tags in a text that may be no HTML at all.

A browser takes `<ada@contoso.example>`, `<FirstName>` and `a <b and c> d` for tags and hides them. To tell which format
a body has, a tag must be more than that: the name of an element of HTML in one case, attributes with values, and an end
tag where the element needs one (WHATWG HTML 13.1.2). No tag reaches over a `<`, so the time is linear for every text.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from html.entities import html5
from itertools import islice
from typing import NamedTuple

from m365_mcp.mail.html.elements import (
    CUSTOM_ELEMENT,
    EMPTY_WITHOUT_ATTRIBUTES,
    HTML_ELEMENTS,
    OFTEN_LEFT_OPEN,
    RAW_TEXT_ELEMENTS,
    VOID_ELEMENTS,
)
from m365_mcp.mail.html.mentions import find_mentions
from m365_mcp.mail.text import words

MAX_TAGS = 10_000  # of a text with more `<`, nothing is examined: no letter has as many

DOCUMENT = words("!doctype html head body")
BLOCKS = DOCUMENT | words(
    "address article aside blockquote caption center col colgroup dd details dir div dl dt fieldset figcaption figure "
    "footer form frameset h1 h2 h3 h4 h5 h6 header hgroup hr legend li link listing main marquee menu meta nav "
    "noframes ol p plaintext pre script search section style summary table tbody td template tfoot th thead title tr "
    "ul xmp"
)
VOID = VOID_ELEMENTS
PREFORMATTED = words("listing plaintext pre xmp")

_NAME = r"[A-Za-z_:@*][-\w:.]*+"
_VALUE = r"(?:\"[^\"<]*+\"|'[^'<]*+'|[^\s\"'<>`]++)"
_BOOLEAN = r"(?:checked|compact|disabled|hidden|multiple|nohref|noshade|nowrap|readonly|required|reversed|selected)"
_ATTRIBUTES = rf"(?:[\s/]++(?:{_NAME}\s*+=\s*+{_VALUE}|{_BOOLEAN}(?=[\s/>])))"
_ELEMENT = r"[a-zA-Z][a-z0-9]*+(?:-[-a-z0-9]*+)?|[A-Z][A-Z0-9]*+"
_TAG = re.compile(rf"<(?:(/?)({_ELEMENT})({_ATTRIBUTES}*+)[\s/]*+>|(!--)|(![dD][oO][cC][^<>]*+>))")
_MAX_ENTITIES = 1_000  # are looked at
_MAX_AMPERSANDS = 100_000  # a body with more of them is refused as HTML
_ENTITY = re.compile(r"&(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_END = re.compile(r"</([A-Za-z][-A-Za-z0-9]*+)\s*+>")


class Tag(NamedTuple):
    """A tag, a whole comment (`!--`), a document type, or a whole element whose content is no markup.

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
    """Return the HTML tags of `text` in order."""
    if "<" not in text or text.count("<") > MAX_TAGS:
        return []
    ended = {name.lower() for name in _END.findall(text)}
    return list(_read_tags(text, ended))


def _read_tags(text: str, ended: set[str]) -> Iterator[Tag]:
    position, started = 0, set[str]()
    mentions = deque(sorted(find_mentions(text).items()))
    while found := _TAG.search(text, position):
        position = found.end()
        while mentions and mentions[0][1] <= found.start():
            mentions.popleft()
        if mentions and mentions[0][0] <= found.start():
            position = mentions[0][1]
            continue
        if found[4]:
            end = text.find("-->", position)
            if end < 0:  # neither this comment nor a later one ends
                position = found.start()
                text = text[:position] + text[position:].replace("<!--", "    ")
                continue
            position = end + 3
            yield Tag("!--", False, False, found.start(), position)
            continue
        tag = Tag(found[2].lower() if found[2] else "!doctype", bool(found[1]), bool(found[3]), found.start(), position)
        if tag.is_end:
            if tag.name in started or tag.name == "br":  # a browser takes </br> for <br> (13.2.6.4.7)
                yield tag
        elif _is_start(tag, ended) and (tag.name in ended or not _is_word(text, tag)):
            if tag.name in RAW_TEXT_ELEMENTS:
                position = _end_of_element(text, tag)
                tag = tag._replace(end=position)
            started.add(tag.name)
            yield tag


def _is_start(tag: Tag, ended: set[str]) -> bool:
    if tag.name not in HTML_ELEMENTS and not CUSTOM_ELEMENT.fullmatch(tag.name):
        return False
    if tag.name in VOID:
        return tag.has_attributes or tag.name not in EMPTY_WITHOUT_ATTRIBUTES
    return tag.name in OFTEN_LEFT_OPEN or tag.name in ended


def _is_word(text: str, tag: Tag) -> bool:
    """Return whether the name is a placeholder as in `Dear <Title>`, or a type in a program as in `List<S>`."""
    letters = text[tag.start - 1 : tag.start + 3] if tag.start else " " + text[:3]
    is_type = len(tag.name) == 1 and letters[0].isalnum() and letters[2].isupper()
    return is_type or (letters[2].isupper() and letters[3].islower() and tag.name not in VOID)


def _end_of_element(text: str, tag: Tag) -> int:
    end = re.compile(rf"</{tag.name}\s*+>", re.IGNORECASE).search(text, tag.end)
    return end.end() if end else len(text)


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
    if not any(tag.name in BLOCKS and tag.name not in VOID for tag in tags):
        return False
    position, depth = 0, 0
    for tag in tags:
        if not depth and text[position : tag.start].strip():
            return False
        if tag.name in BLOCKS and tag.name not in VOID and tag.name not in RAW_TEXT_ELEMENTS:
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
