"""A text that is one code fence from its first line to its last."""

from __future__ import annotations

import pytest

from m365_mcp.mail.code_fence import Fence, read_whole_fence

LANGUAGES = {
    "html": "html htm xhtml html5 HTML",
    "markdown": "markdown md gfm commonmark mdown mkd",
    "text": "text txt plain plaintext none",
    "": "email mail eml letter",
    "python": "python",
}


@pytest.mark.parametrize(
    ("name", "language"), [(name, language) for language, names in LANGUAGES.items() for name in names.split()]
)
def test_language_is_known_by_its_names(name: str, language: str) -> None:
    """What stands behind the name does not count, and only a program is none of the known ones."""
    fence = read_whole_fence(f"```{name} title\nHi\n```")

    assert fence == Fence(language, "Hi")
    assert fence.is_program is (language == "python")


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("```\n```", ""),
        ("\n~~~~\r\na\r\nb\r\n~~~~~\n", "a\nb"),
        ("```\na\n````", "a"),
        ("   ```\na\n   ```", "a"),
        ("```\na\n```x\n```\nb\n```", "a\n```x\n```\nb"),
        ("~~~a`b\nc\n~~~", "c"),
        ("````\n```\na\n```\n````", "```\na\n```"),
        ("```\n" + "```a\n```\n" * 999 + "```", "```a\n```\n" * 998 + "```a\n```"),
        ("```md\na\n```\nb\n```\nc\n```", "a\n```\nb\n```\nc"),
    ],
)
def test_content_is_what_stands_between_the_first_line_and_the_last(text: str, content: str) -> None:
    """Fences inside belong to the content if they open and close in turn, up to 2,000 in all."""
    fence = read_whole_fence(text)

    assert fence is not None
    assert fence.content == content


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hi",
        "```",
        "```\na",
        "```\na\n``",
        "```\na\n```\nb",
        "```\na\n```b",
        "```a`b\nc\n```",
        "```\na\n```\nb\n```\nc\n```",
        "```\na\n```x\nb\n```y\nc\n```",
        "```\na\n```x\nb\n```",
        "````\na\n```",
        "```\n" + "```a\n```\n" * 1_000 + "```",
    ],
    ids=str.__len__,
)
def test_other_text_is_no_fence(text: str) -> None:
    """A fence that does not close, text around it, or fences inside that do not pair."""
    assert read_whole_fence(text) is None
