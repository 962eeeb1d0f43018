"""Keeps the line breaks of a text with some HTML in it, which a browser would show as spaces.

Where no element begins a line, every line break was meant. In a text with block elements, a line break was meant
outside all of them, or where an empty line or a list stands in the text; elsewhere it is a line break of the source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from m365_mcp.mail.html.elements import VOID_ELEMENTS
from m365_mcp.mail.markdown_marks import has_list
from m365_mcp.mail.markup import BLOCKS, PREFORMATTED, Tag, is_document

_EMPTY_LINE = re.compile(r"\n[ \t]*+\n")
_SHORT = 60  # characters; where a line and the next word have space in that, no program has wrapped the line
_CLOSED_BY_BLOCK = frozenset({"p"})  # WHATWG HTML 13.2.6.4.7: the start of a block ends an open paragraph


class _Run(NamedTuple):
    """The text between two tags that begin a line.

    Attributes:
        start, end: where it stands.
        tags: the tags of formatting inside it.
        parent: the block element around it; None at the top.
    """

    start: int
    end: int
    tags: Sequence[Tag]
    parent: Tag | None


def keep_line_breaks(text: str, tags: Sequence[Tag]) -> str:
    """Return `text` with a `<br>` for every line break that was meant; `text` itself if there is none."""
    if is_document(list(tags)):
        return text
    runs = list(_read_runs(text, tags))
    is_inline = not any(tag.name in BLOCKS for tag in tags)
    if is_inline and any(tag.name == "br" for tag in tags):
        meant = runs if any(_EMPTY_LINE.search(text, *_bounds_of_text(text, run)) for run in runs) else []
    else:
        meant = runs if is_inline else [run for run in runs if _are_meant(text, run)]
    parts, position = [], 0
    for run in meant:
        start, end = _bounds_of_text(text, run)
        after_break = is_inline and run.start > 0 and text.count("\n", run.start, start) > 1
        parts += [text[position:start], "<br>" * after_break, _with_breaks(text[start:end], start, run.tags)]
        position = end
    return "".join((*parts, text[position:]))


def _read_runs(text: str, tags: Sequence[Tag]) -> Iterator[_Run]:
    open_blocks: list[Tag] = []
    inside: list[Tag] = []
    start = 0
    for tag in tags:
        if tag.name not in BLOCKS and tag.name != "br":
            inside.append(tag)
            continue
        yield _Run(start, tag.start, inside, open_blocks[-1] if open_blocks else None)
        start, inside = tag.end, []
        if tag.name != "br" and tag.name not in VOID_ELEMENTS and tag.name not in ("script", "style", "title"):
            _follow(open_blocks, tag)
    yield _Run(start, len(text), inside, open_blocks[-1] if open_blocks else None)


def _follow(open_blocks: list[Tag], tag: Tag) -> None:
    """Open or close the block element of `tag`."""
    if not tag.is_end:
        if open_blocks and open_blocks[-1].name in _CLOSED_BY_BLOCK:
            open_blocks.pop()
        if tag.name != "hr":
            open_blocks.append(tag)
    elif open_blocks and open_blocks[-1].name == tag.name:
        open_blocks.pop()
    elif any(one.name == tag.name for one in open_blocks[-20:]):
        while open_blocks.pop().name != tag.name:
            pass


def _are_meant(text: str, run: _Run) -> bool:
    start, end = _bounds_of_text(text, run)
    if run.parent and run.parent.name in PREFORMATTED:
        return False
    is_plain = run.parent is None or (run.parent.name in ("p", "div") and not run.parent.has_attributes)
    if is_plain and _EMPTY_LINE.search(text, start, end):
        return True
    piece = text[start:end]
    return has_list(piece) or (run.parent is None and _has_short_lines(piece))


def _has_short_lines(piece: str) -> bool:
    lines = [line.strip() for line in piece.splitlines()]
    return all(len(line) + 1 + len(following.partition(" ")[0]) < _SHORT for line, following in pairwise(lines))


def _bounds_of_text(text: str, run: _Run) -> tuple[int, int]:
    piece = text[run.start : run.end]
    start = run.end - len(piece.lstrip())
    return start, start + len(piece.strip())


def _with_breaks(piece: str, offset: int, tags: Sequence[Tag]) -> str:
    """Return `piece` with its line breaks as `<br>`, but not those inside a tag."""
    parts, position = [], 0
    for tag in tags:
        parts.append(piece[position : tag.start - offset].replace("\n", "<br>"))
        parts.append(piece[tag.start - offset : tag.end - offset])
        position = tag.end - offset
    return "".join((*parts, piece[position:].replace("\n", "<br>")))
