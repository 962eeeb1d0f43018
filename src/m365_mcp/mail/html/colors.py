"""Colours as CSS and the old attributes write them, and the contrast between two (WCAG 2.2, "contrast ratio")."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple, Protocol, cast

from tinycss2 import color5

_MOST_CHARACTERS = 100  # of one colour
# Most colours are of one of these forms; tinycss2 reads all others, and takes a hundred times as long. The number sign
# may be missing in an attribute: bgcolor=eeeeee (WHATWG HTML 2.3.6).
_HEX = re.compile(r"#?([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})|#?([0-9a-f])([0-9a-f])([0-9a-f])", re.IGNORECASE)
_RGB = re.compile(r"rgb\( ?(\d{1,3}) ?, ?(\d{1,3}) ?, ?(\d{1,3}) ?\)", re.IGNORECASE)


class _Parsed(Protocol):
    """A colour as tinycss2 gives it; its type stubs leave the attributes out."""

    space: str
    coordinates: tuple[float | None, ...]
    alpha: float

    def to(self, space: str) -> _Parsed: ...


class Color(NamedTuple):
    """A colour of sRGB; each part is between 0 and 1."""

    red: float
    green: float
    blue: float
    alpha: float = 1.0

    def over(self, behind: Color) -> Color:
        """Return this colour as it looks on an opaque one."""
        mixed = [own * self.alpha + other * (1 - self.alpha) for own, other in zip(self[:3], behind[:3], strict=True)]
        return Color(*mixed)

    def as_hex(self) -> str:
        """Return `#rrggbb`, or `rgba(…)` where the colour is not opaque."""
        red, green, blue = (round(part * 255) for part in self[:3])
        return f"#{red:02x}{green:02x}{blue:02x}" if self.alpha == 1 else f"rgba({red},{green},{blue},{self.alpha:.3g})"


BLACK = Color(0.0, 0.0, 0.0)
WHITE = Color(1.0, 1.0, 1.0)
LINK = Color(0.0, 0.0, 238 / 255)  # WHATWG HTML 15.3.4
# The colours of the system (CSS Color 4, section 6.2; CSS 2.1, 18.2), as they are in a light theme.
_SYSTEM_COLORS = {
    **dict.fromkeys(("canvas", "window", "field", "infobackground", "menu"), WHITE),
    **dict.fromkeys(
        ("canvastext", "windowtext", "fieldtext", "buttontext", "infotext", "menutext", "captiontext"), BLACK
    ),
    **dict.fromkeys(("buttonface", "threedface"), Color(240 / 255, 240 / 255, 240 / 255)),
    "linktext": LINK,
}


@lru_cache(maxsize=4096)
def read_color(text: str) -> Color | None:
    """Return the colour that `text` names; None: it names none, or takes it from elsewhere (`inherit`)."""
    text = text.strip()
    if not text or len(text) > _MOST_CHARACTERS:
        return None
    if found := _HEX.fullmatch(text):
        return Color(*(int(part * (1 if len(part) == 2 else 2), 16) / 255 for part in found.groups() if part))
    if found := _RGB.fullmatch(text):
        return Color(*(min(255, int(part)) / 255 for part in found.groups()))
    return _SYSTEM_COLORS.get(text.lower()) or _parsed(text)


def read_attribute_color(text: str) -> Color | None:
    """Return the colour of an attribute, which knows names and numbers only (WHATWG HTML 2.3.6)."""
    return None if "(" in text else read_color(text)


def is_costly(value: str) -> bool:
    """Return whether tinycss2 has to read a colour in the value of a property."""
    return "(" in value and "(" in _RGB.sub("", value)


def _parsed(text: str) -> Color | None:
    try:
        found = color5.parse_color(text)
    except (ValueError, TypeError, AttributeError, IndexError, ZeroDivisionError):  # tinycss2 1.5 raises for `rgb()`
        return None
    return None if found is None or isinstance(found, str) else _in_srgb(cast("_Parsed", found))


def _in_srgb(found: _Parsed) -> Color | None:
    if found.space in ("srgb", "hsl", "hwb"):
        parts = [part or 0.0 for part in found.to("srgb").coordinates]
    elif found.space in ("lab", "lch", "oklab", "oklch"):
        parts = _from_lab(found)
    else:
        return None
    red, green, blue = (max(0.0, min(1.0, part)) for part in parts)
    return Color(red, green, blue, found.alpha)


def _from_lab(found: _Parsed) -> list[float]:
    is_ok = found.space.startswith("ok")
    x, y, z = (part or 0.0 for part in found.to("xyz-d65" if is_ok else "xyz-d50").coordinates)
    # From XYZ to linear sRGB (CSS Color 4, section 18); for D50 the adaptation to D65 is part of the matrix.
    rows = _FROM_D65 if is_ok else _FROM_D50
    return [_to_gamma(row[0] * x + row[1] * y + row[2] * z) for row in rows]


_FROM_D65 = ((3.24097, -1.537383, -0.498611), (-0.969244, 1.875968, 0.041555), (0.05563, -0.203977, 1.056972))
_FROM_D50 = ((3.134136, -1.617386, -0.490662), (-0.978796, 1.916254, 0.033443), (0.071955, -0.228977, 1.405386))


def _to_gamma(part: float) -> float:
    return 12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055


@lru_cache(maxsize=4096)
def _luminance(color: Color) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(text: Color, background: Color) -> float:
    """Return the contrast between a text and the opaque colour behind it, from 1 (equal) to 21."""
    lights = sorted((_luminance(text.over(background)), _luminance(background)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def best_on(background: Color) -> Color:
    """Return black or white, whichever is easier to read on `background`."""
    return max(BLACK, WHITE, key=lambda color: contrast(color, background))
