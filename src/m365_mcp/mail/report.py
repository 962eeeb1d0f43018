"""The report of composing: what the reader of the mail will notice, one sentence each, in order of weight."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

_LONGEST_QUOTE = 60  # characters


class Weight(IntEnum):
    """How much a note matters to the sender; the report starts with the heaviest."""

    LOST = 1  # content that the person wrote does not reach the reader
    MISLEADING = 2  # the reader may take something for what it is not
    FORM = 3  # the text was read in another format than content_type says
    LOOK = 4  # the mail looks different from what was written
    DETAIL = 5  # anything else


@dataclass(frozen=True)
class Note:
    """One sentence of the report, with its weight."""

    weight: Weight
    sentence: str


def warnings_of(notes: Iterable[Note]) -> tuple[str, ...]:
    """Return the sentences of `notes`, the heaviest first, each once; notes of one weight keep their order."""
    ordered = sorted(notes, key=lambda note: note.weight)
    return tuple(dict.fromkeys(note.sentence for note in ordered))


def counted(number: int, singular: str, plural: str) -> str:
    """Return `number` with the word that fits it: `1 picture is`, `1,200 pictures are`."""
    return f"1 {singular}" if number == 1 else f"{number:,} {plural}"


def quote(text: str) -> str:
    """Return the beginning of a text of the person in one line, so that the report says by name what it means."""
    line = " ".join(text[: 4 * _LONGEST_QUOTE].split())
    return line if len(line) <= _LONGEST_QUOTE else f"{line[: _LONGEST_QUOTE - 1]}…"


def named(texts: Iterable[str], most: int = 3) -> str:
    """Return the first of `texts`, each once, in one phrase: `a, b, c and 2 more`."""
    different = list(dict.fromkeys(texts))
    rest = f" and {len(different) - most} more" if len(different) > most else ""
    return f"{', '.join(different[:most])}{rest}"


def listed(names: Sequence[str]) -> str:
    """Return `names`, at least one, as a part of a sentence: `a, b and c`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
