"""The comparison of texts tells what a reader would notice, and nothing else."""

from __future__ import annotations

import pytest

from tests.corpus.differences import contrast_pairs, differences, is_named, read_words, stand_side_by_side


def compare(before: str, after: str, *named: str, exact_lines: bool = True, paragraphs: bool = True) -> list[str]:
    return differences(before, after, named, exact_lines=exact_lines, paragraphs=paragraphs)


def test_white_space_that_nobody_sees_makes_no_difference() -> None:
    """Runs of spaces, tabs and empty lines count as one."""
    assert compare("a  b\tc\n\n\n\nd \n", "a b c\n\nd") == []


@pytest.mark.parametrize(
    ("before", "after", "begin"),
    [
        ("one\ntwo", "one two", "lines run together"),
        ("one\n\ntwo", "one\ntwo", "an empty line was added or lost"),
        ("one two", "one\ntwo", "a line was broken"),
        ("NameAge", "Name Age", "words were pulled apart"),
        ("Name Age", "NameAge", "words run together"),
        ("see <ada@contoso.example> now", "see now", "lost without a word: '<ada@contoso.example>'"),
        ("see", "see hidden words", "added without a word: 'hidden words'"),
        ("a b", "b a", "added without a word"),
    ],
)
def test_every_difference_is_told(before: str, after: str, begin: str) -> None:
    """Lost and added text, lines that run together, and words that do."""
    found = compare(before, after)

    assert found
    assert found[0].startswith(begin)


def test_html_may_be_broken_where_it_was_not() -> None:
    """An added line or space in HTML is no failure: composing puts what stood side by side in lines."""
    assert compare("NameAge x y", "Name\nAge x\ny", exact_lines=False, paragraphs=False) == []


def test_what_the_warnings_quote_is_no_failure() -> None:
    """A lost text is quoted whole, in pieces, or with its end cut off; a text without a quote may not be lost."""
    lost = "see the hidden words of this mail now"

    assert is_named("hidden words", ["2 texts were removed: “hidden words”."])
    assert is_named("hidden words", ["removed: “the hidden words of it”."])
    assert is_named("one two", ['removed: "one" and "two".'])
    assert is_named("the hidden words of this mail", ["removed: “the hidden words…”."])
    assert not is_named("hidden words", ["1 style was removed."])
    assert not is_named("the hidden words of this mail", ["removed: “the…”."])
    assert compare(lost, "see now", "removed: “the hidden words of this mail”") == []


def test_contrasts_are_compared_word_by_word() -> None:
    """A word is compared with itself, also behind one that was lost; before a picture nothing is known."""
    old = [("lost", 9.0), ("kept", 8.0), ("pictured", None)]
    new: list[tuple[str, float | None]] = [("kept", 2.0), ("pictured", 1.5)]

    assert list(contrast_pairs(old, new)) == [("kept", 8.0, 2.0)]


def test_columns_share_a_row_and_do_not_overlap() -> None:
    """Boxes beside one another are columns, from either side; boxes below one another are not."""
    left, right, below = (0.0, 0.0, 90.0, 20.0), (100.0, 5.0, 190.0, 25.0), (0.0, 30.0, 90.0, 50.0)

    assert stand_side_by_side([left, right])
    assert stand_side_by_side([right, left])
    assert not stand_side_by_side([left, below])
    assert not stand_side_by_side([left, (50.0, 0.0, 140.0, 20.0)])


def test_words_know_what_stands_before_them() -> None:
    """The start of a text counts as an empty line; CR LF is one line end."""
    assert [(word.text, word.before) for word in read_words("a b\r\nc\n\nd")] == [
        ("a", 2),
        ("b", 0),
        ("c", 1),
        ("d", 2),
    ]
