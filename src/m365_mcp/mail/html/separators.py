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


class Gap(IntEnum):
    """A place between two texts where an element began or ended.

    BLANK: at least a blank stays. SOFT: likewise, and where two of them meet, a line ends. LINE: a line ends.
    """

    BLANK = 1
    SOFT = 2
    LINE = 3


def close_gaps(pieces: Iterable[Token | Gap]) -> Iterator[Token]:
    """Put a blank or a <br> where a gap has text on both sides, and neither keeps them apart already."""
    last, gap = "", 0  # the last character of the line, and the widest gap after it
    for piece in pieces:
        if isinstance(piece, Gap):
            if last:
                gap = Gap.LINE if min(gap, piece) >= Gap.SOFT else max(gap, piece)
            continue
        if isinstance(piece, Text):
            if gap and piece.raw and not piece.raw.isspace():
                yield from _fill(gap, last, piece.raw[0])
                gap = 0
            if piece.raw:
                last = piece.raw[-1] if last or not piece.raw.isspace() else ""
        elif piece.name in _LINE_ENDS:
            last, gap = "", 0
        elif piece.name == "img" and isinstance(piece, Start):
            yield from _fill(gap, last, "i") if gap else ()
            last, gap = "i", 0
        yield piece


def _fill(gap: int, before: str, after: str) -> Iterator[Token]:
    if gap == Gap.LINE:
        yield Start("br")
    elif before not in _NO_BLANK_AFTER and after not in _NO_BLANK_BEFORE:
        yield Text(" ")
