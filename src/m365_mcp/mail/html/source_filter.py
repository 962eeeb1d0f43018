"""Filters the tokens of the HTML as it was written.

Besides the rules of `token_filter`, this filter replaces what a mail cannot show, takes the pictures inside the HTML,
keeps links and anchors usable, and marks for `look` what the styles do to each element.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from html import unescape

from m365_mcp.mail.html.data_pictures import DataPictures
from m365_mcp.mail.html.elements import VOID_ELEMENTS
from m365_mcp.mail.html.hiding import DISGUISED, NOT_DISPLAYED
from m365_mcp.mail.html.links import ANCHORED, targets_inside
from m365_mcp.mail.html.removals import LookReport, Removal, Removals
from m365_mcp.mail.html.replacing import ENDED_HERE, Replacer, keep_links_visible
from m365_mcp.mail.html.rules import ALLOWED_ELEMENTS, MARKER, plain_address, scheme_of
from m365_mcp.mail.html.separators import Separator, write_separators
from m365_mcp.mail.html.token_filter import TokenFilter, without_separators
from m365_mcp.mail.html.tokens import End, Start, Text, Token, read_tokens
from m365_mcp.mail.report import quote

_WITHOUT_CONTENT = VOID_ELEMENTS - ENDED_HERE
_LINK = re.compile(r"<a[\s/>]", re.IGNORECASE)
# The start tag of an element that may be replaced: any but the allowed ones, and an image.
_REPLACED = re.compile(rf"<(?!(?:{'|'.join(sorted(ALLOWED_ELEMENTS - {'img'}))}|body|html)[\s/>])[a-z]", re.IGNORECASE)


class SourceFilter(TokenFilter):
    """The filter of the HTML as it was written."""

    def __init__(self, removed: Removals, pictures: DataPictures | None, look: LookReport) -> None:
        super().__init__(removed)
        self._pictures = pictures
        self._look = look
        self._anchors: frozenset[str] = frozenset()
        self._has_links = self._has_others = True
        self._link_without_target: list[str] | None = None  # its text so far
        self._carriers: dict[str, list[bool]] = {}  # by name of a removed element: whether a <span> stands for it

    def clean_html(self, html: str) -> str:
        """Return the result of both parsers."""
        self._anchors = targets_inside(html)
        self._has_links = _LINK.search(html) is not None
        self._has_others = _REPLACED.search(html) is not None
        return self.clean(read_tokens(html))

    def allowed_tokens(self, tokens: Iterable[Token]) -> Iterable[Token]:
        """Return the tokens of the mail."""
        pieces = self.allowed_pieces(Replacer().replace(tokens) if self._has_others else tokens)
        if self._has_links:
            pieces = self._named_links(pieces)
        if not self._has_others:  # as in most mails: nothing is replaced, so there are no separators
            return without_separators(pieces)
        return write_separators(keep_links_visible(pieces) if self._has_links else pieces)

    def _named_links(self, pieces: Iterable[Token | Separator]) -> Iterator[Token | Separator]:
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
            text = quote(unescape("".join(self._link_without_target)))
            self.removed.add(Removal.LINK, f'"{text}"' if text else "without text")
            self._link_without_target = None

    def sanitize_start(self, tag: Start) -> Iterator[Token | Separator]:
        """Yield what the rules let through of a start tag, and what stands for it."""
        if tag.name == "a":
            self._end_link()
        anchor = tag.attributes.get("id", "") if self._anchors else ""
        if tag.name in ("img", "image"):
            self._take_picture(tag)
        if anchor in self._anchors and tag.name == "a":
            tag.attributes.setdefault("name", anchor)
        yield from super().sanitize_start(tag)
        if tag.name not in ALLOWED_ELEMENTS and tag.name not in ("body", "image"):
            yield from self._carry(tag.name, self._traits_of(tag.name, tag.attributes))
        if anchor in self._anchors and tag.name in ANCHORED:
            yield from (Start("a", {"name": anchor}), End("a"))

    def sanitize_end(self, tag: End) -> Iterator[Token]:
        """Yield what the rules let through of an end tag, and what stands for it."""
        yield from super().sanitize_end(tag)
        if self._carriers.get(tag.name) and self._carriers[tag.name].pop():
            yield End("span")

    def alternative_text(self, tag: Start) -> Iterator[Token | Separator]:
        """Yield the text that replaces an image without an address, unless the image is hidden."""
        if not _hides(self._traits_of("img", tag.attributes)):
            yield from super().alternative_text(tag)

    def sanitize_attributes(self, name: str, tag: Start) -> dict[str, str]:
        """Return the attributes that the rules allow, with the traits for `look`."""
        before = self.removed[Removal.LINK]
        attributes = super().sanitize_attributes(name, tag)
        if name == "a" and self.removed[Removal.LINK] > before:
            self.removed.uncount(Removal.LINK)
            self._link_without_target = []
        if name in ALLOWED_ELEMENTS and (traits := self._traits_of(name, tag.attributes)):
            attributes[MARKER] = traits
        return attributes

    def _take_picture(self, tag: Start) -> None:
        """Make an attachment of a picture inside the HTML, and leave out what nobody would see."""
        address = plain_address(tag.attributes.get("src", ""))
        if scheme_of(address) == "data":
            taken = self._pictures.take(address) if self._pictures else Removal.DATA_IMAGE
            tag.attributes["src"] = "" if isinstance(taken, Removal) else taken
            if isinstance(taken, Removal):
                self.removed[taken] += 1
        elif not address and tag.attributes.get("srcset"):
            self.removed[Removal.REMOTE_IMAGE] += 1
        elif scheme_of(address) != "cid" and _is_pixel(tag):
            tag.attributes["src"] = ""

    def _traits_of(self, name: str, attributes: Mapping[str, str]) -> str:
        """Return what the styles do to an element, and report the properties that it loses."""
        if attributes.keys().isdisjoint(("style", "hidden", "background")):
            return ""
        traits, noticed = self.attributes.look_of(attributes)
        if noticed and name in ALLOWED_ELEMENTS and not _hides(traits):
            self._look.lose(noticed)
        return traits

    def _carry(self, name: str, traits: str) -> Iterator[Token]:
        """Keep what an element that is removed does to the text in it."""
        if name not in _WITHOUT_CONTENT:
            self._carriers.setdefault(name, []).append(_hides(traits))
            if _hides(traits):
                yield Start("span", {MARKER: traits})


def _hides(traits: str) -> bool:
    return NOT_DISPLAYED in traits or DISGUISED in traits


def _is_pixel(tag: Start) -> bool:
    """Return whether a picture is one that nobody sees: it counts the readers, or keeps a table cell open."""
    sizes = {tag.attributes.get(side, "").removesuffix("px").strip() for side in ("width", "height")}
    return sizes <= {"0", "1"} and not tag.attributes.get("alt", "").strip()
