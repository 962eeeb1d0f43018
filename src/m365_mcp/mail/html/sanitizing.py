"""Sanitises HTML: it removes and counts everything that runs code, loads content or hides text.

Two parsers work one after the other. The first reads tokens, removes and counts what the rules do not allow, closes
open tags, and writes HTML with only one possible reading. So the second, `nh3`, never gets input that costs it much
time or memory. `nh3` builds the tree as a browser does and lets only allowed HTML through. The sanitizer repeats both
until the result does not change.
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
from m365_mcp.mail.text import words

_MAX_REPEATS = 5
_LEADING_LINE_BREAKS = re.compile(r"(<pre(?: [^<>]*)?>)\n+")

# Elements with an optional end tag: a browser closes them itself and never nests two of a kind.
_OPTIONAL_END_TAG = words("p li dd dt tr td th thead tbody tfoot colgroup caption")


def sanitize_html(html: str) -> tuple[str, Counter[Removal]]:
    """Return the sanitised `html`, and how many removals there were of each kind.

    Raises:
        BodyTooComplex: the HTML exceeds a limit of `limits`.
        InvalidArgument: the HTML still changes after the last repeat, so it is ambiguous.
    """
    limits.check_size(html)
    clean, removed = _Pass().clean(html)
    for _ in range(_MAX_REPEATS):
        again = _Pass().clean(clean)[0]
        if again == clean:
            return clean, removed
        clean = again
    raise InvalidArgument("'body' has HTML that programs read in different ways.", advice="Close every tag, in order.")


class _Pass:
    """One pass of both parsers over the HTML, with its counts."""

    def __init__(self) -> None:
        self._attributes = AttributeRules()
        self._removed: Counter[Removal] = Counter()

    def clean(self, html: str) -> tuple[str, Counter[Removal]]:
        """Return the result of both parsers, and the counted removals."""
        unambiguous = write_tokens(_close_tags(self._allowed_tokens(read_tokens(html))))
        limits.check_count(unambiguous.count("&"), limits.MAX_REFERENCES, "'&'")
        # A parser drops the first line break of a <pre> (13.2.6.4.7), one a pass. So all leading ones are removed.
        return _LEADING_LINE_BREAKS.sub(r"\1", _make_cleaner(self._attributes).clean(unambiguous)), self._removed

    def _allowed_tokens(self, tokens: Iterable[Token]) -> Iterator[Token]:
        """Yield the tokens that the rules allow, and count the others."""
        elements = attributes = addresses = 0
        for token in tokens:
            if isinstance(token, Start):
                elements += 1
                attributes += len(token.attributes)
                addresses += not token.attributes.keys().isdisjoint(ADDRESS_ATTRIBUTES)
                limits.check_count(elements, limits.MAX_ELEMENTS, "HTML tags")
                limits.check_count(attributes, limits.MAX_ATTRIBUTES, "HTML attributes")
                limits.check_count(addresses, limits.MAX_ADDRESSES, "links and pictures")
                yield from self._sanitize_start(token)
            elif isinstance(token, Text) or (token.name in ALLOWED_ELEMENTS and token.name not in VOID):
                yield token

    def _sanitize_start(self, tag: Start) -> Iterator[Token]:
        name = _element_of(tag)
        attributes: dict[str, str] = {}
        for attribute, value in tag.attributes.items():
            allowed, reported = self._attributes.sanitize(name, attribute, value)
            # A removed element counts once, without its attributes; event handlers count in any case.
            for kind in reported:
                if name in ALLOWED_ELEMENTS or kind is Removal.EVENT_HANDLER:
                    self._removed[kind] += 1
            if allowed is not None:
                attributes[attribute] = allowed
        if name == "img" and "src" not in attributes:
            # The alternative text replaces an image without an address.
            yield Text(entities.escape(tag.attributes.get("alt", "")))
        elif name in ALLOWED_ELEMENTS:
            yield Start(name, attributes)
        elif name not in UNREPORTED_ELEMENTS:
            self._removed[REMOVED_ELEMENTS.get(name, Removal.OTHER)] += 1


def _element_of(tag: Start) -> str:
    if tag.name == "image":
        return "img"  # "Don't ask." (WHATWG HTML 13.2.6.4.7)
    # A whole page often has its font and colours on <body>, which is removed; a <div> keeps them.
    return "div" if tag.name == "body" and tag.attributes else tag.name


def _close_tags(tokens: Iterable[Token]) -> Iterator[Token]:
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
        name = token.name
        if name in VOID or name in _OPTIONAL_END_TAG:
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
        # Every tag can close a paragraph; the parser then opens the formatting tags again in the next one.
        repeats += formatting
        limits.check_count(repeats, limits.MAX_FORMATTING, "repetitions of formatting tags that are left open")
    yield from map(End, reversed(stack))


def _make_cleaner(attributes: AttributeRules) -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=set(ALLOWED_ELEMENTS),
        clean_content_tags={"script", "style"},
        attributes=ALLOWED_ATTRIBUTES,
        attribute_filter=attributes.sanitize_again,
        filter_style_properties=set(ALLOWED_PROPERTIES),
        url_schemes=URL_SCHEMES,
        strip_comments=True,
        link_rel=None,
    )
