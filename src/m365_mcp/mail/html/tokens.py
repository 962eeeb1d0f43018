"""Reads HTML as a sequence of tags and text, as browsers do (WHATWG HTML section 13.2.5), closes open tags, and writes
it in a form with only one possible reading. The time is linear for every text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape, unescape
from html.entities import html5

from m365_mcp.mail.html import limits
from m365_mcp.mail.html.elements import FORMATTING, OPTIONAL_END_TAG, RAW_TEXT_ELEMENTS, VOID_ELEMENTS

_SPACE = r"[\t\n\f\r ]"
_TAG = re.compile(r"<(/?)([a-zA-Z][^\t\n\f\r />]*+)([\t\n\f\r /]*+>)?")
_ATTRIBUTE = re.compile(
    r"[\t\n\f\r /]*+([^\t\n\f\r />][^\t\n\f\r />=]*+)"
    rf"(?:{_SPACE}*+={_SPACE}*+(\"[^\"]*\"|'[^']*'|[^\"'>\t\n\f\r ][^>\t\n\f\r ]*+|(?=>)))?"
)
TAG_END = re.compile(r"[\t\n\f\r /]*+>")
COMMENT_END = re.compile(r"--!?>")
SHORT_COMMENT = re.compile(r"<!---?>")
_ESCAPED = re.compile(r"[&<>\"\xa0]")
_REFERENCE = re.compile(r"&(#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[a-zA-Z][a-zA-Z0-9]*+[;=]?)")


@dataclass(
    slots=True
)  # not frozen: creating a frozen instance takes three times as long, and a body has tens of thousands
class Start:
    """A start tag; names in lower case, values without character references.

    Attributes:
        content: the text up to the end tag, where it is not markup (`RAW_TEXT_ELEMENTS`).
    """

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    content: str = ""


@dataclass(slots=True)
class End:
    """An end tag."""

    name: str


@dataclass(slots=True)
class Text:
    """The text between two tags, with its character references unchanged."""

    raw: str


Token = Start | End | Text


def read_tokens(html: str) -> Iterator[Token]:
    """Return the tags and the text of `html`, without comments and the content of `RAW_TEXT_ELEMENTS`."""
    position = 0
    while position < len(html):
        opening = html.find("<", position)
        if opening < 0:
            yield Text(html[position:])
            return
        if opening > position:
            yield Text(html[position:opening])
        if tag := _TAG.match(html, opening):
            name = tag[2].lower()
            attributes, position = ({}, tag.end()) if tag[3] else _read_attributes(html, tag.end())
            if attributes is None:  # the text ends inside the tag (13.2.5.32, "eof-in-tag")
                return
            if name in RAW_TEXT_ELEMENTS and not tag[1]:
                start, position = position, _end_of_raw(html, name, position)
                yield Start(name, attributes, html[start:position])
            else:
                yield End(name) if tag[1] else Start(name, attributes)
        elif html.startswith(("<!", "<?", "</"), opening):
            position = _end_of_comment(html, opening)
        else:
            yield Text("&lt;")
            position = opening + 1


def _read_attributes(html: str, position: int) -> tuple[dict[str, str] | None, int]:
    attributes: dict[str, str] = {}
    while not (end := TAG_END.match(html, position)):
        found = _ATTRIBUTE.match(html, position)
        if not found:
            return None, len(html)
        value = found[2] or ""
        bare = value[1:-1] if value[:1] in ('"', "'") else value
        attributes.setdefault(found[1].lower(), _decode(bare))  # a repeated attribute is ignored (13.2.5.33)
        position = found.end()
    return attributes, end.end()


def _decode(value: str) -> str:
    return _REFERENCE.sub(_decode_reference, value) if "&" in value else value


def _decode_reference(found: re.Match[str]) -> str:
    # In an attribute, a name without a semicolon is a reference only if no letter, digit or = follows (13.2.5.73). So
    # the address ?a=1&copy=2 has no copyright sign.
    name = found[1]
    return unescape(found[0]) if name.startswith("#") or name in html5 else found[0]


def _end_of_raw(html: str, name: str, position: int) -> int:
    end = re.compile(rf"(?=</{name}[\t\n\f\r />])", re.IGNORECASE).search(html, position)
    return end.start() if end else len(html)


def _end_of_comment(html: str, opening: int) -> int:
    if not html.startswith("<!--", opening):
        end = html.find(">", opening)
        return len(html) if end < 0 else end + 1
    if short := SHORT_COMMENT.match(html, opening):
        return short.end()
    found = COMMENT_END.search(html, opening + 4)
    return found.end() if found else len(html)


def close_tags(tokens: Iterable[Token]) -> Iterator[Token]:
    """Close all tags in order, drop end tags without a start tag, and check depth and formatting.

    Raises:
        BodyTooComplex: the tags are too deep, or formatting tags stay open too often.
    """
    stack: list[str] = []
    formatting = repeats = 0
    for token in tokens:
        if isinstance(token, Text):
            yield token
            continue
        if token.name in VOID_ELEMENTS or token.name in OPTIONAL_END_TAG:
            yield token
        elif isinstance(token, Start):
            stack.append(token.name)
            formatting += token.name in FORMATTING
            limits.check_count(len(stack), limits.MAX_DEPTH, "HTML tags open in one another")
            yield token
        elif token.name in stack:
            closed = ""
            while closed != token.name:
                closed = stack.pop()
                formatting -= closed in FORMATTING
                yield End(closed)
        # Every tag can close a paragraph; the parser then opens the formatting tags again in the next one.
        repeats += formatting
        limits.check_count(repeats, limits.MAX_FORMATTING, "repetitions of formatting tags that are left open")
    yield from map(End, reversed(stack))


def write_tokens(tokens: Iterable[Token]) -> str:
    """Return the HTML of `tokens`, with every attribute value in quotes."""
    return "".join(map(_write, tokens))


def _write(token: Token) -> str:
    if isinstance(token, Text):
        return token.raw
    if isinstance(token, End):
        return f"</{token.name}>"
    if not token.attributes:
        return f"<{token.name}>"
    attributes = [
        f' {name}="{_escape(value) if _ESCAPED.search(value) else value}"' for name, value in token.attributes.items()
    ]
    return f"<{token.name}{''.join(attributes)}>"


def _escape(value: str) -> str:
    return escape(value, quote=False).replace('"', "&quot;").replace("\xa0", "&nbsp;")  # as `nh3` writes it
