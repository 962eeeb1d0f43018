"""Markdown to HTML that looks right in mail programs, which ignore style sheets.

CommonMark with tables and strikethrough; a line break stays one, as people expect of a mail. What comes out is not yet
clean: HTML in Markdown passes through, and `cleaning` judges it like any other.
"""

from __future__ import annotations

from markdown_it import MarkdownIt
from markdown_it.token import Token

from m365_mcp.errors import InvalidArgument

MAX_CHARACTERS = 200_000  # at most a few seconds of work

MAX_NESTING = 30  # quotes and lists in one another; time grows with it

_PAGE = "font-family:Calibri,Arial,sans-serif;font-size:11pt;line-height:1.4"
_CODE = "font-family:Consolas,monospace;background-color:#f3f3f3"
_STYLES = {
    "blockquote_open": "margin:0 0 0 8px;padding-left:10px;border-left:3px solid #cccccc;color:#555555",
    "code_inline": f"{_CODE};padding:1px 3px",
    "code_block": f"{_CODE};padding:8px",
    "fence": f"{_CODE};padding:8px",
    "table_open": "border-collapse:collapse",
    "th_open": "border:1px solid #bbbbbb;padding:4px 8px;background-color:#f3f3f3",
    "td_open": "border:1px solid #bbbbbb;padding:4px 8px",
}


class _Parser(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # noqa: N802, the library's name
        # Addresses are judged, and reported, in one place; here a refused one would stay as raw Markdown.
        return True


def render_markdown(markdown: str) -> str:
    """Return the HTML of `markdown`. Raises InvalidArgument when it is nested too deeply."""
    parser = _Parser("commonmark", {"html": True, "linkify": False, "breaks": True, "maxNesting": MAX_NESTING})
    parser.enable(["table", "strikethrough"])
    tokens = parser.parse(markdown)
    if any(token.level >= MAX_NESTING - 1 for token in tokens):  # the library leaves out what is deeper
        raise InvalidArgument("'body' has Markdown quotes or lists nested too deeply.", advice="Nest them less.")
    _add_styles(tokens)
    return f'<div style="{_PAGE}">\n{parser.renderer.render(tokens, parser.options, {})}</div>'


def _add_styles(tokens: list[Token]) -> None:
    for token in tokens:
        if style := _STYLES.get(token.type):
            own = token.attrGet("style")  # the alignment of a table's column
            token.attrSet("style", f"{style};{own}" if own else style)
        _add_styles(token.children or [])
