"""Prepares a letter that nobody said to be Markdown, so that the Markdown parser keeps its lines where they are.

In Markdown, a line directly below a list or a quote belongs to it (CommonMark 5.1 and 5.2, "laziness"), and one below a
table is a row (GFM 4.10). So a signature would become part of the last item, and an answer part of the quote.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from m365_mcp.mail.markdown_marks import DELIMITER_ROW

_FENCE = re.compile(r" {0,3}(```|~~~)")
_ITEM = re.compile(r" {0,3}(?:[-*+]|\d{1,9}[.)])[ \t]")
_NUMBERED = re.compile(r"( {0,3}(\d{1,9}))([.)][ \t].*)")
_WRAPPED = 60  # characters; a program may have wrapped a line that is longer


@dataclass
class _Place:
    """Where in the letter a line stands.

    Attributes:
        fence: the mark of the open fence.
        block: the block that the line above belongs to: `list`, `quote`, `table`, or empty.
        number: the number of the last item of a numbered list; 0: there is no such list.
        above: the line above.
    """

    fence: str = ""
    block: str = ""
    number: int = 0
    above: str = ""


def separate_blocks(text: str) -> str:
    """Return `text` with an empty line below each list, quote and table that another line follows.

    A number that does not continue the list above stays as written; a parser would count on.
    """
    place, lines = _Place(), list[str]()
    for line in text.split("\n"):
        if found := _FENCE.match(line):
            place = _Place(fence=found[1] if not place.fence else place.fence.replace(found[1], ""))
        elif not place.fence:
            if _is_lazy(line, place):
                lines.append("")
            line = _keep_number(line, place)
            place.block = _block_of(line, place)
        place.above = line
        lines.append(line)
    return "\n".join(lines)


def _is_lazy(line: str, place: _Place) -> bool:
    if not place.block or not line.strip():
        return False
    if place.block == "list":
        return not (line.startswith((" ", "\t")) or _ITEM.match(line) or len(place.above) > _WRAPPED)
    return not (line.lstrip().startswith(">") if place.block == "quote" else "|" in line)


def _block_of(line: str, place: _Place) -> str:
    if not line.strip():
        return ""
    if _ITEM.match(line):
        return "list"
    if line.lstrip().startswith(">"):
        return "quote"
    if "|" in line:
        return "table" if place.block == "table" or DELIMITER_ROW.fullmatch(line) else ""
    continues = line.startswith((" ", "\t")) or len(place.above) > _WRAPPED
    return "list" if place.block == "list" and continues else ""


def _keep_number(line: str, place: _Place) -> str:
    if found := _NUMBERED.fullmatch(line):
        number = int(found[2])
        if place.number and number not in (1, place.number + 1):
            return f"{found[1]}\\{found[3]}"
        place.number = number
    elif line.strip() and not line.startswith((" ", "\t")):
        place.number = 0
    return line
