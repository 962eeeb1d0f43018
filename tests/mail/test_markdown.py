"""Markdown and the HTML that a mail gets for it."""

import re
from pathlib import Path

import pytest

from m365_mcp.errors import BodyTooComplex, InvalidArgument, MessageTooLarge
from m365_mcp.mail import Message
from m365_mcp.mail.markdown import render_markdown
from tests.mail.composing import build, refused

PICTURE = {"name": "a.gif", "content_base64": "R0lGODlhAQABAAAAACw=", "content_id": "a"}


def written(markdown: str) -> Message:
    """Return the message of a Markdown body that is meant as it is; an image `cid:a` has its attachment."""
    attachments = [PICTURE] if "cid:a" in markdown else []
    return build(body=markdown, content_type="Markdown", as_written=True, attachments=attachments)


def html_of(markdown: str) -> str:
    """Return the HTML of a Markdown body, without its styles and the page around it."""
    message = written(markdown)
    assert message.warnings == ()
    return re.sub(r' style="[^"]*"', "", message.body).removeprefix("<div>\n").removesuffix("</div>").strip()


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("# Title", "<h1>Title</h1>"),
        ("*a* **b** ~~c~~", "<p><em>a</em> <strong>b</strong> <s>c</s></p>"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        ("- a\n  - b", "<ul>\n<li>a\n<ul>\n<li>b</li>\n</ul>\n</li>\n</ul>"),
        ("3. a", '<ol start="3">\n<li>a</li>\n</ol>'),
        ("1) a\n2) b", "<ol>\n<li>a</li>\n<li>b</li>\n</ol>"),
        ("1. a\n1. b", "<ol>\n<li>a</li>\n<li>b</li>\n</ol>"),
        ("1. a\n3. b\n4. c", '<ol>\n<li>a</li>\n<li value="3">b</li>\n<li>c</li>\n</ol>'),
        ("Regards,\nAda", "<p>Regards,<br>\nAda</p>"),
        ("Regards,  \nAda\\\nL.", "<p>Regards,<br>\nAda<br>\nL.</p>"),
        ("[x](https://contoso.example/?a=1&b=2)", '<p><a href="https://contoso.example/?a=1&amp;b=2">x</a></p>'),
        ("[x][r]\n\n[r]: https://contoso.example 'T'", '<p><a href="https://contoso.example" title="T">x</a></p>'),
        ("![x](cid:a)", '<p><img src="cid:a" alt="x"></p>'),
        ("<b>x</b> & y", "<p><b>x</b> &amp; y</p>"),
        ("<div>\nx\n</div>", "<div>\nx\n</div>"),
        ("1 < 2", "<p>1 &lt; 2</p>"),
        ("a\n\n---\n\nb", "<p>a</p>\n<hr>\n<p>b</p>"),
        ("> a\n> b\n> > c", "<blockquote>\n<p>a<br>\nb</p>\n<blockquote>\n<p>c</p>\n</blockquote>\n</blockquote>"),
        ("`a*b*` 😀 :smile:", "<p><code>a*b*</code> 😀 :smile:</p>"),
    ],
)
def test_markdown_becomes_html(markdown: str, html: str) -> None:
    """CommonMark, tables, strikethrough; a line break stays one, and a list keeps the numbers of the text."""
    if "cid:" in markdown:
        assert html in re.sub(r' style="[^"]*"', "", written(markdown).body)
    else:
        assert html_of(markdown) == html


def test_markdown_is_styled_where_mail_programs_look() -> None:
    """Headings have the size of a letter; lists, quotes and rules have their distances in style attributes."""
    body = written("# a\n\n## b\n\n- c\n  - d\n\n> e\n\n---").body

    assert body.startswith('<div style="font-family:Calibri')
    assert re.search(r'<h1 style="font-size:16pt;[^"]*">a', body)
    assert re.search(r'<h2 style="font-size:14pt;[^"]*">b', body)
    assert body.count('<ul style="margin-top:0;margin-bottom:12px">') == 1, "a list in a list has no distance"
    assert re.search(r'<blockquote style="[^"]*border-left:3px[^"]*">', body)
    assert '<hr style="' in body


def test_k5_fenced_code_has_its_style_on_one_block() -> None:
    """A background on <code>, which is inline, would cover the line above; long lines wrap; the language is no text."""
    body = written("Hi\n```py title\nx < 1\n  y\n```\n```js\nz\n```\n~~~\nw\n~~~").body

    assert re.findall(r"<code[^>]*>([^<]*)", body) == ["x &lt; 1\n  y\n", "z\n", "w\n"]
    assert "<code style" not in body
    assert body.count("white-space:pre-wrap") == body.count("<pre style=") == 3
    assert "<p>py title</p>" in body
    assert "js" not in body


def test_k5_code_brings_the_colour_of_its_text() -> None:
    """Where a mail program turns a mail dark, dark text stays on the light background of code and of table headers."""
    body = written("`a`\n\n```\nb\n```\n\n|c|\n|-|\n|d|").body

    styles = [style for style in re.findall(r'style="([^"]*)"', body) if "background" in style]
    assert len(styles) == 3
    assert all("background-color:#f3f3f3;color:#1f1f1f" in style for style in styles)


def test_tables_survive_outlook() -> None:
    """A table has the attributes of HTML 4 beside its styles, and header cells that a screen reader announces."""
    body = written("|a|b|c|\n|--|-:|:-:|\n|1|2|\\||").body
    plain = re.sub(r' style="[^"]*"', "", body)

    assert '<table border="1" cellpadding="5" cellspacing="0" bordercolor="#bbbbbb">' in plain
    assert '<tr valign="top" align="left" bgcolor="#f3f3f3">\n<th scope="col">a</th>' in plain
    assert '<th scope="col" align="right">b</th>' in plain
    assert '<tr valign="top">\n<td>1</td>\n<td align="right">2</td>\n<td align="center">|</td>' in plain
    assert 'style="border-collapse:collapse' in body
    assert body.count("border:1px solid") == 6
    assert body.count("text-align:right") == 2


def test_wide_table_has_smaller_letters() -> None:
    """A table of more than five columns is set smaller, so that it fits."""
    assert "font-size:9pt" in written("|a" * 6 + "\n" + "|-" * 6).body
    assert "font-size:9pt" not in written("|a" * 5 + "\n" + "|-" * 5 + "\n\n" + "|a\n|-" * 2).body


def test_table_loses_no_cell_and_ends_with_its_last_row() -> None:
    """A row with more cells than the header keeps them all, and a line without a bar after the table is text."""
    html = html_of("|a|b|\n|-|-|\n|1|2|3\\|4|5\nx|y|z\nRegards,\nAda")

    assert re.findall(r"<td>(.*)</td>", html) == ["1", "2 | 3|4 | 5", "x", "y | z"]
    assert html.endswith("</table>\n<p>Regards,<br>\nAda</p>")


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
    with pytest.raises(BodyTooComplex, match="15,000 HTML tags"):
        written("|*a*" * 40 + "\n" + "|-" * 40 + ("\n" + "|*a*" * 40) * 220)
    with refused(InvalidArgument, match="nested too deeply"):
        written(">" * 40 + "x")


def test_placeholder_in_angle_brackets_begins_no_block() -> None:
    """`<Name>` alone in a line does not take the line breaks of the lines after it."""
    assert "<br />\nStreet 1<br />\nCity" in render_markdown("<Name>\nStreet 1\nCity")


def test_markdown_with_ordinary_nesting_is_complete() -> None:
    """A quote in a quote in a quote, ten deep, keeps its text."""
    assert "inner" in written("> " * 10 + "inner").body


def test_k5_every_construct_has_its_look() -> None:
    """A sample with headings, lists, tables, code, footnotes and all other constructs is written to the letter."""
    sample = Path(__file__).with_name("markdown_sample.txt")

    assert render_markdown(sample.read_text()) == sample.with_suffix(".html").read_text()


@pytest.mark.parametrize("mark", ["> ", "- "])
def test_g25_nesting_is_limited(mark: str) -> None:
    """The error says what is nested."""
    with refused(InvalidArgument, match="^invalid_argument: 'body' has Markdown quotes or lists nested too deeply"):
        render_markdown(mark * 31 + "a")


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("a\n| b |\n|---|\n| c |", "a<table>bc"),
        ("a\n# b", "a<h1>b"),
        ("a\n- b\n- c", "a<ul><li>b<li>c"),
        ("> a\n# b", "<blockquote>a<h1>b"),
        ("> a\n- b", "<blockquote>a<ul><li>b"),
        ("a\n<div>b</div>", "a<div>b"),
        ("a\n> b", "a<blockquote>b"),
        ("a\n```\nb\n```", "a<pre>b"),
        ("- a\n# b", "<ul><li>a<h1>b"),
        ("[a]: https://a.example\n# b\n[a]", "<h1>b<a>a"),
    ],
)
def test_k5_block_may_follow_a_paragraph_without_an_empty_line(markdown: str, html: str) -> None:
    """Headings, lists, tables, quotes and code end a paragraph, and a quote ends where another block begins."""
    tags = re.sub(
        r"<(table|h1|ul|ol|li|blockquote|div|pre|a)(?: [^<>]*)?>|<[^<>]*>",
        lambda m: (m[1] and f"<{m[1]}>") or "",
        html_of(markdown),
    )

    assert re.sub(r"\s", "", tags) == html
