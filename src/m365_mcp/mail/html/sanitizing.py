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
from collections.abc import Iterable, Iterator, Mapping

import nh3

from m365_mcp.errors import InvalidArgument
from m365_mcp.mail.html import limits
from m365_mcp.mail.html.closing import close_tags
from m365_mcp.mail.html.colors import read_color
from m365_mcp.mail.html.hiding import DISGUISED, NOT_DISPLAYED
from m365_mcp.mail.html.inlining import has_style_sheets, inline_style_sheets
from m365_mcp.mail.html.look import adjust_look
from m365_mcp.mail.html.look_report import LookReport
from m365_mcp.mail.html.properties import ALLOWED_PROPERTIES
from m365_mcp.mail.html.removals import Removal
from m365_mcp.mail.html.rules import (
    ADDRESS_ATTRIBUTES,
    ALLOWED_ATTRIBUTES,
    ALLOWED_ELEMENTS,
    MARKER,
    REMOVED_ELEMENTS,
    UNREPORTED_ELEMENTS,
    URL_SCHEMES,
    VOID,
    AttributeRules,
)
from m365_mcp.mail.html.style_sheets import StyleSheets
from m365_mcp.mail.html.tokens import End, Start, Text, Token, read_tokens, write_tokens
from m365_mcp.mail.text import words

_MAX_REPEATS = 5
_VOID_ELEMENTS = words("area base basefont bgsound embed frame input keygen link meta param source track")
_LEADING_LINE_BREAKS = re.compile(r"(<pre(?: [^<>]*)?>)\n+")


def sanitize_html(html: str, look: LookReport | None = None) -> tuple[str, Counter[Removal]]:
    """Return the sanitised `html`, and how many removals there were of each kind.

    Args:
        look: collects what changes of the look.

    Raises:
        BodyTooComplex: the HTML exceeds a limit of `limits`.
        InvalidArgument: the HTML still changes after the last repeat, so it is ambiguous.
    """
    limits.check_size(html)
    look = LookReport() if look is None else look
    sheets = StyleSheets()
    if has_style_sheets(html):
        html, sheets = inline_style_sheets(html)
        look.generated = sheets.generated
    clean, removed = _Pass(look).clean(read_tokens(html))
    if sheets.imports:
        removed[Removal.STYLE_SHEET] += sheets.imports
    tokens = adjust_look(read_tokens(clean), look)
    for _ in range(_MAX_REPEATS):
        again, _ = _Pass().clean(tokens)
        if again == clean:
            return clean, removed
        clean, tokens = again, read_tokens(again)
    raise InvalidArgument("'body' has HTML that programs read in different ways.", advice="Close every tag, in order.")


class _Pass:
    """One pass of both parsers over the HTML, with its counts."""

    def __init__(self, look: LookReport | None = None) -> None:
        self._look = look
        self._attributes = AttributeRules()
        self._removed: Counter[Removal] = Counter()
        self._link_color = ""
        self._carriers: dict[str, list[bool]] = {}  # by name of a removed element: whether a <span> stands for it

    def clean(self, tokens: Iterable[Token]) -> tuple[str, Counter[Removal]]:
        """Return the result of both parsers, and the counted removals."""
        unambiguous = write_tokens(close_tags(self._allowed_tokens(tokens)))
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
            elif self._carriers.get(token.name) and self._carriers[token.name].pop():
                yield End("span")

    def _sanitize_start(self, tag: Start) -> Iterator[Token]:
        name = _element_of(tag)
        self._apply_page_colors(tag)
        attributes: dict[str, str] = {}
        for attribute, value in tag.attributes.items():
            allowed, reported = self._attributes.sanitize(name, attribute, value)
            # A removed element counts once, without its attributes; event handlers count in any case.
            for kind in reported:
                if name in ALLOWED_ELEMENTS or kind is Removal.EVENT_HANDLER:
                    self._removed[kind] += 1
            if allowed is not None:
                attributes[attribute] = allowed
        traits = self._traits_of(name, tag.attributes)
        if traits:
            attributes[MARKER] = traits
        if name == "img" and "src" not in attributes:
            # The alternative text replaces an image without an address.
            if NOT_DISPLAYED not in traits and DISGUISED not in traits:
                yield Text(entities.escape(tag.attributes.get("alt", "")))
        elif name in ALLOWED_ELEMENTS:
            yield Start(name, attributes)
        else:
            if name not in UNREPORTED_ELEMENTS:
                self._removed[REMOVED_ELEMENTS.get(name, Removal.OTHER)] += 1
            yield from self._carry(tag.name, traits)

    def _apply_page_colors(self, tag: Start) -> None:
        """Turn the colours that `text` and `link` of <body> give (WHATWG HTML 15.3.1) into styles."""
        color = ""
        if tag.name == "body":
            color, self._link_color = tag.attributes.get("text", ""), tag.attributes.get("link", "")
        elif tag.name == "a" and self._link_color and "href" in tag.attributes:
            color = self._link_color
        if color and (known := read_color(color)):
            tag.attributes["style"] = f"color:{known.as_hex()};{tag.attributes.get('style', '')}"

    def _traits_of(self, name: str, attributes: Mapping[str, str]) -> str:
        """Return what the styles do to an element, and report the properties that it loses."""
        if self._look is None or attributes.keys().isdisjoint(("style", "hidden", "background")):
            return ""
        traits, noticed = self._attributes.look_of(attributes)
        if noticed and name in ALLOWED_ELEMENTS and NOT_DISPLAYED not in traits and DISGUISED not in traits:
            self._look.lose(noticed)
        return traits

    def _carry(self, name: str, traits: str) -> Iterator[Token]:
        """Keep what an element that is removed does to the text in it."""
        if self._look is None:
            return
        is_hiding = NOT_DISPLAYED in traits or DISGUISED in traits
        self._carriers.setdefault(name, []).append(is_hiding)
        if is_hiding and name not in _VOID_ELEMENTS:
            yield Start("span", {MARKER: traits})


def _element_of(tag: Start) -> str:
    if tag.name == "image":
        return "img"  # "Don't ask." (WHATWG HTML 13.2.6.4.7)
    # A whole page often has its font and colours on <body>, which is removed; a <div> keeps them.
    return "div" if tag.name == "body" and tag.attributes else tag.name


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
