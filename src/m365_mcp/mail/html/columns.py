"""Writes the columns of a grid without a function in a function, and without names of lines (CSS Grid 2, section 7.2).

`nh3` cuts such a value off after the inner bracket, so that no column and no later declaration of the style would stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import tinycss2
from tinycss2.ast import FunctionBlock, Node

_MOST_COLUMNS = 24  # that one `repeat()` becomes
_LENGTHS = ("dimension", "percentage", "number")


def plain_columns(value: str) -> str | None:
    """Return the columns of `value` in plain functions; None: that is not possible."""
    columns: list[str] = []
    for part in _without_names(tinycss2.parse_component_value_list(value, skip_comments=True)):
        if isinstance(part, FunctionBlock) and part.lower_name == "repeat":
            repeated = _repeated(part)
            if repeated is None:
                return None
            columns += repeated
        else:
            columns.append(_plain(part))
    return " ".join(filter(None, columns)) or None


def _repeated(repeat: FunctionBlock) -> list[str] | None:
    parts = list(_without_names(repeat.arguments))
    if len(parts) < 3 or parts[1].type != "literal":
        return None
    count, tracks = parts[0], parts[2:]
    if count.type == "ident":  # as many as there is room for, so each needs a width
        return [f"repeat({count.serialize()}, {' '.join(_width(track) for track in tracks)})"]
    number = getattr(count, "int_value", None) or 0
    return [_plain(track) for track in tracks] * number if 0 < number * len(tracks) <= _MOST_COLUMNS else None


def _without_names(parts: Iterable[Node]) -> Iterator[Node]:
    return (part for part in parts if part.type not in ("whitespace", "[] block"))


def _plain(part: Node) -> str:
    if not isinstance(part, FunctionBlock):
        return _text_of(part)
    return f"{part.name}({''.join(_length(inner) for inner in part.arguments)})"


def _length(part: Node) -> str:
    """Return one argument; of a function, the last length in it: 200px for `min(100%, 200px)`."""
    return _last_length(part.arguments) if isinstance(part, FunctionBlock) else _text_of(part)


def _width(track: Node) -> str:
    """Return one width for a column: the least one of `minmax()`."""
    if not isinstance(track, FunctionBlock):
        return _text_of(track)
    first = next(_without_names(track.arguments), None)
    if isinstance(first, FunctionBlock):
        return _last_length(first.arguments)
    return str(first.serialize()) if first is not None and first.type in _LENGTHS else _last_length(track.arguments)


def _text_of(part: Node) -> str:
    """Return one component as text. A block means no width, and may be deeper than `serialize` can write."""
    return "auto" if part.type.endswith("block") else str(part.serialize())


def _last_length(parts: Sequence[Node]) -> str:
    return ["auto", *_lengths(parts)][-1]


def _lengths(parts: Sequence[Node]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, FunctionBlock):
            yield from _lengths(part.arguments)
        elif part.type in _LENGTHS:
            yield str(part.serialize())
