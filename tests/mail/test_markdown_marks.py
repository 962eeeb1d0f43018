"""The marks of Markdown in a text that may be none."""

from __future__ import annotations

import pytest

from m365_mcp.mail.markdown_marks import find_marks


@pytest.mark.parametrize(
    ("text", "has_list", "has_other_block", "inline", "has_item", "is_markdown", "spoils"),
    [
        ("a", False, False, 0, False, False, False),
        ("**a**", False, False, 1, False, False, True),
        ("**a** and **b** and **c**", False, False, 2, False, True, True),
        ("[a](https://b.example)", False, False, 1, False, False, True),
        ("[a](http://b) [c](mailto:d)", False, False, 2, False, True, True),
        ("**a** [b](https://c)", False, False, 2, False, True, True),
        ("**a**\n- b", False, False, 1, True, True, True),
        ("- a", False, False, 0, True, False, False),
        ("* a", False, False, 0, True, False, False),
        ("- a\n- b", True, False, 0, True, True, False),
        ("* a\n* b", True, False, 0, True, True, False),
        ("-\ta\n-\tb", True, False, 0, True, True, False),
        ("*\ta\n*\tb", True, False, 0, True, True, False),
        ("1. a\n2. b", True, False, 0, False, True, False),
        ("1) a\n2) b", True, False, 0, False, True, False),
        ("1. a\n1. b", True, False, 0, False, True, False),
        ("1. a\n3. b", False, False, 0, False, False, False),
        ("- a\n* b", False, False, 0, True, False, False),
        ("- a\n\n  b\n- c", True, False, 0, True, True, False),
        ("# a", False, True, 0, False, True, True),
        ("# a\n\nb", False, True, 0, False, True, True),
        ("a\n## b", False, True, 0, False, True, True),
        ("a\n# b\n", False, True, 0, False, True, True),
        ("# 1 in the list", False, False, 0, False, False, False),
        ("# of seats", False, False, 0, False, False, False),
        ("####### a", False, False, 0, False, False, False),
        ("```\na\n```", False, True, 0, False, True, True),
        ("~~~ a\nb\n~~~~", False, True, 0, False, True, True),
        ("```\na", False, False, 0, False, False, False),
        ("a | b\n---|---\nc | d", False, True, 0, False, True, True),
        ("| a |\n|---|", False, True, 0, False, True, True),
        ("| a | b |\n| - | -: |", False, True, 0, False, True, True),
        ("a | b\n---\nc", False, False, 0, False, False, False),
        ("a\n---|---", False, False, 0, False, False, False),
        ("**", False, False, 0, False, False, False),
        ("** a **", False, False, 0, False, False, False),
        ("a**b**", False, False, 0, False, False, False),
        ("重**点**", False, False, 1, False, False, True),
        ("\\**a**", False, False, 0, False, False, False),
        ("[a](ftp://b)", False, False, 0, False, False, False),
        ("\\[a](https://b)", False, False, 0, False, False, False),
        ("- - -", False, False, 0, False, False, False),
        ("***a***", False, False, 0, False, False, False),
        ("**a b**c", False, False, 0, False, False, False),
        ("1.a\n2.b", False, False, 0, False, False, False),
        ("   - a\n   - b", True, False, 0, True, True, False),
        ("    - a\n    - b", False, False, 0, False, False, False),
        ("---|---", False, False, 0, False, False, False),
    ],
)
def test_k1_marks_are_told_from_punctuation(
    text: str, has_list: bool, has_other_block: bool, inline: int, has_item: bool, is_markdown: bool, spoils: bool
) -> None:
    """A list of two items, a heading, a fence and a table prove Markdown, and so do two marks in the text."""
    marks = find_marks(text)

    assert (marks.has_list, marks.has_other_block, marks.inline, marks.has_item) == (
        has_list,
        has_other_block,
        inline,
        has_item,
    )
    assert (marks.is_markdown, marks.spoil_plain_text) == (is_markdown, spoils)
