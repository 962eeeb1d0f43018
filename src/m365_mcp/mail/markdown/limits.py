"""Limits on the work of rendering one Markdown body, and the counts that need no parser.

Measurements set each limit, as they do for HTML (`mail.html.limits`).
"""

from __future__ import annotations

import re

from m365_mcp.errors import BodyTooComplex

MAX_CHARACTERS = 200_000
MAX_NESTING = 30  # levels of nested quotes and lists; parsing time grows with them
MAX_CELLS = 13_000  # of all tables; counted before the parser starts
_TABLE_CELLS = 4  # the cost of a table itself, in cells
# A step is one attempt of the parser to match a rule: at each line or block, and at each character that can begin
# markup (an asterisk, a bracket, a line break, …). Parsing time is proportional to the steps.
MAX_STEPS = 50_000
ADDRESS_STEPS = 10  # the cost of an address, in steps
BLOCK_STEPS = 3  # the cost of a new block, in steps

_DELIMITER_ROW = re.compile(r"[\s>]*+[-:|][-:|\s]*+")  # the second line of a table (GFM 4.10), in a quote or list too


def check_cells(markdown: str) -> None:
    """Raise BodyTooComplex if `markdown` can have more than `MAX_CELLS` table cells: columns times lines."""
    cells = columns = 0
    before = ""
    for line in markdown.splitlines():
        if "|" in before and _DELIMITER_ROW.fullmatch(line):
            columns = line.strip(" \t>").strip("|").count("|") + 1
            cells += _TABLE_CELLS
        elif not line.strip(" \t>"):
            columns = 0
        cells += columns
        before = line
    if cells > MAX_CELLS:
        raise BodyTooComplex(f"'body' has more than {MAX_CELLS:,} table cells.")


class Steps:
    """Counts the steps of one parser."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, steps: int) -> None:
        """Count `steps`. Raises BodyTooComplex after `MAX_STEPS`."""
        self._count += steps
        if self._count > MAX_STEPS:
            raise BodyTooComplex(f"'body' has Markdown that takes more than {MAX_STEPS:,} steps to read.")
