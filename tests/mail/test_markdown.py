"""Markdown and the HTML that a mail gets for it."""

import pytest

from m365_mcp.errors import InvalidArgument, MessageTooLarge
from m365_mcp.mail import Message
from tests.mail.composing import build


def written(markdown: str) -> Message:
    return build(body=markdown, content_type="Markdown")


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("# Title", "<h1>Title</h1>"),
        ("*a* **b** ~~c~~", "<p><em>a</em> <strong>b</strong> <s>c</s></p>"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        ("3. a", '<ol start="3">\n<li>a</li>\n</ol>'),
        ("Regards,\nAda", "<p>Regards,<br>\nAda</p>"),
        ("[x](https://contoso.example/?a=1&b=2)", '<a href="https://contoso.example/?a=1&amp;b=2">x</a>'),
        ("see https://contoso.example", "<p>see https://contoso.example</p>"),
        ("<b>x</b> & y", "<p><b>x</b> &amp; y</p>"),
        ("1 < 2", "<p>1 &lt; 2</p>"),
        ("---", "<hr>"),
    ],
)
def test_markdown_becomes_html(markdown: str, html: str) -> None:
    """CommonMark, tables, strikethrough; a line break stays one, and nothing becomes a link by itself."""
    message = written(markdown)

    assert html in message.body
    assert message.content_type == "HTML"
    assert message.warnings == ()


def test_markdown_is_styled_where_mail_programs_look() -> None:
    """Tables, quotes and code are readable without a style sheet."""
    body = written("|a|b|\n|--|-:|\n|1|2|\n\n> q\n\n`c`\n\n```py\nx < 1\n```").body

    assert body.startswith('<div style="font-family:')
    assert '<table style="border-collapse:collapse">' in body
    assert ';text-align:right">2</td>' in body
    assert '<blockquote style="margin:' in body
    assert "x &lt; 1" in body


def test_g14_html_in_markdown_is_cleaned_like_any_other() -> None:
    """HTML in Markdown passes the sanitizer too."""
    message = written(
        "[a](javascript:x) ![b](https://evil.example/b.png) <script>c</script> <i onclick=d>e</i>\n\n"
        "[https://corp.example](https://evil.example)"
    )

    assert [warning.partition(",")[0] for warning in message.warnings] == [
        "1 remote picture was removed",
        '1 link target ("a") was removed',
        "1 link shows one address and leads to another: corp.example → evil.example. Check the targets.",
        "1 script was removed",
        "1 event handler was removed",
    ]
    assert "<a>a</a> b" in message.body


def test_g25_markdown_beyond_the_limits_is_refused() -> None:
    """Too long and too deep Markdown is refused instead of being cut off."""
    with pytest.raises(MessageTooLarge):
        written("x" * 200_001)
    with pytest.raises(InvalidArgument, match="nested too deeply"):
        written(">" * 40 + "x")


def test_markdown_with_ordinary_nesting_is_complete() -> None:
    """A quote in a quote in a quote, ten deep, keeps its text."""
    assert "inner" in written("> " * 10 + "inner").body
