"""Sanitises style attributes: allowed declarations stay, all others are removed and counted."""

from __future__ import annotations

import re
from collections.abc import Iterator

from m365_mcp.mail.html.removals import Removal
from m365_mcp.mail.text import words

_SIDES = ("top", "right", "bottom", "left")
_BOXES = {f"{box}{side}" for box in ("margin", "padding", "border") for side in ("", *(f"-{side}" for side in _SIDES))}
_LINES = {f"border{side}-{part}" for side in ("", *(f"-{s}" for s in _SIDES)) for part in ("color", "style", "width")}

# Fonts, colours, sizes, alignment, tables, lists. Not properties that hide, move or cover text (position, visibility,
# opacity, z-index, overflow, clip, transform) or add text (content).
ALLOWED_PROPERTIES = frozenset(
    _BOXES
    | _LINES
    | words(
        "background background-color border-collapse border-radius border-spacing caption-side clear color direction "
        "display empty-cells float font font-family font-size font-style font-variant font-weight height "
        "letter-spacing line-height list-style list-style-position list-style-type max-height max-width min-height "
        "min-width overflow-wrap table-layout text-align text-decoration text-decoration-color text-decoration-line "
        "text-decoration-style text-indent text-transform vertical-align white-space width word-break word-spacing "
        "word-wrap"
    )
)

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_FUNCTION = re.compile(r"(?<![\w-])([\w-]*+)\s*+\(")  # matches only at the start of a word, so its time is linear
_SAFE_FUNCTIONS = frozenset({"rgb", "rgba", "hsl", "hsla"})
_SAFE_VALUE = re.compile(r"[\w\s#%.,!+'\"()/-]+")
# Functions that load (CSS Images, CSS Values), Internet Explorer's expression() and behavior, Gecko's -moz-binding. A
# backslash counts too, because an escape can spell any of them in a hidden way.
_ACTIVE = re.compile(
    r"url|expression|image|element|cross-fade|attr|src|behavior|binding|@import|script|data:|\\", re.IGNORECASE
)


def sanitize_style(style: str) -> tuple[str, list[Removal]]:
    """Return the allowed declarations of a style attribute, and one `Removal` for each that was removed."""
    allowed: list[str] = []
    removed: list[Removal] = []
    for name, value in _declarations(style):
        if name in ALLOWED_PROPERTIES and _is_safe(name, value):
            allowed.append(f"{name}:{value}")
        else:
            removed.append(Removal.ACTIVE_STYLE if _ACTIVE.search(f"{name}:{value}") else Removal.STYLE)
    return ";".join(allowed), removed


def _declarations(style: str) -> Iterator[tuple[str, str]]:
    # In CSS a semicolon inside quotes or brackets separates nothing. Here it does, and both halves are removed.
    commented, end, rest = style.rpartition("*/")  # the search for an end that is missing would take quadratic time
    for declaration in (_COMMENT.sub(" ", commented + end) + rest).split(";"):
        name, _, value = declaration.partition(":")
        if declaration.strip():
            yield name.strip().lower(), " ".join(value.split())


def _is_safe(name: str, value: str) -> bool:
    if not _SAFE_VALUE.fullmatch(value) or value.count('"') % 2 or value.count("'") % 2:
        return False
    if name == "display" and "none" in value.lower():
        return False
    return {function.lower() for function in _FUNCTION.findall(value)} <= _SAFE_FUNCTIONS
