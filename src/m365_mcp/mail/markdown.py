"""Renders Markdown as HTML with style attributes, because mail programs ignore style sheets.

The dialect is CommonMark with tables and strikethrough; a line break stays a line break, as people expect in a mail.
HTML inside Markdown passes through, so the caller must sanitise the result (`mail.html.sanitizing`).
"""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from m365_mcp.errors import BodyTooComplex, InvalidArgument

MAX_CHARACTERS = 200_000
MAX_NESTING = 30  # levels of nested quotes and lists; parsing time grows with them
MAX_CELLS = 13_000  # of all tables; counted before the parser starts
# A step is one attempt of the parser to match a rule: at each line or block, and at each character that can begin
# markup (an asterisk, a bracket, a line break, …). Parsing time is proportional to the steps.
MAX_STEPS = 50_000
_LINK_STEPS = 10  # the cost of an address, in steps
_BLOCK_STEPS = 3  # the cost of a new block, in steps

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
_DELIMITER_ROW = re.compile(r"[\s>]*+[-:|][-:|\s]*+")  # the second line of a table (GFM 4.10), in a quote or list too


def _parse_inline(state: StateCore) -> None:
    """Parse inline markup as the library's rule does, but copy a text without markup as it is, which is much faster."""
    inline = state.md.inline
    for token in state.tokens:
        if token.type == "inline":
            token.children = token.children or []
            if inline.terminator_re.search(token.content):
                inline.parse(token.content, state.md, state.env, token.children)
            elif token.content:
                token.children.append(Token("text", "", 0, content=token.content))


class _Parser(MarkdownIt):
    def __init__(self) -> None:
        super().__init__("commonmark", {"html": True, "linkify": False, "breaks": True, "maxNesting": MAX_NESTING})
        self._steps = 0
        self.enable(["table", "strikethrough"])
        self.core.ruler.at("inline", _parse_inline)
        self.inline.ruler.before("text", "steps", self._inline_step)
        self.block.ruler.before(
            "table", "steps", self._block_step, {"alt": ["paragraph", "reference", "blockquote", "list"]}
        )

    def validateLink(self, url: str) -> bool:  # noqa: N802, the library's name
        # The sanitizer checks and reports addresses. If the parser refused one, its raw Markdown would stay.
        return True

    def normalizeLink(self, url: str) -> str:  # noqa: N802, the library's name
        self._count(_LINK_STEPS)
        return super().normalizeLink(url)

    def _inline_step(self, state: StateInline, silent: bool) -> bool:
        return self._count(1)

    def _block_step(self, state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
        return self._count(1 if silent else _BLOCK_STEPS)

    def _count(self, steps: int) -> bool:
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise BodyTooComplex(f"'body' has Markdown that takes more than {MAX_STEPS:,} steps to read.")
        return False  # this rule matches nothing, so the parser tries the next one


def render_markdown(markdown: str) -> str:
    """Return the HTML of `markdown`.

    Raises:
        BodyTooComplex: the Markdown exceeds a limit of this module.
        InvalidArgument: its quotes or lists are nested too deeply.
    """
    if _count_cells(markdown) > MAX_CELLS:
        raise BodyTooComplex(f"'body' has more than {MAX_CELLS:,} table cells.")
    parser = _Parser()
    tokens = parser.parse(markdown)
    if any(token.level >= MAX_NESTING - 1 for token in tokens):  # the library drops deeper text
        raise InvalidArgument("'body' has Markdown quotes or lists nested too deeply.", advice="Nest them less.")
    _add_styles(tokens)
    return f'<div style="{_PAGE}">\n{parser.renderer.render(tokens, parser.options, {})}</div>'


def _count_cells(markdown: str) -> int:
    """Return the largest possible number of table cells in `markdown`: columns times lines, down to a blank line."""
    cells = columns = 0
    before = ""
    for line in markdown.splitlines():
        if "|" in before and _DELIMITER_ROW.fullmatch(line):
            columns = line.strip(" \t>").strip("|").count("|") + 1
        elif not line.strip(" \t>"):
            columns = 0
        cells += columns
        before = line
    return cells


def _add_styles(tokens: list[Token]) -> None:
    for token in tokens:
        if style := _STYLES.get(token.type):
            own = token.attrGet("style")  # the alignment of a table's column
            token.attrSet("style", f"{style};{own}" if own else style)
        _add_styles(token.children or [])
