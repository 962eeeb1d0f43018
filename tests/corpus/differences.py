"""Compares the text that is seen before composing with the text that is seen after it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate, pairwise

NO_LINE, LINE, PARAGRAPH = 0, 1, 2
_MARKER = re.compile(r"^(?:[•◦▪] )+")
_SHORTEST_CUT = 12  # characters; a shorter beginning says nothing
_QUOTED = re.compile(r"“(.*?)”|\"(.*?)\"|‘(.*?)’|«(.*?)»|`(.*?)`|(?<!\w)'(.*?)'(?!\w)")


@dataclass(frozen=True)
class Word:
    """Characters between white space, and what stands before them: a space, the end of a line, or an empty line."""

    text: str
    before: int


def read_words(text: str) -> list[Word]:
    """Return the words of `text`; runs of white space count as one."""
    words: list[Word] = []
    breaks = PARAGRAPH
    for line in re.split(r"\r\n|[\r\n]", text):
        for word in line.split():
            words.append(Word(word, breaks))
            breaks = NO_LINE
        breaks = min(breaks + 1, PARAGRAPH)
    return words


def differences(before: str, after: str, named: Sequence[str], *, exact_lines: bool, paragraphs: bool) -> list[str]:
    """Return one sentence for each difference that a reader sees and `named` does not name.

    Args:
        named: the warnings of the receipt, and texts that may be added.
        exact_lines: whether composing may add no line.
        paragraphs: whether empty lines must stay empty lines.
    """
    old, new = read_words(before), read_words(after)
    matcher = SequenceMatcher(None, [word.text for word in old], [word.text for word in new], autojunk=False)
    found: list[str] = []
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        if kind == "equal":
            found += _breaks_differ(old[i1:i2], new[j1:j2], exact_lines=exact_lines, paragraphs=paragraphs)
        else:
            found += _texts_differ(old[i1:i2], new[j1:j2], named, exact_lines)
    return found


def _breaks_differ(old: list[Word], new: list[Word], *, exact_lines: bool, paragraphs: bool) -> Iterator[str]:
    for place, (one, other) in enumerate(zip(old, new, strict=True)):
        where = " ".join(word.text for word in old[max(place - 2, 0) : place + 2])
        if one.before and not other.before:
            yield f"lines run together near {where!r}"
        elif exact_lines and other.before and not one.before:
            yield f"a line was broken near {where!r}"
        elif paragraphs and one.before != other.before:
            yield f"an empty line was added or lost near {where!r}"


def _texts_differ(old: list[Word], new: list[Word], named: Sequence[str], exact_lines: bool) -> Iterator[str]:
    lost, added = _joined(old), _joined(new)
    if lost.replace(" ", "") == added.replace(" ", ""):
        if not _gaps(old) <= _gaps(new):
            yield f"words run together: {lost!r} became {added!r}"
        elif exact_lines:
            yield f"words were pulled apart: {lost!r} became {added!r}"
        return
    if lost and not is_named(lost, named):
        yield f"lost without a word: {_short(lost)!r}" + (f", in its place {_short(added)!r}" if added else "")
    elif added and not is_named(added, named):
        yield f"added without a word: {_short(added)!r}"


def _joined(words: list[Word]) -> str:
    return " ".join(word.text for word in words)


def _gaps(words: list[Word]) -> set[int]:
    return set(accumulate(len(word.text) for word in words))


def is_named(text: str, named: Sequence[str]) -> bool:
    """Tell whether the texts in `named` hold all of `text`: in quotation marks, or as a whole.

    A quote may be cut at its end, with an ellipsis; several quotes may follow one another in the text. A style may have
    changed the case of what is seen, and the marker of a list item goes with its text.
    """
    rest = _MARKER.sub("", " ".join(text.casefold().split()))
    quotes = [quote for one in named for quote in _quotes(" ".join(one.casefold().split()))]
    while rest:
        fitting = [quote for quote, cut in quotes if quote and (rest.startswith(quote) or (not cut and rest in quote))]
        cut_ones = [quote for quote, cut in quotes if cut and len(quote) >= _SHORTEST_CUT and rest.startswith(quote)]
        if cut_ones or any(rest in quote for quote in fitting):
            return True
        if not fitting:
            return False
        rest = rest[len(max(fitting, key=len)) :].lstrip()
    return True


def _quotes(sentence: str) -> Iterator[tuple[str, bool]]:
    """Yield what stands in quotation marks in `sentence`, and the whole; and whether it was cut."""
    yield sentence, False
    for quoted in _QUOTED.findall(sentence):
        piece = next(filter(None, quoted), "")
        bare = piece.removesuffix("…").removesuffix("...")
        yield bare.rstrip(), bare != piece


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:60]}…{text[-18:]}"


def contrast_pairs(
    old: Sequence[tuple[str, float | None]], new: Sequence[tuple[str, float | None]]
) -> Iterator[tuple[str, float, float]]:
    """Yield each word that is seen before and after, with its two contrasts."""
    matcher = SequenceMatcher(None, [word for word, _ in old], [word for word, _ in new], autojunk=False)
    for block in matcher.get_matching_blocks():
        pairs = zip(old[block.a : block.a + block.size], new[block.b : block.b + block.size], strict=True)
        for (word, before), (_, after) in pairs:
            if before is not None and after is not None:
                yield word, before, after


def stand_side_by_side(boxes: Sequence[tuple[float, float, float, float]]) -> bool:
    """Tell whether the boxes (left, top, right, bottom) share a row, from left to right or from right to left."""
    share_a_row = max(box[1] for box in boxes) < min(box[3] for box in boxes)
    apart = all(one[2] <= other[0] + 1 or other[2] <= one[0] + 1 for one, other in pairwise(boxes))
    return share_a_row and apart
