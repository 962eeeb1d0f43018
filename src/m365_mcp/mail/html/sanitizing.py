"""HTML as it may be mailed: what runs, loads or hides is taken out and counted; the rest is kept.

Two readers, one behind the other. The first reads tokens, counts what the rules take out, closes what is left open,
and writes HTML that can be read in one way only; so the second, `nh3`, meets nothing that could cost it much time or
memory. The second builds the tree as a browser does and lets through only what is on its lists. What comes out is put
in again until nothing changes.
"""

from __future__ import annotations

import html as entities
import re
from collections import Counter
from collections.abc import Iterable, Iterator

import nh3

from m365_mcp.errors import InvalidArgument
from m365_mcp.mail.html.css import ALLOWED_PROPERTIES
from m365_mcp.mail.html.removals import Removal
from m365_mcp.mail.html.rules import (
    ALLOWED_ATTRIBUTES,
    ALLOWED_ELEMENTS,
    FORMATTING,
    REMOVED_ELEMENTS,
    UNREPORTED_ELEMENTS,
    URL_SCHEMES,
    VOID,
    judge_attribute,
)
from m365_mcp.mail.html.tokens import End, Start, Text, Token, read_tokens, write_tokens
from m365_mcp.mail.words import words

MAX_ELEMENTS = 100_000
MAX_DEPTH = 200
MAX_REFERENCES = 100_000  # nh3 0.3 takes time in proportion to the square of the & in one piece of text
# A browser repeats open formatting in every paragraph it closes (WHATWG HTML 13.2.4.3), so a small text can become a
# very large one; this bounds how often.
MAX_FORMATTING = 1_000_000
_ROUNDS = 5
_FIRST_BREAKS = re.compile(r"(<pre(?: [^<>]*)?>)\n+")

# Their end tags may be left out, and a browser closes them by itself; no two of a kind are open in one another.
_CLOSED_BY_THEMSELVES = words("p li dd dt tr td th thead tbody tfoot colgroup caption")


def sanitize_html(html: str) -> tuple[str, Counter[Removal]]:
    """Return `html` as it may be mailed, and how much of each kind was taken out.

    Raises:
        InvalidArgument: it has too many tags, or they are nested too deeply.
    """
    removed: Counter[Removal] = Counter()
    clean = _clean_once(html, removed)
    for _ in range(_ROUNDS):
        again = _clean_once(clean, Counter())
        if again == clean:
            return clean, removed
        clean = again
    raise InvalidArgument("'body' has HTML that no two programs read alike.", advice="Close every tag, in order.")


def _clean_once(html: str, removed: Counter[Removal]) -> str:
    unambiguous = write_tokens(_nested(_kept(read_tokens(html), removed)))
    if unambiguous.count("&") > MAX_REFERENCES:
        raise InvalidArgument(f"'body' has more than {MAX_REFERENCES:,} '&'.", advice="Attach it as a file.")
    # A browser drops the first line break of a <pre> (13.2.6.4.7), and so one more each time; none of them is missed.
    return _FIRST_BREAKS.sub(r"\1", _NH3.clean(unambiguous))


def _kept(tokens: Iterable[Token], removed: Counter[Removal]) -> Iterator[Token]:
    """Leave out what the rules do not allow, and count it."""
    elements = 0
    for number, token in enumerate(tokens):
        elements += isinstance(token, Start)
        # An element has a start, an end, and text before each; what is more is a row of ends, or of single "<".
        if elements > MAX_ELEMENTS or number > 4 * MAX_ELEMENTS:
            raise InvalidArgument(f"'body' has more than {MAX_ELEMENTS:,} HTML tags.", advice="Attach it as a file.")
        if isinstance(token, Start):
            yield from _judge_start(token, removed)
        elif isinstance(token, Text) or (token.name in ALLOWED_ELEMENTS and token.name not in VOID):
            yield token


def _judge_start(tag: Start, removed: Counter[Removal]) -> Iterator[Token]:
    name = _known_name(tag)
    attributes: dict[str, str] = {}
    for attribute, value in tag.attributes.items():
        kept, reported = judge_attribute(name, attribute, value)
        # What goes altogether is counted as itself, and so is what would run on it.
        removed.update(kind for kind in reported if name in ALLOWED_ELEMENTS or kind is Removal.EVENT_HANDLER)
        if kept is not None:
            attributes[attribute] = kept
    if name == "img" and "src" not in attributes:
        # Without its picture an image is its alternative text.
        yield Text(entities.escape(tag.attributes.get("alt", "")))
    elif name in ALLOWED_ELEMENTS:
        yield Start(name, attributes)
    elif name not in UNREPORTED_ELEMENTS:
        removed[REMOVED_ELEMENTS.get(name, Removal.OTHER)] += 1


def _known_name(tag: Start) -> str:
    if tag.name == "image":
        return "img"  # "Don't ask." (WHATWG HTML 13.2.6.4.7)
    # A whole page often has its font and colours on <body>, and a mail's body is not that of the page around it.
    return "div" if tag.name == "body" and tag.attributes else tag.name


def _nested(tokens: Iterable[Token]) -> Iterator[Token]:
    """Close in order what was opened, drop ends of what was not, and refuse what is out of all proportion."""
    stack: list[str] = []
    formatting = repeats = 0
    for token in tokens:
        if isinstance(token, Text) or token.name in VOID or token.name in _CLOSED_BY_THEMSELVES:
            repeats += formatting
            yield token
        elif isinstance(token, Start):
            stack.append(token.name)
            formatting += token.name in FORMATTING
            repeats += formatting
            yield token
        elif token.name in stack:
            closed = ""
            while closed != token.name:
                closed = stack.pop()
                formatting -= closed in FORMATTING
                yield End(closed)
        if len(stack) > MAX_DEPTH or repeats > MAX_FORMATTING:
            raise InvalidArgument("'body' has HTML tags nested too deeply.", advice="Close the tags that are open.")
    yield from map(End, reversed(stack))


def _judge_again(element: str, attribute: str, value: str) -> str | None:
    return judge_attribute(element, attribute, value)[0]


_NH3 = nh3.Cleaner(
    tags=set(ALLOWED_ELEMENTS),
    clean_content_tags={"script", "style"},
    attributes=ALLOWED_ATTRIBUTES,
    attribute_filter=_judge_again,
    filter_style_properties=set(ALLOWED_PROPERTIES),
    url_schemes=URL_SCHEMES,
    strip_comments=True,
    link_rel=None,
)
