"""Shows the state of form controls as text: a reader cannot change them, but can read what they say."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from m365_mcp.mail.html.separators import Separator
from m365_mcp.mail.html.tokens import Start, Text, Token

_MARKS = {"checkbox": ("☐", "☑"), "radio": ("○", "◉")}
_WITHOUT_TEXT = frozenset({"hidden", "file", "range", "color"})


def input_text(tag: Start) -> str:
    """Return what a reader sees of an <input>; HTML, without tags."""
    kind = tag.attributes.get("type", "text").strip().lower()
    if kind in _MARKS:
        return _MARKS[kind]["checked" in tag.attributes]
    if kind in _WITHOUT_TEXT:
        return ""
    value = tag.attributes.get("value", "")
    if kind == "password":
        return "••••" if value else ""
    if kind == "image":
        value = tag.attributes.get("alt", "")
    return escape(value or tag.attributes.get("placeholder", ""), quote=False)


def gauge_text(tag: Start) -> str:
    """Return what a reader sees of a <progress> or a <meter>: its value, as a share of `max`; empty: it has none."""
    try:
        value, most = float(tag.attributes["value"]), float(tag.attributes.get("max") or 1)
    except (KeyError, ValueError):
        return ""
    if not 0 <= value <= most:
        return ""
    return f"{value / most:.0%}" if tag.name == "progress" or most == 1 else f"{value:g}/{most:g}"


class Selection:
    """An open <select>, whose options stand in one line, the selected ones marked."""

    def __init__(self, tag: Start) -> None:
        self._marks = _MARKS["checkbox" if "multiple" in tag.attributes else "radio"]

    def option(self, tag: Start) -> Iterator[Token | Separator]:
        """Return what stands before the text of an option."""
        yield Separator.BLANK
        yield Text(f"{self._marks['selected' in tag.attributes]} ")
        yield Text(escape(tag.attributes.get("label", ""), quote=False))


def lines_of(text: str) -> Iterator[Token]:
    """Return the lines of a <textarea>."""
    for number, line in enumerate(text.removeprefix("\n").split("\n")):
        if number:
            yield Start("br")
        yield Text(line)
