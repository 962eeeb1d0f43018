"""Markdown to HTML that looks right in mail programs, which ignore style sheets. Knows nothing of the project.

CommonMark with tables and strikethrough; a line break stays one, as people expect of a mail. What comes out is not yet
clean: HTML in Markdown passes through, and `cleaning` judges it like any other.
"""

from __future__ import annotations

from markdown_it import MarkdownIt
from markdown_it.token import Token

MAX_CHARACTERS = 200_000  # at most two or three seconds of work

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
    """Return the HTML of `markdown`."""
    parser = _Parser("commonmark", {"html": True, "linkify": False, "breaks": True, "maxNesting": 100})
    parser.enable(["table", "strikethrough"])
    tokens = parser.parse(markdown)
    _add_styles(tokens)
    return f'<div style="{_PAGE}">\n{parser.renderer.render(tokens, parser.options, {})}</div>'


def _add_styles(tokens: list[Token]) -> None:
    for token in tokens:
        if style := _STYLES.get(token.type):
            own = token.attrGet("style")  # the alignment of a table's column
            token.attrSet("style", f"{style};{own}" if own else style)
        _add_styles(token.children or [])
