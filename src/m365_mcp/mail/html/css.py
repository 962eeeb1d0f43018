"""Sanitises style attributes: allowed declarations stay, all others are removed, and what the reader notices is named.

Of a background its colour stays (`backgrounds`); what a removed property hid is remembered as a trait (`hiding`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from m365_mcp.mail.html.backgrounds import plain_background
from m365_mcp.mail.html.colors import is_costly, read_color
from m365_mcp.mail.html.columns import plain_columns
from m365_mcp.mail.html.hiding import BACKGROUND_LOST, COLOR_LOST, DISGUISED, traits_of
from m365_mcp.mail.html.properties import (
    ALLOWED_PROPERTIES,
    COLUMN_FUNCTIONS,
    COLUMNS,
    NEUTRAL_VALUES,
    NOTICED_PROPERTIES,
    SIZE_FUNCTIONS,
    SIZES,
)
from m365_mcp.mail.html.removals import Removal

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_FUNCTION = re.compile(r"(?<![\w-])([\w-]*+)\s*+\(")  # matches only at the start of a word, so its time is linear
_SAFE_FUNCTIONS = frozenset({"rgb", "rgba", "hsl", "hsla"})
_SAFE_VALUE = re.compile(r"[\w\s#%.,!+*'\"()/-]+")
_NESTED = re.compile(r"\([^()]*\(")
_MANY_COLUMNS = re.compile(r"\d{3}")
# Functions that load (CSS Images, CSS Values), Internet Explorer's expression() and behavior, Gecko's -moz-binding. A
# backslash counts too, because an escape can spell any of them in a hidden way.
_ACTIVE = re.compile(
    r"url|expression|image|element|cross-fade|attr|src|behavior|binding|@import|script|data:|\\", re.IGNORECASE
)
_LOADING = re.compile(_ACTIVE.pattern.replace("image", r"image-set|image\("), re.IGNORECASE)
_COLORED = frozenset({"background", "background-image", "background-color", "color"})
_SEPARATOR = re.compile(r"[;\"'()]")
_IMPORTANT = re.compile(r" ?! ?important$", re.IGNORECASE)
# Groups: the name of a custom property, and the fallback.
VARIABLE = re.compile(r"var\(\s*(--[^\s,()]+)\s*(?:,([^()]*(?:\([^()]*\)[^()]*)*+))?\)", re.IGNORECASE)
_LAST_LENGTH = re.compile(r"([\d.]+(?:px|pt|em|rem|%))\s*\)\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Style:
    """A sanitised style.

    Attributes:
        text: the allowed declarations.
        removed: one `Removal` for each declaration that loads or runs.
        noticed: the properties whose removal the reader can see.
        traits: what the style does to its element, as `hiding` names it.
        converted: how many declarations had to be converted, or have a colour that takes long to read.
        clears_floats: whether the removed `overflow` kept the floats of the element inside it.
    """

    text: str
    removed: tuple[Removal, ...] = ()
    noticed: frozenset[str] = frozenset()
    traits: str = ""
    clears_floats: bool = False
    converted: int = field(default=0, compare=False)


def sanitize_style(style: str) -> Style:
    """Return what stays of a style attribute."""
    return _Reader(style).read()


class _Reader:
    """Sanitises one style attribute."""

    def __init__(self, style: str) -> None:
        self._declarations = list(declarations_of(style))
        if "!" in style:
            self._declarations = _by_importance(self._declarations)
        self._plain = {name: value.lower() for name, value in self._declarations}
        self._allowed: list[str] = []
        self._removed: list[Removal] = []
        self._noticed: set[str] = set()
        self._traits = traits_of(self._plain)
        self._converted = 0

    def read(self) -> Style:
        is_text_of_gradient = self._fills_text_with_background()
        for name, value in self._declarations:
            if is_text_of_gradient and name.startswith("background"):
                continue
            if name in ALLOWED_PROPERTIES and _is_safe(name, value):
                self._allowed.append(f"{name}:{value}")
                self._converted += name in _COLORED and is_costly(value)
            else:
                self._convert(name, value)
        text = ";".join(self._allowed)
        noticed = frozenset(self._noticed)
        return Style(text, tuple(self._removed), noticed, self._traits, self._clears_floats(), self._converted)

    def _convert(self, name: str, value: str) -> None:
        """Keep of a declaration what mail programs understand, and count the rest."""
        self._converted += "(" in value or name in _COLORED
        if "var(" in value.lower() and len(value) < 1_000:
            value = VARIABLE.sub(lambda found: (found[2] or "").strip(), value)
            if name in ALLOWED_PROPERTIES and value.strip() and _is_safe(name, value):
                self._allowed.append(f"{name}:{value.strip()}")
                return
        if name in COLUMNS and len(value) < 1_000 and (columns := plain_columns(value)) and _is_safe(name, columns):
            self._allowed.append(f"{name}:{columns}")
        elif "/*" in value:  # a comment without an end
            self._remove(name, value)
        elif name in ("background", "background-image", "background-color") and len(value) < 1_000:
            self._convert_background(name, value)
        elif name in ("color", "-webkit-text-fill-color"):
            self._convert_color(name, value)
        elif name == "font-size" and "(" in value:
            self._convert_size(value)
        elif name != "display" or self._plain["display"] != "none":
            self._remove(name, value)

    def _remove(self, name: str, value: str) -> None:
        if _ACTIVE.search(f"{name}:{value}"):
            self._removed.append(Removal.ACTIVE_STYLE)
        elif name in ALLOWED_PROPERTIES or (name in NOTICED_PROPERTIES and not self._does_nothing(name, value)):
            self._noticed.add(name)

    def _does_nothing(self, name: str, value: str) -> bool:
        """Return whether the element looks the same without a declaration."""
        if name == "position" and value.lower() == "relative":
            return all(
                (self._plain.get(side) or "auto") in NEUTRAL_VALUES for side in ("top", "right", "bottom", "left")
            )
        return value.lower() in NEUTRAL_VALUES

    def _convert_background(self, name: str, value: str) -> None:
        plain = plain_background(value)
        if _LOADING.search(value):
            self._removed.append(Removal.ACTIVE_STYLE)
        elif plain.has_gradient:
            self._noticed.add("gradient")
        elif name != "background-image" and not plain.color:
            self._remove(name, value)
        if value.lower() != "none" and BACKGROUND_LOST not in self._traits:
            self._traits += BACKGROUND_LOST
        has_own = name == "background-image" and any(
            read_color(part) for part in (self._plain.get("background-color", ""), self._plain.get("background", ""))
        )
        if plain.color and not has_own:
            self._allowed.append(f"{'background' if name == 'background' else 'background-color'}:{plain.color}")

    def _convert_color(self, name: str, value: str) -> None:
        color = read_color(value)
        if color and not (name != "color" and color.alpha < 0.1):
            self._allowed.append(f"color:{color.as_hex()}")
        elif name == "color":
            self._traits += COLOR_LOST
            self._remove(name, value)
        elif color:
            self._traits += DISGUISED

    def _convert_size(self, value: str) -> None:
        found = _LAST_LENGTH.search(value)
        if not any(digit in value for digit in "123456789"):
            self._allowed.append("font-size:0")
        elif found and value.lower().startswith(("clamp(", "min(", "max(")):
            self._allowed.append(f"font-size:{found[1]}")
        else:
            self._remove("font-size", value)

    def _fills_text_with_background(self) -> bool:
        """Give a text that shows its gradient (`background-clip: text`) the first colour of it."""
        clip = self._plain.get("background-clip", self._plain.get("-webkit-background-clip", ""))
        if clip != "text":
            return False
        source = self._plain.get("background-image", self._plain.get("background", ""))
        first = plain_background(source[:1_000]).color
        fill = read_color(self._plain.get("-webkit-text-fill-color", self._plain.get("color", "")))
        if first and (fill is None or fill.alpha < 0.1):
            self._declarations = [
                (name, value) for name, value in self._declarations if name not in ("color", "-webkit-text-fill-color")
            ]
            self._allowed.append(f"color:{first}")
            self._noticed.add("gradient")
        return True

    def _clears_floats(self) -> bool:
        overflow = self._plain.get("overflow", "visible")
        return overflow in ("hidden", "auto", "scroll") and self._plain.keys().isdisjoint(("display", "float"))


def declarations_of(style: str) -> Iterator[tuple[str, str]]:
    """Yield name and value of each declaration; a semicolon inside quotes or brackets separates nothing."""
    commented, end, rest = style.rpartition("*/")  # the search for an end that is missing would take quadratic time
    for declaration in _split(_COMMENT.sub(" ", commented + end) + rest):
        name, _, value = declaration.partition(":")
        if declaration.strip():
            yield name.strip().lower(), " ".join(value.split())


def write_declarations(declarations: Iterable[tuple[str, str]]) -> str:
    """Return the style attribute with these declarations."""
    return ";".join(f"{name}:{value}" for name, value in declarations)


def _split(style: str) -> list[str]:
    if not ('"' in style or "'" in style or "(" in style):
        return style.split(";")
    parts: list[str] = []
    start = depth = 0
    quote = ""
    for found in _SEPARATOR.finditer(style):
        mark = found[0]
        if quote:
            quote = "" if mark == quote else quote
        elif mark in "\"'":
            quote = mark
        elif mark == ";":
            if not depth:
                parts.append(style[start : found.start()])
                start = found.end()
        else:
            depth = max(0, depth + (1 if mark == "(" else -1))
    # With a quote or a bracket that stays open, every semicolon separates, so that no half of it is taken for safe.
    return style.split(";") if quote or depth else [*parts, style[start:]]


def _by_importance(declarations: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Put the important declarations last and drop the mark: Outlook ignores a declaration that has it."""
    important = [(name, _IMPORTANT.sub("", value)) for name, value in declarations if _IMPORTANT.search(value)]
    return [pair for pair in declarations if not _IMPORTANT.search(pair[1])] + important


def _is_safe(name: str, value: str) -> bool:
    if not _SAFE_VALUE.fullmatch(value) or value.count('"') % 2 or value.count("'") % 2 or "/*" in value:
        return False
    if name == "display" and "none" in value.lower():
        return False
    if "(" not in value:
        return True
    if _is_nested(value):
        return False
    functions = {function.lower() for function in _FUNCTION.findall(value)}
    if name in COLUMNS and _MANY_COLUMNS.search(value.partition("repeat(")[2].partition(",")[0]):
        return False
    return functions <= _functions_of(name)


def _is_nested(value: str) -> bool:
    """Return whether a bracket is open when another one opens: `nh3` would cut the value off there."""
    return bool(_NESTED.search(value))


def _functions_of(name: str) -> frozenset[str]:
    if name in COLUMNS:
        return COLUMN_FUNCTIONS
    return SIZE_FUNCTIONS if name in SIZES else _SAFE_FUNCTIONS


def plain_style(style: str) -> Mapping[str, str]:
    """Return each property of a sanitised style with its value in lower case."""
    return {name: value.lower() for name, value in declarations_of(style)}
