"""Removes hidden text from sanitised HTML, and keeps its text readable where a background could not stay.

This reads the tree that `nh3` wrote, so every element is closed. What an element takes from its ancestors (colour,
background, size of the font) is known for each, in one pass. The contrast is that of WCAG 2.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from html import unescape
from typing import NamedTuple

from m365_mcp.mail.html import hiding
from m365_mcp.mail.html.colors import BLACK, LINK, WHITE, Color, best_on, contrast, read_attribute_color, read_color
from m365_mcp.mail.html.css import declarations_of, plain_style, write_declarations
from m365_mcp.mail.html.elements import BLOCK_ELEMENTS, VOID_ELEMENTS
from m365_mcp.mail.html.removals import LookReport
from m365_mcp.mail.html.rules import MARKER
from m365_mcp.mail.html.tokens import End, Start, Text, Token
from m365_mcp.mail.text import shows_nothing

_LEAST_CONTRAST = 3.0
_PALE = 1.3  # with less contrast, many readers overlook a text
_UNREADABLE = 1.1  # with less contrast, nobody sees that there is a text
_SAME_HUE = 0.3  # of a part of a colour: yellow on white has no contrast, but is seen
_FAINT = 0.1
_SMALLEST = 2.0  # pixels; smaller text is not meant to be read
_BOXES = BLOCK_ELEMENTS | {"img"}  # only in a box does a height cut off what does not fit
_ATTRIBUTES = ("style", "bgcolor", "color")
_USUAL_SIZES = {"xx-small": 9.0, "x-small": 10.0, "small": 13.0, "medium": 16.0, "large": 18.0, "x-large": 24.0}


class _Declared(NamedTuple):
    """What a sanitised style says about the look of text."""

    color: Color | None
    background: Color | None
    size: str


class _State(NamedTuple):
    """How text looks inside an element.

    Attributes:
        is_background_known: whether the reader sees the background that was written.
        is_invisible: whether `visibility` hides it.
        is_hidden: whether it is not seen, for any reason.
        is_pale: whether it is seen, but many readers overlook it.
    """

    color: Color = BLACK
    background: Color = WHITE
    size: float = 16.0
    is_background_known: bool = True
    is_invisible: bool = False
    is_hidden: bool = False
    is_pale: bool = False
    has_box: bool = False  # an ancestor has a background of its own


def adjust_look(tokens: Iterable[Token], report: LookReport) -> Iterator[Token]:
    """Yield `tokens` without the text that the styles hide, with readable colours, and without markers."""
    return _Walk(report).read(tokens)


class _Walk:
    """Goes through the elements in order."""

    def __init__(self, report: LookReport) -> None:
        self._report = report
        self._states = [_State()]
        self._known: dict[tuple[object, ...], _State] = {}  # by the state around an element and its attributes
        self._hidden_depth = 0
        self._hidden_pieces: list[str] = []

    def read(self, tokens: Iterable[Token]) -> Iterator[Token]:
        """Yield what stays."""
        for token in tokens:
            if self._hidden_depth:
                self._skip(token)
            elif isinstance(token, Start):
                if self._enter(token):
                    yield token
            elif isinstance(token, End):
                if len(self._states) > 1:
                    self._states.pop()
                yield token
            elif self._states[-1].is_hidden and not shows_nothing(unescape(token.raw)):
                pieces = self._report.declared if self._states[-1].is_invisible else self._report.disguised
                pieces.append(token.raw)
            else:
                if self._states[-1].is_pale and not shows_nothing(unescape(token.raw)):
                    self._report.pale.append(token.raw)
                yield token

    def _skip(self, token: Token) -> None:
        if isinstance(token, Text):
            if not shows_nothing(unescape(token.raw)):
                self._hidden_pieces.append(token.raw)
        elif token.name not in VOID_ELEMENTS:
            self._hidden_depth += 1 if isinstance(token, Start) else -1

    def _enter(self, tag: Start) -> bool:
        """Return whether the element stays; if so, its style is readable."""
        traits = tag.attributes.pop(MARKER, "")
        around = self._states[-1]
        is_behind = hiding.BEHIND in traits and around.has_box
        is_cut = hiding.NO_ROOM in traits and tag.name in _BOXES
        if hiding.NOT_DISPLAYED in traits or hiding.DISGUISED in traits or is_behind or is_cut:
            if tag.name not in VOID_ELEMENTS:
                is_open = hiding.NOT_DISPLAYED in traits
                self._hidden_pieces = self._report.declared if is_open else self._report.disguised
                self._hidden_depth = 1
            return False
        state = self._state_of(tag, traits, around) if traits or _has_look(tag) else around
        if tag.name in VOID_ELEMENTS:
            return not (tag.name == "img" and state.is_invisible)
        self._states.append(state)
        return True

    def _state_of(self, tag: Start, traits: str, around: _State) -> _State:
        attributes = tag.attributes
        key = (around, tag.name, traits, *(attributes.get(name, "") for name in _ATTRIBUTES), "href" in attributes)
        state = self._known.get(key)
        if state is None:
            changes = self._report.recolored
            state = self._new_state(tag, traits, around)
            if self._report.recolored == changes:  # else the tag itself was changed, and so must be the next one
                self._known[key] = state
        return state

    def _new_state(self, tag: Start, traits: str, around: _State) -> _State:
        declared = _declared(tag.attributes.get("style", ""))
        background = declared.background or read_attribute_color(tag.attributes.get("bgcolor", ""))
        is_known = around.is_background_known or (background is not None and background.alpha == 1)
        if hiding.BACKGROUND_LOST in traits or (hiding.MOVED in traits and not background):
            is_known = False
        behind = background.over(around.background) if background else around.background
        color = declared.color or _usual_color(tag) or around.color
        if not is_known or hiding.COLOR_LOST in traits:
            color = self._readable(tag, color, around.color, behind)
        is_invisible = hiding.INVISIBLE in traits or (around.is_invisible and hiding.VISIBLE not in traits)
        size = _size(declared.size, around.size)
        is_unreadable = color.alpha < _FAINT or (is_known and _is_unreadable(color, behind))
        return _State(
            color=color,
            background=behind,
            size=size,
            is_background_known=is_known,
            is_invisible=is_invisible,
            is_hidden=is_invisible or size <= _SMALLEST or is_unreadable,
            is_pale=is_known and contrast(color, behind) < _PALE,
            has_box=around.has_box or background is not None,
        )

    def _readable(self, tag: Start, color: Color, inherited: Color, behind: Color) -> Color:
        """Return the colour of the text of `tag`; change it where its background is not the one it was chosen for."""
        if color.alpha < _FAINT or contrast(color, behind) >= _LEAST_CONTRAST:
            return color
        self._report.recolored += 1
        style = [pair for pair in declarations_of(tag.attributes.get("style", "")) if pair[0] != "color"]
        tag.attributes.pop("color", None)
        if tag.name == "a" or contrast(inherited, behind) < _LEAST_CONTRAST:
            inherited = best_on(behind)
            style.append(("color", inherited.as_hex()))
        tag.attributes["style"] = write_declarations(style)
        if not style:
            del tag.attributes["style"]
        return inherited


def _usual_color(tag: Start) -> Color | None:
    """Return the colour that an element has without a style."""
    if tag.name == "font" and (color := read_attribute_color(tag.attributes.get("color", ""))):
        return color
    return LINK if tag.name == "a" and "href" in tag.attributes else None


def _is_unreadable(color: Color, behind: Color) -> bool:
    differences = [abs(own - other) for own, other in zip(color.over(behind)[:3], behind[:3], strict=True)]
    return contrast(color, behind) < _UNREADABLE and max(differences) < _SAME_HUE


def _has_look(tag: Start) -> bool:
    names = tag.attributes
    return "style" in names or "bgcolor" in names or tag.name in ("font", "a")


@lru_cache(maxsize=1024)
def _declared(style: str) -> _Declared:
    properties = plain_style(style)
    color = read_color(properties.get("color", ""))
    background = None
    for name, value in properties.items():
        if name == "background-color":
            background = read_color(value)
        elif name == "background":
            found = [read_color(part) for part in _words(value)]
            background = next((part for part in found if part), None)
    size = properties.get("font-size", "") or _size_of_font(properties.get("font", ""))
    return _Declared(color, background if background and background.alpha > 0 else None, size)


def _words(value: str) -> list[str]:
    """Split a value at its spaces, but not inside brackets."""
    parts = [""]
    depth = 0
    for piece in value.split(" "):
        parts[-1] = f"{parts[-1]} {piece}".strip()
        depth += piece.count("(") - piece.count(")")
        if depth <= 0:
            parts.append("")
    return parts


def _size_of_font(value: str) -> str:
    for part in value.split(" "):
        size = part.partition("/")[0]
        length = hiding.pixels(size)
        if length is not None and (length == 0 or not size.replace(".", "").isdigit()):
            return size
    return ""


def _size(value: str, inherited: float) -> float:
    if not value:
        return inherited
    if value in _USUAL_SIZES:
        return _USUAL_SIZES[value]
    length = hiding.pixels(value)
    if length is None:
        return inherited
    if value.endswith("em") and not value.endswith("rem"):
        return length / 16 * inherited
    if value.endswith("%"):
        return length / 6 / 100 * inherited
    return length
