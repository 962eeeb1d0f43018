"""The report of composing: its order, its numbers and its names."""

from __future__ import annotations

import pytest

from m365_mcp.mail.report import Note, Weight, counted, listed, named, quote, warnings_of


def test_heaviest_note_comes_first() -> None:
    """What is lost, what misleads, the form, the look, the rest; each sentence once, equal weights in their order."""
    notes = [Note(weight, f"{weight.name} {number}.") for number in (1, 2) for weight in reversed(Weight)]

    assert [sentence.split()[0] for sentence in warnings_of([*notes, notes[0]])] == [
        name for name in ("LOST", "MISLEADING", "FORM", "LOOK", "DETAIL") for _ in range(2)
    ]
    assert warnings_of(notes)[:2] == ("LOST 1.", "LOST 2.")


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        (" a \n b ", "a b"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "…"),
        (" " * 239 + "xy", "x"),
    ],
)
def test_quote_is_one_line_of_sixty_characters(text: str, quoted: str) -> None:
    """A longer text ends with an ellipsis, and blanks are not searched without end."""
    assert quote(text) == quoted


def test_phrases_are_those_of_a_sentence() -> None:
    """One and several, in thousands, each name once, and a number for the rest."""
    assert (counted(1, "picture is", "pictures are"), counted(1200, "a", "pictures are")) == (
        "1 picture is",
        "1,200 pictures are",
    )
    assert (listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])) == ("a", "a and b", "a, b and c")
    assert (named("abc"), named("aabcde"), named("abc", 2)) == ("a, b, c", "a, b, c and 2 more", "a, b and 1 more")
