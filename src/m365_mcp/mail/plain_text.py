"""Renders plain text as HTML: paragraphs at empty lines, `<br>` at single line breaks, nothing read as markup.

Mail programs show a run of spaces in HTML as one. So indentation becomes no-break spaces, and a table that is drawn
with spaces and lines stays in a font whose characters have one width.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from html import escape

from m365_mcp.mail.markdown.links import without_what_follows

_FONT = "font-family:Calibri,Arial,sans-serif;font-size:11pt"
_MOST_LINES = 5_000  # a longer text becomes one element, so that it stays below the limits of the sanitizer
_MOST_SPACES = 20_000
_MOST_LINKS = 2_000

_PARAGRAPHS = re.compile(r"\n(?:[ \t]*\n)+")
_SPACES = re.compile(r"(?m)^[ \t]+|[ \t]{2,}|\t")
_ADDRESS = re.compile(r"\bhttps?://[^\s<>\"'“”‘’«»（）「」，。、；]+")
_DRAWN = re.compile(r"\S(?: {3,}|\t+| +\| +)\S|^\s*(?:\+-|\|.*\|\s*$)|[\u2500-\u257f]")


def render_plain_text(text: str) -> str:
    """Return the HTML of `text`, whose line breaks are line feeds. One line gets no element of its own."""
    text = text.rstrip().lstrip("\n")
    if text.count("\n") > _MOST_LINES or text.count("  ") + 2 * text.count("\t") > _MOST_SPACES:
        return f'<pre style="{_FONT};white-space:pre-wrap">{escape(text, quote=False)}</pre>'
    if text.startswith((" ", "\t")):
        text = textwrap.dedent(text) if "\n" in text else text.lstrip()
    write = _link_addresses if 0 < text.count("://") <= _MOST_LINKS else _escape
    if "\n" not in text:
        return _keep_spaces(write(text))
    paragraphs = [_render_paragraph(paragraph, write(paragraph)) for paragraph in _PARAGRAPHS.split(text)]
    return f'<div style="{_FONT}">\n' + "\n".join(paragraphs) + "\n</div>"


def _render_paragraph(paragraph: str, html: str) -> str:
    lines = paragraph.split("\n")
    if sum(1 for line in lines if _DRAWN.search(line)) > 1:
        return f'<pre style="font-family:Consolas,monospace;white-space:pre-wrap">{html}</pre>'
    direction = ' dir="rtl"' if _is_right_to_left(paragraph) else ""
    return f"<p{direction}>{'<br>'.join(_keep_spaces(line.rstrip()) for line in html.split(chr(10)))}</p>"


def _keep_spaces(line: str) -> str:
    return _SPACES.sub(_as_no_break_spaces, line)


def _as_no_break_spaces(found: re.Match[str]) -> str:
    width = len(found[0].expandtabs(4))
    if found.start() == 0:
        return "\u00a0" * width
    return "\u00a0" * (width - 1) + " "  # a line may still be wrapped here


def _is_right_to_left(paragraph: str) -> bool:
    """Return whether the first letter with a direction belongs to a right-to-left script (UAX 9, P2)."""
    for character in paragraph:
        direction = unicodedata.bidirectional(character)
        if direction in ("L", "R", "AL"):
            return direction != "L"
    return False


def _escape(text: str) -> str:
    return escape(text, quote=False)


def _link_addresses(text: str) -> str:
    parts, position = [], 0
    for found in _ADDRESS.finditer(text):
        address = without_what_follows(found[0])
        end = found.start() + len(address)
        parts += [_escape(text[position : found.start()]), f'<a href="{escape(address)}">{_escape(address)}</a>']
        position = end
    return "".join((*parts, _escape(text[position:])))
