"""Writes style attributes, and attributes for Outlook, onto the parser's tokens.

Mail programs ignore style sheets, and Outlook for Windows renders with Word, which ignores much of CSS, so a table
also has the attributes of HTML 4. A background comes with a text colour, so that it stays readable where a mail program
turns the rest of the mail dark.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.token import Token

_FONT = "font-family:Calibri,Arial,sans-serif"
PAGE = f"{_FONT};font-size:11pt;line-height:1.4"
_FILLED = "background-color:#f3f3f3;color:#1f1f1f"
_CODE = f"font-family:Consolas,'Courier New',monospace;{_FILLED}"
_PRE = f"{_CODE};font-size:10pt;line-height:1.4;margin:0 0 12px;padding:8px;white-space:pre-wrap;word-wrap:break-word"
_LIST = "margin-top:0;margin-bottom:12px"
_WIDE = 5  # more columns than this are set smaller

# Outlook passes no font into a table, and neither does a browser for a page without a doctype.
_CELL = f"border:1px solid #bbbbbb;{_FONT};font-size:"
_USUAL_CELL = f"{_CELL}11pt;padding:4px 8px"
_WIDE_CELL = f"{_CELL}9pt;padding:3px 4px"
_TABLE = {"border": "1", "cellpadding": "5", "cellspacing": "0", "bordercolor": "#bbbbbb"}
_TABLE_STYLE = "border-collapse:collapse;margin:0 0 12px"
_ROW = {"valign": "top"}
_HEADER_ROW = {"valign": "top", "align": "left", "bgcolor": "#f3f3f3"}
_ATTRIBUTES: dict[str, dict[str, str]] = {
    "blockquote_open": {"style": "margin:0 0 12px 4px;padding:0 0 0 10px;border-left:3px solid #bbbbbb"},
    "code_inline": {"style": f"{_CODE};font-size:10pt;padding:0 3px"},
    "hr": {"style": "border:0;border-top:1px solid #bbbbbb;margin:12px 0"},
}
_HEADINGS = {"h1": "16pt", "h2": "14pt", "h3": "12pt"}
_ALIGNMENT = re.compile(r"text-align:(\w+)")
_LANGUAGE = re.compile(r"[\w+#.-]*")  # the word after the backticks, which is no part of the text


def style_tokens(tokens: Sequence[Token]) -> None:
    """Write the attributes onto `tokens`."""
    lists: list[_Numbers] = []
    cell_style = ""
    for position, token in enumerate(tokens):
        following = tokens[position + 1 : position + 3 * _WIDE + 6]  # the header cells of a table, up to one too many
        if token.type == "table_open":
            cell_style = _style_table(token, following)
        elif token.type == "tr_open":
            token.attrs.update(_HEADER_ROW if tokens[position - 1].type == "thead_open" else _ROW)
        elif token.type in ("th_open", "td_open"):
            _style_cell(token, cell_style)
        elif token.tag in ("ul", "ol", "li"):
            _style_list(token, following, lists)
        elif token.type == "heading_open":
            size = _HEADINGS.get(token.tag, "11pt")
            token.attrSet("style", f"font-size:{size};line-height:1.3;margin:16px 0 8px")
        for styled in (token, *(token.children or ())):
            styled.attrs.update(_ATTRIBUTES.get(styled.type, {}))


def _style_list(token: Token, following: Sequence[Token], lists: list[_Numbers]) -> None:
    if token.type == "list_item_open":
        lists[-1].style_item(token)
        _write_checkbox(token, following[:2])
    elif token.nesting == 1:
        token.attrs.pop("class", None)  # of a task list
        if not lists:
            token.attrSet("style", _LIST)
        lists.append(_Numbers(token))
    elif token.tag in ("ul", "ol"):
        lists.pop()


class _Numbers:
    """The numbers that a mail program gives the items of one list, beside those in the text."""

    def __init__(self, opening: Token) -> None:
        self._next = int(opening.attrGet("start") or 1)
        self._first: str | None = None

    def style_item(self, item: Token) -> None:
        """Write the number of the text onto `item` where it is another; but "1. 1. 1." means 1, 2, 3."""
        self._first = self._first if self._first is not None else item.info
        if item.info and item.info != self._first and int(item.info) != self._next:
            self._next = int(item.info)
            item.attrSet("value", item.info)
        self._next += 1


def _write_checkbox(item: Token, following: Sequence[Token]) -> None:
    """Write the box of a task before its text; a form element would be removed from a mail."""
    if "checked" not in item.meta:
        return
    item.attrs.pop("class", None)
    if item.markup in "*+-":
        item.attrSet("style", "list-style-type:none")
    box = Token("text", "", 0, content="☑ " if item.meta["checked"] else "☐ ")
    for token in following:
        if token.type == "inline" and token.children is not None:
            token.children.insert(0, box)


def _style_table(table: Token, beginning: Sequence[Token]) -> str:
    """Style the table, and return the style of its cells."""
    table.attrs.update({**_TABLE, "style": _TABLE_STYLE})
    is_wide = sum(token.type == "th_open" for token in beginning) > _WIDE
    return _WIDE_CELL if is_wide else _USUAL_CELL


def _style_cell(cell: Token, style: str) -> None:
    alignment = _ALIGNMENT.match(str(cell.attrs.get("style", "")))
    cell.attrs = {}
    if cell.type == "th_open":
        cell.attrs["scope"] = "col"
        style = f"{style};{_FILLED};text-align:{alignment[1] if alignment else 'left'}"
    elif alignment:
        style = f"{style};text-align:{alignment[1]}"
    if alignment:
        cell.attrs["align"] = alignment[1]
    cell.attrs["style"] = style


def render_fence(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """Return fenced code, in one block with a style of its own; a title after the language stands above it."""
    info = tokens[index].info.strip()
    title = "" if _LANGUAGE.fullmatch(info) else f"<p>{escapeHtml(info)}</p>\n"
    return f'{title}<pre style="{_PRE}"><code>{escapeHtml(tokens[index].content)}</code></pre>\n'


def enable_rendering(md: MarkdownIt) -> None:
    """Add the rules of rendering that attributes alone do not reach."""
    md.add_render_rule("fence", render_fence)
    md.add_render_rule("list_item_open", _render_token)  # in place of the library's, which writes a form element


def _render_token(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    return str(renderer.renderToken(tokens, index, options, env))
