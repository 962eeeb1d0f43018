"""Block rules that differ from CommonMark, each a check around the library's own rule.

CommonMark is made for documents. A letter has lines that only look like its blocks: a year with a full stop, a number
after `>`, a placeholder in angle brackets, a note after a word in brackets. And what follows a list or a quoted mail
without an empty line is the writer's next line, not its continuation (CommonMark calls it lazy).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from markdown_it import MarkdownIt, rules_block
from markdown_it.common.html_blocks import block_names
from markdown_it.common.utils import normalizeReference
from markdown_it.rules_block import StateBlock
from markdown_it.token import Token

BlockRule = Callable[[StateBlock, int, int, bool], bool]

USED_LABELS = "used_labels"  # in the parser's environment: the labels in brackets that the text refers to

# A year or another large number with a full stop, and a mark without text, begin no list.
_NO_LIST = re.compile(r"\d{4,}[.)]|(?:[-+*]|\d+[.)])[ \t]*+$", re.MULTILINE)
_NO_HEADING = re.compile(r"#++[ \t]*+$", re.MULTILINE)
# A comparison, and a mark without text, begin no quote; but a number does if the next line is quoted too.
_NO_QUOTE = re.compile(r">(?:=|(?:[-+~]?[$€£]?\d[^\n]*+|[ \t]*+)(?:\Z|\n(?![ \t]*+>)))")
_HTML_NAMES = "|".join((*block_names, "script", "pre", "style", "textarea"))
_HTML_BLOCK = re.compile(rf"<(?:[!?]|/?(?:{_HTML_NAMES})(?:[\s/>]|$))", re.IGNORECASE | re.MULTILINE)
_DEFINITION = re.compile(r"\[([^\[\]\n]+)\]:[ \t]*+<?(?:https?:|mailto:|tel:|cid:|www\.|#)", re.IGNORECASE)
_LABEL = re.compile(r"(^[ \t>]*+)?\[([^\[\]\n]{1,300})\](:?)", re.MULTILINE)
_CELL_END = re.compile(r"(?<!\\)\|")


def labels_used(markdown: str) -> frozenset[str]:
    """Return the labels in brackets that are no definition at the beginning of a line."""
    return frozenset(
        normalizeReference(found[2])
        for found in _LABEL.finditer(markdown)
        if found[1] is None or not found[3]  # no line begins here, or no colon follows
    )


def enable_block_rules(md: MarkdownIt) -> None:
    """Replace and add the rules of this module, and switch off those that letters must not have."""
    md.disable(["code", "lheading"])
    rules = md.block.ruler
    # A quote ends at any line without its mark (`_is_lazy`), so no other rule has to end one.
    rules.at("list", _unless(_NO_LIST, rules_block.list_block), {"alt": ["paragraph", "reference"]})
    rules.at("blockquote", _unless(_NO_QUOTE, rules_block.blockquote), {"alt": ["paragraph", "reference"]})
    rules.at("heading", _unless(_NO_HEADING, rules_block.heading), {"alt": ["paragraph", "reference"]})
    rules.at("html_block", _html_block, {"alt": ["paragraph", "reference"]})
    rules.at("reference", _reference, {"alt": ["paragraph"]})
    rules.at("table", _table, {"alt": ["paragraph", "reference"]})
    rules.before("paragraph", "not_lazy", _is_lazy, {"alt": ["paragraph", "blockquote"]})


def text_of_line(state: StateBlock, line: int) -> str:
    """Return a line without the marks of the quotes and lists around it."""
    return state.src[_begin(state, line) : state.eMarks[line]]


def _begin(state: StateBlock, line: int) -> int:
    return state.bMarks[line] + state.tShift[line]


def _unless(pattern: re.Pattern[str], rule: BlockRule) -> BlockRule:
    """Return `rule`, but without a match where the line begins with `pattern`."""

    def checked(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
        return not pattern.match(state.src, _begin(state, start_line)) and rule(state, start_line, end_line, silent)

    return checked


def _html_block(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Begin a block of HTML at a block tag only: `<Name>` alone in a line is text, or a tag inside a paragraph."""
    begins = _HTML_BLOCK.match(state.src, _begin(state, start_line))
    return bool(begins) and rules_block.html_block(state, start_line, end_line, silent)


def _reference(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Take a definition out of the text only if it has an address and the text refers to it; else it would be lost."""
    found = _DEFINITION.match(state.src, _begin(state, start_line))
    if not found or normalizeReference(found[1]) not in state.env[USED_LABELS]:
        return False
    return rules_block.reference(state, start_line, end_line, silent)


def _table(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Read a table, and keep the cells of a row that has more than the header; the library drops them."""
    first = len(state.tokens)
    if not rules_block.table(state, start_line, end_line, silent):
        return False
    cells: list[Token] = []
    columns = line = 0
    for token in state.tokens[first:]:
        if token.type == "tr_open" and token.map:
            cells, line = [], token.map[0]
        elif token.type == "inline":
            cells.append(token)
        elif token.type == "thead_close":
            columns = len(cells)
        elif token.type == "tr_close" and columns:
            _keep_surplus(cells, text_of_line(state, line))
    return True


def _keep_surplus(cells: list[Token], row: str) -> None:
    if row.count("|") < len(cells):
        return
    pieces = _CELL_END.split(row.strip().removeprefix("|"))
    if not pieces[-1].strip():
        pieces.pop()
    if len(pieces) > len(cells):
        surplus = (piece.strip().replace("\\|", "|") for piece in pieces[len(cells) - 1 :])
        cells[-1].content = " | ".join(surplus)


def _is_lazy(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Return whether this line, without a mark or an indentation, ends what the lines before it belong to."""
    if not silent:
        return False
    if state.parentType == "table":
        return "|" not in text_of_line(state, start_line)
    return state.parentType == "blockquote" or state.sCount[start_line] < state.blkIndent
