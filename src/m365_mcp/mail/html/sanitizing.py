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
from m365_mcp.mail.html import limits
from m365_mcp.mail.html.css import ALLOWED_PROPERTIES
from m365_mcp.mail.html.removals import Removal
from m365_mcp.mail.html.rules import (
    ADDRESS_ATTRIBUTES,
    ALLOWED_ATTRIBUTES,
    ALLOWED_ELEMENTS,
    FORMATTING,
    REMOVED_ELEMENTS,
    UNREPORTED_ELEMENTS,
    URL_SCHEMES,
    VOID,
    AttributeRules,
)
from m365_mcp.mail.html.tokens import End, Start, Text, Token, read_tokens, write_tokens
from m365_mcp.mail.words import words

_ROUNDS = 5
_FIRST_BREAKS = re.compile(r"(<pre(?: [^<>]*)?>)\n+")

# Their end tags may be left out, and a browser closes them by itself; no two of a kind are open in one another.
_CLOSED_BY_THEMSELVES = words("p li dd dt tr td th thead tbody tfoot colgroup caption")


def sanitize_html(html: str) -> tuple[str, Counter[Removal]]:
    """Return `html` as it may be mailed, and how much of each kind was taken out.

    Raises:
        BodyTooComplex: it is more work than `limits` admits.
        InvalidArgument: it has no certain reading.
    """
    limits.check_size(html)
    clean, removed = _Pass().clean(html)
    for _ in range(_ROUNDS):
        again = _Pass().clean(clean)[0]
        if again == clean:
            return clean, removed
        clean = again
    raise InvalidArgument("'body' has HTML that no two programs read alike.", advice="Close every tag, in order.")


class _Pass:
    """One reading of the HTML, with what it counts."""

    def __init__(self) -> None:
        self._attributes = AttributeRules()
        self._removed: Counter[Removal] = Counter()

    def clean(self, html: str) -> tuple[str, Counter[Removal]]:
        """Return the HTML as both readers leave it, and what was taken out."""
        unambiguous = write_tokens(_nested(self._kept(read_tokens(html))))
        limits.check_count(unambiguous.count("&"), limits.MAX_REFERENCES, "'&'")
        # A browser drops the first line break of a <pre> (13.2.6.4.7), and so one more each time; none is missed.
        return _FIRST_BREAKS.sub(r"\1", _make_cleaner(self._attributes).clean(unambiguous)), self._removed

    def _kept(self, tokens: Iterable[Token]) -> Iterator[Token]:
        """Leave out what the rules do not allow, and count it."""
        elements = attributes = addresses = 0
        for token in tokens:
            if isinstance(token, Start):
                elements += 1
                attributes += len(token.attributes)
                addresses += not token.attributes.keys().isdisjoint(ADDRESS_ATTRIBUTES)
                limits.check_count(elements, limits.MAX_ELEMENTS, "HTML tags")
                limits.check_count(attributes, limits.MAX_ATTRIBUTES, "HTML attributes")
                limits.check_count(addresses, limits.MAX_ADDRESSES, "links and pictures")
                yield from self._judge_start(token)
            elif isinstance(token, Text) or (token.name in ALLOWED_ELEMENTS and token.name not in VOID):
                yield token

    def _judge_start(self, tag: Start) -> Iterator[Token]:
        name = _known_name(tag)
        attributes: dict[str, str] = {}
        for attribute, value in tag.attributes.items():
            kept, reported = self._attributes.judge(name, attribute, value)
            # What goes altogether is counted as itself, and so is what would run on it.
            for kind in reported:
                if name in ALLOWED_ELEMENTS or kind is Removal.EVENT_HANDLER:
                    self._removed[kind] += 1
            if kept is not None:
                attributes[attribute] = kept
        if name == "img" and "src" not in attributes:
            # Without its picture an image is its alternative text.
            yield Text(entities.escape(tag.attributes.get("alt", "")))
        elif name in ALLOWED_ELEMENTS:
            yield Start(name, attributes)
        elif name not in UNREPORTED_ELEMENTS:
            self._removed[REMOVED_ELEMENTS.get(name, Removal.OTHER)] += 1


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
        if isinstance(token, Text):
            yield token
            continue
        name = token.name
        if name in VOID or name in _CLOSED_BY_THEMSELVES:
            yield token
        elif isinstance(token, Start):
            stack.append(name)
            formatting += name in FORMATTING
            limits.check_count(len(stack), limits.MAX_DEPTH, "HTML tags open in one another")
            yield token
        elif name in stack:
            closed = ""
            while closed != name:
                closed = stack.pop()
                formatting -= closed in FORMATTING
                yield End(closed)
        # Every tag may close a paragraph, and what formats is then opened anew in the next.
        repeats += formatting
        limits.check_count(repeats, limits.MAX_FORMATTING, "repetitions of formatting tags that are left open")
    yield from map(End, reversed(stack))


def _make_cleaner(attributes: AttributeRules) -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=set(ALLOWED_ELEMENTS),
        clean_content_tags={"script", "style"},
        attributes=ALLOWED_ATTRIBUTES,
        attribute_filter=attributes.kept,
        filter_style_properties=set(ALLOWED_PROPERTIES),
        url_schemes=URL_SCHEMES,
        strip_comments=True,
        link_rel=None,
    )
