"""Sanitises HTML: it removes and counts everything that runs code, loads content or hides text.

Two parsers work one after the other. The first reads tokens, removes and counts what the rules do not allow, closes
open tags, and writes HTML with only one possible reading. So the second, `nh3`, never gets input that costs it much
time or memory. `nh3` builds the tree as a browser does and lets only allowed HTML through. The sanitizer repeats both
until the result does not change.
"""

from __future__ import annotations

import html as entities
import re
from collections.abc import Iterable, Iterator

import nh3

from m365_mcp.errors import InvalidArgument
from m365_mcp.mail.html import limits
from m365_mcp.mail.html.angle_brackets import escape_text
from m365_mcp.mail.html.css import ALLOWED_PROPERTIES
from m365_mcp.mail.html.data_pictures import DataPictures
from m365_mcp.mail.html.gaps import Gap, close_gaps
from m365_mcp.mail.html.link_content import keep_links_visible
from m365_mcp.mail.html.links import ANCHORED, targets_inside
from m365_mcp.mail.html.removals import Removal, Removals
from m365_mcp.mail.html.replacing import Replacer
from m365_mcp.mail.html.rules import (
    ADDRESS_ATTRIBUTES,
    ALLOWED_ATTRIBUTES,
    ALLOWED_ELEMENTS,
    FORMATTING,
    URL_SCHEMES,
    VOID,
    AttributeRules,
    plain_address,
    removal_of,
    scheme_of,
)
from m365_mcp.mail.html.tokens import End, Start, Text, Token, read_tokens, write_tokens
from m365_mcp.mail.quotes import quote
from m365_mcp.mail.text import words

_MAX_REPEATS = 5
_LEADING_LINE_BREAKS = re.compile(r"(<pre(?: [^<>]*)?>)\n+")

# Elements with an optional end tag: a browser closes them itself and never nests two of a kind.
_OPTIONAL_END_TAG = words("p li dd dt tr td th thead tbody tfoot colgroup caption")


def sanitize_html(html: str, pictures: DataPictures | None = None) -> tuple[str, Removals]:
    """Return the sanitised `html`, and how many removals there were of each kind.

    Args:
        html: the HTML as a person, a model or a program wrote it.
        pictures: takes the pictures inside the HTML, which become inline attachments; None: they are removed.

    Raises:
        BodyTooComplex: the HTML exceeds a limit of `limits`.
        InvalidArgument: the HTML still changes after the last repeat, so it is ambiguous.
    """
    limits.check_size(html)
    text_kept = escape_text(html)
    removed = Removals()
    if text_kept.open_comments:
        removed[Removal.OPEN_COMMENT] = text_kept.open_comments
    clean = _FirstPass(removed, pictures).clean(text_kept.html)
    for _ in range(_MAX_REPEATS):
        again = _Pass(Removals()).clean(clean)
        if again == clean:
            return clean, removed
        clean = again
    raise InvalidArgument("'body' has HTML that programs read in different ways.", advice="Close every tag, in order.")


class _Pass:
    """One pass of both parsers over the HTML."""

    def __init__(self, removed: Removals) -> None:
        self._attributes = AttributeRules()
        self._removed = removed

    def clean(self, html: str) -> str:
        """Return the result of both parsers."""
        unambiguous = write_tokens(_close_tags(self._allowed_tokens(self._read(html))))
        limits.check_count(unambiguous.count("&"), limits.MAX_REFERENCES, "'&'")
        # A parser drops the first line break of a <pre> (13.2.6.4.7), one a pass. So all leading ones are removed.
        return _LEADING_LINE_BREAKS.sub(r"\1", _make_cleaner(self._attributes).clean(unambiguous))

    def _read(self, html: str) -> Iterable[Token | Gap]:
        return read_tokens(html)

    def _allowed_tokens(self, pieces: Iterable[Token | Gap]) -> Iterable[Token]:
        return (piece for piece in self._allowed_pieces(pieces) if not isinstance(piece, Gap))

    def _allowed_pieces(self, pieces: Iterable[Token | Gap]) -> Iterator[Token | Gap]:
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
                yield from self._sanitize_start(piece)
            elif isinstance(piece, End):
                if piece.name in ALLOWED_ELEMENTS and piece.name not in VOID:
                    yield piece
            else:
                yield piece

    def _sanitize_start(self, tag: Start) -> Iterator[Token | Gap]:
        name = _element_of(tag)
        attributes = self._sanitize_attributes(name, tag)
        if name == "img" and "src" not in attributes:
            # The alternative text replaces an image without an address.
            yield from (Gap.BLANK, Text(entities.escape(tag.attributes.get("alt", ""))), Gap.BLANK)
        elif name in ALLOWED_ELEMENTS:
            yield Start(name, attributes)
        elif kind := removal_of(name):
            if kind is Removal.OTHER:
                self._removed.add(kind, f"<{name}>")
            else:
                self._removed[kind] += 1

    def _sanitize_attributes(self, name: str, tag: Start) -> dict[str, str]:
        attributes: dict[str, str] = {}
        for attribute, value in tag.attributes.items():
            allowed, reported = self._attributes.sanitize(name, attribute, value)
            # A removed element counts once, without its attributes; event handlers count in any case.
            for kind in reported:
                if name in ALLOWED_ELEMENTS or kind is Removal.EVENT_HANDLER:
                    self._removed[kind] += 1
            if allowed is not None:
                attributes[attribute] = allowed
        return attributes


class _FirstPass(_Pass):
    """The pass over the HTML as it was written, which also replaces what a mail cannot show by text."""

    def __init__(self, removed: Removals, pictures: DataPictures | None) -> None:
        super().__init__(removed)
        self._pictures = pictures
        self._anchors: frozenset[str] = frozenset()
        self._link_without_target: list[str] | None = None  # its text so far

    def _read(self, html: str) -> Iterable[Token | Gap]:
        self._anchors = targets_inside(html)
        return Replacer().replace(read_tokens(html))

    def _allowed_tokens(self, pieces: Iterable[Token | Gap]) -> Iterable[Token]:
        return close_gaps(keep_links_visible(self._named_links(self._allowed_pieces(pieces))))

    def _named_links(self, pieces: Iterable[Token | Gap]) -> Iterator[Token | Gap]:
        """Note the text of each link whose target was removed."""
        for piece in pieces:
            if self._link_without_target is not None and isinstance(piece, Text):
                self._link_without_target.append(piece.raw)
            yield piece
            if isinstance(piece, End) and piece.name == "a":
                self._end_link()
        self._end_link()

    def _end_link(self) -> None:
        if self._link_without_target is not None:
            text = quote(entities.unescape("".join(self._link_without_target)))
            self._removed.add(Removal.LINK, f'"{text}"' if text else "without text")
            self._link_without_target = None

    def _sanitize_start(self, tag: Start) -> Iterator[Token | Gap]:
        if tag.name == "a":
            self._end_link()
        anchor = tag.attributes.get("id", "") if self._anchors else ""
        if tag.name in ("img", "image") and not self._take_picture(tag):
            yield from (Gap.BLANK, Text(entities.escape(tag.attributes.get("alt", ""))), Gap.BLANK)
            return
        if anchor in self._anchors and tag.name == "a":
            tag.attributes.setdefault("name", anchor)
        yield from super()._sanitize_start(tag)
        if anchor in self._anchors and tag.name in ANCHORED:
            yield from (Start("a", {"name": anchor}), End("a"))

    def _take_picture(self, tag: Start) -> bool:
        """Make an attachment of a picture inside the HTML; return whether the image can stay."""
        address = plain_address(tag.attributes.get("src", ""))
        if scheme_of(address) == "data":
            taken = self._pictures.take(address) if self._pictures else Removal.DATA_IMAGE
            if isinstance(taken, Removal):
                self._removed[taken] += 1
                return False
            tag.attributes["src"] = taken
        elif not address and tag.attributes.get("srcset"):
            self._removed[Removal.REMOTE_IMAGE] += 1
        elif scheme_of(address) != "cid" and _is_pixel(tag):
            return False
        return True

    def _sanitize_attributes(self, name: str, tag: Start) -> dict[str, str]:
        before = self._removed[Removal.LINK]
        attributes = super()._sanitize_attributes(name, tag)
        if name == "a" and self._removed[Removal.LINK] > before:
            self._removed[Removal.LINK] = before
            self._link_without_target = []
        return attributes


def _is_pixel(tag: Start) -> bool:
    """Return whether a picture is one that nobody sees: it counts the readers, or keeps a table cell open."""
    sizes = {tag.attributes.get(side, "").removesuffix("px").strip() for side in ("width", "height")}
    return sizes <= {"0", "1"} and not tag.attributes.get("alt", "").strip()


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
