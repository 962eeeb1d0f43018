"""Filters tokens by the rules, and gives what they let through to `nh3`."""

from __future__ import annotations

import html as entities
import re
from collections.abc import Iterable, Iterator

import nh3

from m365_mcp.mail.html import limits
from m365_mcp.mail.html.colors import read_color
from m365_mcp.mail.html.elements import VOID_ELEMENTS
from m365_mcp.mail.html.properties import ALLOWED_PROPERTIES
from m365_mcp.mail.html.removals import Removal, Removals
from m365_mcp.mail.html.rules import (
    ADDRESS_ATTRIBUTES,
    ALLOWED_ATTRIBUTES,
    ALLOWED_ELEMENTS,
    URL_SCHEMES,
    AttributeRules,
    removal_of,
)
from m365_mcp.mail.html.separators import Separator
from m365_mcp.mail.html.tokens import End, Start, Text, Token, close_tags, write_tokens

_LEADING_LINE_BREAKS = re.compile(r"(<pre(?: [^<>]*)?>)\n+")


class TokenFilter:
    """A filter of tokens; equal attributes are sanitised once, also those that the filter `before` has sanitised."""

    def __init__(self, removed: Removals, before: TokenFilter | None = None) -> None:
        self.attributes: AttributeRules = AttributeRules(before.attributes if before else None)
        self.removed = removed
        self._link_color = ""

    def clean(self, tokens: Iterable[Token]) -> str:
        """Return the result of both parsers."""
        unambiguous = write_tokens(close_tags(self.allowed_tokens(tokens)))
        limits.check_count(unambiguous.count("&"), limits.MAX_REFERENCES, "'&'")
        # A parser drops the first line break of a <pre> (13.2.6.4.7), each time one. So all leading ones are removed.
        return _LEADING_LINE_BREAKS.sub(r"\1", _make_cleaner(self.attributes).clean(unambiguous))

    def allowed_tokens(self, tokens: Iterable[Token]) -> Iterable[Token]:
        """Return the tokens that the rules allow, without separators."""
        return without_separators(self.allowed_pieces(tokens))

    def allowed_pieces(self, pieces: Iterable[Token | Separator]) -> Iterator[Token | Separator]:
        """Yield the tokens that the rules allow, and count the others."""
        elements = attributes = addresses = 0
        for piece in pieces:
            if isinstance(piece, Start):
                elements += 1
                attributes += len(piece.attributes)
                addresses += not piece.attributes.keys().isdisjoint(ADDRESS_ATTRIBUTES)
                limits.check_count(elements, limits.MAX_ELEMENTS, "HTML tags")
                limits.check_count(attributes, limits.MAX_ATTRIBUTES, "HTML attributes")
                limits.check_count(addresses, limits.MAX_ADDRESSES, "links and pictures")
                yield from self.sanitize_start(piece)
            elif isinstance(piece, End):
                yield from self.sanitize_end(piece)
            else:
                yield piece

    def sanitize_start(self, tag: Start) -> Iterator[Token | Separator]:
        """Yield what the rules let through of a start tag."""
        name = element_of(tag)
        self._apply_page_colors(tag)
        attributes = self.sanitize_attributes(name, tag)
        if name == "img" and "src" not in attributes:
            yield from self.alternative_text(tag)
        elif name in ALLOWED_ELEMENTS:
            yield Start(name, attributes)
        elif kind := removal_of(name):
            if kind is Removal.OTHER:
                self.removed.add(kind, f"<{name}>")
            else:
                self.removed[kind] += 1

    def sanitize_end(self, tag: End) -> Iterator[Token]:
        """Yield what the rules let through of an end tag."""
        if tag.name in ALLOWED_ELEMENTS and tag.name not in VOID_ELEMENTS:
            yield tag

    def alternative_text(self, tag: Start) -> Iterator[Token | Separator]:
        """Yield the text that replaces an image without an address."""
        yield from (Separator.BLANK, Text(entities.escape(tag.attributes.get("alt", ""))), Separator.BLANK)

    def sanitize_attributes(self, name: str, tag: Start) -> dict[str, str]:
        """Return the attributes that the rules allow for an element named `name`, and count the others."""
        attributes: dict[str, str] = {}
        for attribute, value in tag.attributes.items():
            allowed, reported = self.attributes.sanitize(name, attribute, value)
            # A removed element counts once, without its attributes; event handlers count in any case.
            for kind in reported:
                if name in ALLOWED_ELEMENTS or kind is Removal.EVENT_HANDLER:
                    self.removed[kind] += 1
            if allowed is not None:
                attributes[attribute] = allowed
        return attributes

    def _apply_page_colors(self, tag: Start) -> None:
        """Turn the colours that `text` and `link` of <body> give (WHATWG HTML 15.3.1) into styles."""
        color = ""
        if tag.name == "body":
            color, self._link_color = tag.attributes.get("text", ""), tag.attributes.get("link", "")
        elif tag.name == "a" and self._link_color and "href" in tag.attributes:
            color = self._link_color
        if color and (known := read_color(color)):
            tag.attributes["style"] = f"color:{known.as_hex()};{tag.attributes.get('style', '')}"


def without_separators(pieces: Iterable[Token | Separator]) -> Iterator[Token]:
    """Return the tokens among `pieces`."""
    return (piece for piece in pieces if not isinstance(piece, Separator))


def element_of(tag: Start) -> str:
    """Return the name of the element that stands for a tag in the mail."""
    if tag.name == "image":
        return "img"  # "Don't ask." (WHATWG HTML 13.2.6.4.7)
    # A whole page often has its font and colours on <body>, which is removed; a <div> keeps them.
    return "div" if tag.name == "body" and tag.attributes else tag.name


def _make_cleaner(attributes: AttributeRules) -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=set(ALLOWED_ELEMENTS),
        attributes=ALLOWED_ATTRIBUTES,
        attribute_filter=attributes.sanitize_again,
        filter_style_properties=set(ALLOWED_PROPERTIES),
        url_schemes=URL_SCHEMES,
        strip_comments=True,
        link_rel=None,
    )
