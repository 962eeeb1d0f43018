"""Tells from a style whether it hides its element, moves it, or leaves its background unknown.

A style becomes a few letters, its traits, because the sanitizer removes most properties that tell. `look` reads the
traits together with the tree of elements.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from m365_mcp.mail.text import words

# The traits of an element; see `traits_of`.
NOT_DISPLAYED = "d"  # display:none and the attribute `hidden`
DISGUISED = "h"  # off-screen, transparent, clipped, or of no size
INVISIBLE = "v"  # visibility:hidden; a descendant can become visible again
VISIBLE = "w"
BEHIND = "z"  # a negative z-index
BACKGROUND_LOST = "b"  # its picture or gradient was removed
COLOR_LOST = "c"  # the colour of its text was removed
NO_ROOM = "n"  # its box has no size and cuts its content off, if it is a block
MOVED = "m"  # it stands somewhere else, perhaps in front of another background

_OFF_SCREEN = 500.0  # pixels to the left or above; no mail moves visible text so far
_FAR_AWAY = 3000.0  # pixels to the right or below
_COLLAPSED = -7.0  # pixels between letters that stand on one another
_OVERLAPPING = -20.0  # pixels of a margin that puts a text over what is before it
_FAINT = 0.1
_PIXELS = {"px": 1.0, "": 1.0, "pt": 4 / 3, "em": 16.0, "rem": 16.0, "ex": 8.0, "ch": 8.0, "in": 96.0, "cm": 37.8}
_PIXELS |= {"mm": 3.78, "pc": 16.0, "vw": 8.0, "vh": 6.0, "%": 6.0, "q": 0.945}
_LENGTH = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,2})?)([a-z%]*)")

_TELLING = words(
    "clip clip-path content-visibility display filter left opacity overflow overflow-x overflow-y position right scale "
    "transform translate visibility z-index -ms-transform -webkit-clip-path -webkit-transform"
)
_BLOCK_DISPLAYS = words("block inline-block flex inline-flex grid inline-grid list-item flow-root")
_LENGTHS = ("margin", "margin-left", "margin-top", "text-indent", "letter-spacing")
_UNUSUAL_LENGTH = re.compile(r"-|\de[+\d]|\d{3}")


def traits_of(style: Mapping[str, str]) -> str:
    """Return the traits of a style; `style` maps each property to its value in lower case, without `!important`."""
    if style.keys().isdisjoint(_TELLING):
        is_unusual = any(_UNUSUAL_LENGTH.search(style[name]) for name in _LENGTHS if name in style)
        return _traits_of_lengths(style) if is_unusual else ""
    traits = ""
    if style.get("display") == "none" or style.get("content-visibility") == "hidden":
        traits += NOT_DISPLAYED
    if visibility := style.get("visibility"):
        traits += INVISIBLE if visibility in ("hidden", "collapse") else VISIBLE
    traits += DISGUISED if _is_transparent(style) or _is_clipped(style) or _is_shrunk(style) else ""
    traits += _trait_of_size(style)
    traits += MOVED if _is_moved(style) else ""
    return traits + _traits_of_lengths(style) + (BEHIND if (pixels(style.get("z-index", "")) or 0.0) < 0 else "")


def _traits_of_lengths(style: Mapping[str, str]) -> str:
    spacing = pixels(style.get("letter-spacing", "")) or 0.0
    traits = DISGUISED if _is_off_screen(style) or spacing <= _COLLAPSED else ""
    return traits + (MOVED if min(_margins(style)) <= _OVERLAPPING else "")


def pixels(value: str) -> float | None:
    """Return a length in pixels; None: `value`, in lower case, is none. Relative units are those of a usual page."""
    found = _LENGTH.fullmatch(value)
    factor = _PIXELS.get(found[2]) if found else None
    return float(found[1]) * factor if found and factor is not None else None


def _numbers(value: str) -> list[float]:
    return [float(number) * _PIXELS.get(unit, 1.0) for number, unit in _LENGTH.findall(value)]


def _is_transparent(style: Mapping[str, str]) -> bool:
    values = [style.get("opacity", "")]
    if found := re.search(r"opacity\(([^()]*)\)", style.get("filter", "")):
        values.append(found[1].strip())
    if found := re.search(r"alpha\(\s*opacity\s*=\s*(\d+)", style.get("filter", "")):
        values.append(f"{found[1]}%")
    return any(_fraction(value) < _FAINT for value in values)


def _fraction(value: str) -> float:
    found = _LENGTH.fullmatch(value)
    if not found or found[2] not in ("", "%"):
        return 1.0
    return float(found[1]) / (100 if found[2] else 1)


def _is_off_screen(style: Mapping[str, str]) -> bool:
    if style.get("position", "static") != "static":
        places = {side: pixels(style.get(side, "")) or 0.0 for side in ("left", "top", "right", "bottom")}
        if min(places.values()) <= -_OFF_SCREEN or max(places["left"], places["top"]) >= _FAR_AWAY:
            return True
    if any(margin <= -_OFF_SCREEN for margin in _margins(style)):
        return True
    return any(abs(pixels(part) or 0.0) >= _OFF_SCREEN for part in style.get("text-indent", "").split())


def _margins(style: Mapping[str, str]) -> tuple[float, float]:
    """Return the margins above and to the left."""
    sides = style.get("margin", "").split()
    top, left = (sides[0], sides[(0, 1, 1, 3)[len(sides) - 1]]) if 1 <= len(sides) <= 4 else ("", "")
    return pixels(style.get("margin-top", top)) or 0.0, pixels(style.get("margin-left", left)) or 0.0


def _is_cut_off(style: Mapping[str, str]) -> bool:
    return any(
        word in style.get(name, "") for name in ("overflow", "overflow-x", "overflow-y") for word in ("hidden", "clip")
    )


def _is_clipped(style: Mapping[str, str]) -> bool:
    clip = style.get("clip", "")
    if clip.startswith("rect(") and style.get("position") in ("absolute", "fixed"):
        sides = _numbers(clip)
        if len(sides) == 4 and (sides[0] >= sides[2] - 1 or sides[3] >= sides[1] - 1):
            return True
    path = style.get("clip-path", style.get("-webkit-clip-path", ""))
    numbers = _numbers(path)
    if path.startswith("inset("):
        return bool(numbers) and "%" in path and max(numbers) >= 50 * _PIXELS["%"]
    if path.startswith(("circle(", "ellipse(")):
        return bool(numbers) and numbers[0] <= 1
    if path.startswith("polygon("):
        return bool(numbers) and not any(numbers)
    return False


def _trait_of_size(style: Mapping[str, str]) -> str:
    """Return whether the box has no size: `DISGUISED` for a box by its style, `NO_ROOM` if the element decides."""
    sizes = [pixels(style.get(name, "")) for name in ("height", "max-height", "width", "max-width", "line-height")]
    if not _is_cut_off(style) or not (any(size is not None and size <= 1 for size in sizes[:4]) or sizes[4] == 0):
        return ""
    is_block = style.get("display") in _BLOCK_DISPLAYS or style.get("float", "none") != "none"
    return DISGUISED if is_block or style.get("position") in ("absolute", "fixed") else NO_ROOM


def _is_shrunk(style: Mapping[str, str]) -> bool:
    transform = " ".join(style.get(name, "") for name in ("transform", "-webkit-transform", "-ms-transform"))
    for function, arguments in re.findall(r"(scale(?:3d|x|y)?|translate(?:3d|x|y)?|rotate[xy])\(([^()]*)\)", transform):
        numbers = _numbers(arguments)
        if function.startswith("scale") and any(abs(number) < 0.05 for number in numbers):
            return True
        if function.startswith("translate") and any(number <= -_OFF_SCREEN for number in numbers):
            return True
        if function.startswith("rotate") and numbers and abs(numbers[0]) % 180 == 90:
            return True
    scale = _numbers(style.get("scale", ""))
    return bool(scale) and min(map(abs, scale)) < 0.05


def _is_moved(style: Mapping[str, str]) -> bool:
    position = style.get("position", "static")
    if position in ("absolute", "fixed", "sticky"):
        return True
    if position == "relative" and any(
        (pixels(style.get(side, "")) or 0.0) for side in ("left", "top", "right", "bottom")
    ):
        return True
    return "translate" in style.get("transform", "") or "translate" in style
