"""Finds the marks of Markdown in a text that may be none.

A wrong guess spoils a plain letter, so one asterisk, underscore or hash proves nothing: `5 * 3 * 2`, `snake_case`,
`# 1 in the list`. A heading, a list of two items, a fence, a table, or two marks in the text do (CommonMark 4.2, 4.5,
5.2; GFM 4.10). Every pattern takes linear time, and looks at no more text than the Markdown parser accepts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice

from m365_mcp.mail.markdown import MAX_CHARACTERS

_WORD = r"0-9A-Za-z_\u00c0-\u024f"  # letters of scripts with spaces between words; between others ** needs none
_BOLD = re.compile(rf"(?<![{_WORD}*\\])\*\*(?=[^\s*/])(?=[^*\n]*\w)[^*\n]*[^\s*\\]\*\*(?![{_WORD}*])")
_LINK = re.compile(r"(?<!\\)\[[^\[\]\n]{1,200}\]\((?:https?://|mailto:)[^\s()]{1,2000}\)")
_BLANK = r"[ \t\u2028]*+"
_TITLE = r"#[ \t]++(?!\d++[ \t]++[a-z]|of\b)[^\s#]"  # no heading: "# 1 in the list", "# of seats: 5"
_HEADING = re.compile(
    rf"^ {{0,3}}#{{2,6}}[ \t]++[^\s#]|(?:\A|^{_BLANK}\n) {{0,3}}{_TITLE}|^ {{0,3}}{_TITLE}.*\n{_BLANK}$", re.MULTILINE
)
_BETWEEN = r".*\n(?:[ \t]*+\n|[ \t]++\S.*\n)*?"  # the rest of an item, and what is indented below it
_ITEM = r"[ \t]++(?![-*_ \t]++$)\S"
_LIST = re.compile(
    rf"^ {{0,3}}(?:([-*]){_ITEM}{_BETWEEN} {{0,3}}\1{_ITEM}|1([.)]){_ITEM}{_BETWEEN} {{0,3}}[12]\2{_ITEM})",
    re.MULTILINE,
)
_ITEMS = ("- ", "* ", "-\t", "*\t", "1.", "1)")  # one of them is in every list; a search for them is fast
_SINGLE_ITEM = re.compile(rf"^ {{0,3}}[-*]{_ITEM}", re.MULTILINE)
_FENCE = re.compile(r"^ {0,3}(?:```|~~~)[^\n`]*$", re.MULTILINE)
_FENCE_END = re.compile(r"^ {0,3}(?:`{3,}|~{3,})[ \t]*+$", re.MULTILINE)
_DELIMITER_ROW = re.compile(r"^[ \t]*+\|?(?:[ \t]*+:?-++:?[ \t]*+\|)++(?:[ \t]*+:?-++:?)?[ \t]*+$", re.MULTILINE)


@dataclass(frozen=True)
class MarkdownMarks:
    """The marks of Markdown in a text.

    Attributes:
        has_list: whether there is a list of two items or more; it can be read in plain text as well.
        has_other_block: whether there is a heading, a fence or a table.
        inline: how many pieces in bold and links there are; two are counted.
        has_item: whether a line begins as an item of a list does.
    """

    has_list: bool
    has_other_block: bool
    inline: int
    has_item: bool

    @property
    def is_markdown(self) -> bool:
        """Whether the text was meant as Markdown."""
        return self.has_list or self.has_other_block or self.inline + self.has_item > 1

    @property
    def spoil_plain_text(self) -> bool:
        """Whether a reader of plain text notices the marks."""
        return self.has_other_block or self.inline > 0


def find_marks(text: str) -> MarkdownMarks:
    """Return the marks of Markdown in `text`, whose line breaks are line feeds."""
    text = text[:MAX_CHARACTERS]
    return MarkdownMarks(
        has_list=has_list(text),
        has_other_block=bool("#" in text and _HEADING.search(text)) or _has_fence(text) or _has_table(text),
        inline=_count_inline(text),
        has_item=bool(_SINGLE_ITEM.search(text)),
    )


def has_list(text: str) -> bool:
    """Return whether `text` has a list of two items."""
    return any(mark in text for mark in _ITEMS) and bool(_LIST.search(text[:MAX_CHARACTERS]))


def _count_inline(text: str) -> int:
    bold = islice(_BOLD.finditer(text), 2) if "**" in text else ()
    links = islice(_LINK.finditer(text), 2) if "](" in text else ()
    return len([*bold, *links])


def _has_fence(text: str) -> bool:
    opening = _FENCE.search(text)
    return bool(opening and _FENCE_END.search(text, opening.end()))


def _has_table(text: str) -> bool:
    for row in _DELIMITER_ROW.finditer(text):
        above = text[text.rfind("\n", 0, max(row.start() - 1, 0)) + 1 : max(row.start() - 1, 0)]
        if above.strip().strip("|").count("|") == row[0].strip().strip("|").count("|") and "|" in above:
            return True
    return False
