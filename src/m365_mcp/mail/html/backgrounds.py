"""Finds the one colour that stays of a background (CSS Backgrounds 3, CSS Images 3).

Mail programs show no gradients, and a picture of a background would be loaded. So the colour of a background stays, or
without one the first colour of its gradient.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import tinycss2
from tinycss2.ast import FunctionBlock, Node

from m365_mcp.mail.html.colors import read_color

_COLOR_FUNCTIONS = frozenset(
    {"rgb", "rgba", "hsl", "hsla", "hwb", "lab", "lch", "oklab", "oklch", "light-dark", "color"}
)
_COLOR_STOPS = frozenset({"from", "to", "color-stop"})  # of -webkit-gradient()


@dataclass(frozen=True)
class PlainBackground:
    """What stays of a background.

    Attributes:
        color: the colour, as CSS; None: the background has none.
        has_gradient: whether a gradient became the colour or was dropped.
    """

    color: str | None
    has_gradient: bool


def plain_background(value: str) -> PlainBackground:
    """Return what stays of the value of `background` or `background-image`."""
    own: str | None = None
    stops: list[str] = []
    has_gradient = False
    for part in tinycss2.parse_component_value_list(value, skip_comments=True):
        if color := _color_of(part):
            own = color
        elif isinstance(part, FunctionBlock) and part.lower_name.endswith("gradient"):
            has_gradient = True
            stops += _stops(part.arguments)
    return PlainBackground(own or _first_visible(stops), has_gradient)


def _stops(arguments: Iterable[Node]) -> list[str]:
    found = []
    for part in arguments:
        if color := _color_of(part):
            found.append(color)
        elif isinstance(part, FunctionBlock) and part.lower_name in _COLOR_STOPS:
            found += [color for inner in part.arguments if (color := _color_of(inner))]
    return found


def _color_of(part: Node) -> str | None:
    """Return the colour that one component value is, or None."""
    if part.type in ("ident", "hash") or (isinstance(part, FunctionBlock) and part.lower_name in _COLOR_FUNCTIONS):
        color = read_color(_text_of(part))
        return color.as_hex() if color else None
    return None


def _text_of(part: Node) -> str:
    if isinstance(part, FunctionBlock):  # flat: a colour has no functions inside that matter here
        flat = [inner for inner in part.arguments if not hasattr(inner, "content") and not hasattr(inner, "arguments")]
        return f"{part.name}({tinycss2.serialize(flat)})"
    return str(part.serialize())


def _first_visible(colors: list[str]) -> str | None:
    for text in colors:
        color = read_color(text)
        if color and color.alpha > 0.1:
            return text
    return None
