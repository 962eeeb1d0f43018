"""Keeps texts apart whose elements are removed: `<label>Name</label><label>Age</label>` must not become `NameAge`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum

from m365_mcp.mail.html.elements import FORMATTING
from m365_mcp.mail.html.rules import ALLOWED_ELEMENTS
from m365_mcp.mail.html.tokens import Start, Text, Token

_INSIDE_A_LINE = FORMATTING | {"wbr", "img"}
_LINE_ENDS = ALLOWED_ELEMENTS - _INSIDE_A_LINE
_NO_BLANK_AFTER = frozenset("([{«„‚¿¡（「『《【/ \t\n\r\f\xa0")
_NO_BLANK_BEFORE = frozenset(".,;:!?)]}»…%）」』》】、。，；：！？/ \t\n\r\f\xa0")


class Separator(IntEnum):
    """A place between two texts where an element began or ended.

    BLANK: at least a blank stays. SOFT: likewise, and where two of them meet, a line ends. LINE: a line ends.
    """

    BLANK = 1
    SOFT = 2
    LINE = 3


def write_separators(pieces: Iterable[Token | Separator]) -> Iterator[Token]:
    """Put a blank or a <br> where a separator has text on both sides, and neither keeps them apart already."""
    last, separator = "", 0  # the last character of the line, and the widest separator after it
    for piece in pieces:
        if isinstance(piece, Separator):
            if last:
                separator = Separator.LINE if min(separator, piece) >= Separator.SOFT else max(separator, piece)
            continue
        if isinstance(piece, Text):
            if separator and piece.raw and not piece.raw.isspace():
                yield from _fill(separator, last, piece.raw[0])
                separator = 0
            if piece.raw:
                last = piece.raw[-1] if last or not piece.raw.isspace() else ""
        elif piece.name in _LINE_ENDS:
            last, separator = "", 0
        elif piece.name == "img" and isinstance(piece, Start):
            yield from _fill(separator, last, "i") if separator else ()
            last, separator = "i", 0
        yield piece


def _fill(separator: int, before: str, after: str) -> Iterator[Token]:
    if separator == Separator.LINE:
        yield Start("br")
    elif before not in _NO_BLANK_AFTER and after not in _NO_BLANK_BEFORE:
        yield Text(" ")
