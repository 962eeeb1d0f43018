"""The format of a body, its text, and what is said about it."""

from __future__ import annotations

from typing import Literal

import pytest

from m365_mcp.errors import BodyFormMismatch
from m365_mcp.mail.body_form import read_form
from m365_mcp.mail.report import Weight
from tests.mail.composing import refused

SAID = {
    r"The body had \n, \t or \u00fc as characters, so real line breaks, tabs and letters were put in their place.",
    *(
        f"The whole body was one code fence, so the fence was removed and its content was read as {name}."
        for name in ("HTML", "Markdown", "plain text")
    ),
    "The whole body is one code fence of a program, so it was sent as a block of code.",
    "The body has Markdown marks and no HTML that sets its lines, so it was read as Markdown.",
    "The body has Markdown marks, which readers see as characters; content_type Markdown formats them.",
    "The body is HTML that sets no lines, or not all of them, so its line breaks were kept.",
    "The body was sent as HTML; it also has Markdown marks, which readers see as characters.",
    "The tags of the body were escaped (&lt;p&gt;), so they were read as tags.",
    "The tags of the body are escaped (&lt;p&gt;), so readers see them as characters.",
    "The body is an HTML document and has no Markdown marks, so it was read as HTML.",
    "The body was sent as plain text; readers see its Markdown marks, HTML tags and entities as characters.",
    "The body was sent as plain text; readers see its Markdown marks as characters.",
    "The body was sent as plain text; readers see its HTML tags as characters.",
    "The body was sent as plain text; readers see its entities as characters.",
}
ROWS: list[tuple[str, Literal["HTML", "Text", "Markdown"], str, str, list[str]]] = [
    ("Hi,\\n\\nBye", "HTML", "Plain", "Hi,\n\nBye", ["The body had \\n, \\t or \\u00fc as characters"]),
    ("```html\n<p>a</p>\n```", "HTML", "HTML", "<p>a</p>", ["The whole body was one code fence"]),
    ("```markdown\n# a\n```", "Text", "Markdown", "# a", ["The whole body was one code fence"]),
    ("```text\na <b>b</b>\n```", "HTML", "Plain", "a <b>b</b>", ["The whole body was one code fence"]),
    ("```text\na\n```", "Text", "Text", "a", ["The whole body was one code fence"]),
    (
        "```\n- a\n- b\n```",
        "HTML",
        "Markdown",
        "- a\n- b",
        ["The whole body was one code fence", "The body has Markdown marks and no HTML that sets its lines"],
    ),
    ("```\na\n```", "Markdown", "Plain", "a", ["The whole body was one code fence"]),
    (
        "```python\na = 1\n```",
        "HTML",
        "Markdown",
        "```python\na = 1\n```",
        ["The whole body is one code fence of a program"],
    ),
    ("```python\na = 1\n```", "Text", "Text", "a = 1", ["The whole body was one code fence"]),
    ("```\n<p>a</p>\n```", "Text", "Text", "<p>a</p>", ["The whole body was one code fence"]),
    ("**a** <b>b</b> &amp;", "Text", "Text", "**a** <b>b</b> &amp;", ["The body was sent as plain text"]),
    ("a", "Text", "Text", "a", []),
    ("a\r\n## b", "Text", "Text", "a\r\n## b", ["The body was sent as plain text"]),
    ("a <b>b</b>", "Text", "Text", "a <b>b</b>", ["The body was sent as plain text"]),
    ("a &lt;b", "Text", "Text", "a &lt;b", ["The body was sent as plain text"]),
    ("<p>a</p>", "Markdown", "HTML", "<p>a</p>", ["The body is an HTML document and has no Markdown marks"]),
    (
        "<html><body>a</body></html>",
        "Markdown",
        "HTML",
        "<html><body>a</body></html>",
        ["The body is an HTML document and has no Markdown marks"],
    ),
    ("<p>a</p>\n\n- b\n- c", "Markdown", "Markdown", "<p>a</p>\n\n- b\n- c", []),
    (
        "&lt;p&gt;a&lt;/p&gt;",
        "Markdown",
        "Markdown",
        "&lt;p&gt;a&lt;/p&gt;",
        ["The tags of the body are escaped (&lt;p&gt;)"],
    ),
    ("# a", "Markdown", "Markdown", "# a", []),
    ("&lt;P&gt;a&lt;/P&gt;", "HTML", "HTML", "<P>a</P>", ["The tags of the body were escaped (&lt;p&gt;)"]),
    ("&lt;B&gt;a&lt;/B&gt; b", "HTML", "HTML", "<B>a</B> b", ["The tags of the body were escaped (&lt;p&gt;)"]),
    ("&amp;lt;p&amp;gt;a", "HTML", "HTML", "&amp;lt;p&amp;gt;a", []),
    (
        "&lt;p&gt;&amp;lt;b&amp;gt;a&lt;/p&gt;",
        "HTML",
        "HTML",
        "<p>&lt;b&gt;a</p>",
        ["The tags of the body were escaped (&lt;p&gt;)"],
    ),
    ("Use the &lt;b&gt; tag", "HTML", "HTML", "Use the &lt;b&gt; tag", []),
    ("a\r\nb\rc", "HTML", "Plain", "a\nb\nc", []),
    ("**a** b", "HTML", "Plain", "**a** b", ["The body has Markdown marks, which readers see as characters"]),
    ("**a** **b**", "HTML", "Markdown", "**a** **b**", ["The body has Markdown marks and no HTML that sets its lines"]),
    (
        "Tom &amp; Jerry\nAda",
        "HTML",
        "HTML",
        "Tom &amp; Jerry<br>Ada",
        ["The body is HTML that sets no lines, or not all of them"],
    ),
    (
        "a < b &amp; c\nd",
        "HTML",
        "HTML",
        "a &lt; b &amp; c<br>d",
        ["The body is HTML that sets no lines, or not all of them"],
    ),
    ("<p>a</p>\n**b** **c**", "HTML", "HTML", "<p>a</p>\n**b** **c**", ["The body was sent as HTML"]),
    ("<b>a</b>\nc", "HTML", "HTML", "<b>a</b><br>c", ["The body is HTML that sets no lines, or not all of them"]),
    (
        "<b>a</b>\n- c\n- d",
        "HTML",
        "Markdown",
        "<b>a</b>\n- c\n- d",
        ["The body has Markdown marks and no HTML that sets its lines"],
    ),
    (
        "<b>a</b> **b** **c**",
        "HTML",
        "Markdown",
        "<b>a</b> **b** **c**",
        ["The body has Markdown marks and no HTML that sets its lines"],
    ),
    ("a | b<br>\n---|---<br>\nc | d<br>", "HTML", "HTML", "a | b<br>\n---|---<br>\nc | d<br>", []),
    (
        "# a<br>\n\nb<br/>\n- c<br />\n- d",
        "HTML",
        "Markdown",
        "# a\n\nb\n- c\n- d",
        ["The body has Markdown marks and no HTML that sets its lines"],
    ),
    ("&LT;p&GT;a&LT;/p&GT;", "HTML", "HTML", "<p>a</p>", ["The tags of the body were escaped (&lt;p&gt;)"]),
    ("a <html>b</html>", "Text", "Text", "a <html>b</html>", ["The body was sent as plain text"]),
    ("|a|\r\n|-|\r\n|b|", "Text", "Text", "|a|\r\n|-|\r\n|b|", ["The body was sent as plain text"]),
    ("<p>a</p>", "HTML", "HTML", "<p>a</p>", []),
    ("a<br>b", "HTML", "HTML", "a<br>b", []),
    ("<b>aaaaaaaaaa", "HTML", "HTML", "<b>aaaaaaaaaa", []),
]


@pytest.mark.parametrize(("text", "content_type", "form", "mended", "said"), ROWS)
def test_k1_body_is_read_in_the_format_that_it_has(
    text: str, content_type: Literal["HTML", "Text", "Markdown"], form: str, mended: str, said: list[str]
) -> None:
    """HTML means that nobody said it, Text and Markdown are believed, and each change has its sentence."""
    found = read_form(text, content_type, as_written=False)

    assert (found.format, found.text) == (form, mended)
    assert [note.sentence.split(", so")[0].split("; ")[0] for note in found.notes] == said
    assert {note.sentence for note in found.notes} <= SAID
    assert {note.weight for note in found.notes} <= {Weight.FORM}


@pytest.mark.parametrize("text", ["<p>a</p>", " <html>a", "<body><b>a</b></body>"])
def test_k1_html_is_no_text(text: str) -> None:
    """A body of tags that was said to be Text is refused, and the advice names both ways out."""
    with refused(BodyFormMismatch, match="'body' is HTML, and content_type says Text, so readers would see") as caught:
        read_form(text, "Text", as_written=False)

    assert caught.value.advice.startswith('Use content_type "HTML", or repeat the call with as_written=true')
    assert read_form(text, "Text", as_written=True).notes == ()


def test_k1_longest_markdown_is_rendered() -> None:
    """200,000 characters are Markdown; a longer text, or one of more tags than a letter has, is not parsed as such."""
    start = "# a\n\n"
    longest = start + "b" * (200_000 - len(start))

    assert read_form(longest, "HTML", as_written=False).format == "Markdown"
    assert read_form(longest + "b", "HTML", as_written=False).format == "Plain"
    assert read_form(f"<b>x</b>{longest[8:]}", "HTML", as_written=False).format == "HTML"
    assert read_form(f"{start}<br>{longest[9:]}", "HTML", as_written=False).format == "Markdown"
    assert read_form("<" * 10_001, "HTML", as_written=False).format == "HTML"
    assert read_form(f"```md\n{longest}\n```", "HTML", as_written=False).format == "Markdown"
    assert read_form(f"```md\n{longest}b\n```", "HTML", as_written=False).format == "Plain"
