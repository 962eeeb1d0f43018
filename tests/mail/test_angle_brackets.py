"""Text in angle brackets stays text, and markup stays markup."""

from __future__ import annotations

from contextlib import suppress
from html import escape, unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m365_mcp.errors import BodyTooComplex
from m365_mcp.mail.html.angle_brackets import escape_text
from m365_mcp.mail.html.sanitizing import sanitize_html
from tests.mail.composing import build
from tests.yardstick import idle_core_seconds

TEXT = [
    "Contact Ada <ada@contoso.example> today",
    "See <https://contoso.example/x> and <mailto:ada@contoso.example>",
    "Dear <FirstName> <LAST_NAME>, <your-name>, <Your Name>, <date>, <1>",
    "<config><port>80</port></config>",
    '<server id="1"><max_age>5</max_age></server>',
    "List<String> m = new Map<K, V>(); Set<Object> s; Vec<Option<u8>> List<S>",
    "if x<y and y>z",
    "if a<b and c>d",
    "if (a<b && c>d) for (i=0;i<n;i++) { a>b }",
    "a <b and c> d",
    "<<< -> <- <= <3 </3 <> </> <-- << >>",
    'a <p title="x<y" z"=1> b',
    "Dear <Title>, <Body> <Font> <Table>",
    "Ship to <address>, see <title> and <link> or <img>",
    '<a href="https://contoso.example/ is never closed',
    "a <!-- note without an end",
    "<?php echo 1; ?> and <![CDATA[a < b]]> and <!here>",
    "a <![CDATA[ without its end",
    "<soap:Envelope> and <xsl:template match='/'>",
    "ls > out.txt < in.txt 2>&1; cat <<EOF",
    "<script> without its end",
    "<textarea> without its end, <style> too",
    "x <y",
    "x <",
    "<b",
    "5 <b>6",
]


@pytest.mark.parametrize("text", TEXT[:-1])
def test_k2_text_in_angle_brackets_is_read_as_written(text: str) -> None:
    """Addresses, placeholders, data, types and comparisons are in the mail as they were written, with nothing lost."""
    assert unescape(sanitize_html(f"<p>{text}</p>")[0]) == f"<p>{text}</p>"


@pytest.mark.parametrize(
    ("html", "clean"),
    [
        ("<p>a</p><p class=x disabled>b<br>c", "<p>a</p><p>b<br>c</p>"),
        ("<P>a</P><B>b</B>", "<p>a</p><b>b</b>"),
        ("<td nowrap>a</td><p data-x aria-hidden='y'>b</p>", "a<p>b</p>"),
        ("<o:p></o:p><v:shape id=x>a</v:shape><st1:place w:st='on'>b</st1:place>", "ab"),
        ("<p title='a<b'>c</p>", '<p title="a&lt;b">c</p>'),
        ("<!-- a > b --><!DOCTYPE html><p>a</p><![if !mso]>b<![endif]>", "<p>a</p>b"),
        ("<!--[if mso]><p>Outlook</p><![endif]--><!--[if !mso]><!--><p>a</p><!--<![endif]-->", "<p>a</p>"),
        ('<?xml version="1.0"?>\n<!DOCTYPE html><html><body>a</body></html>', "\na"),
        ('<?xml:namespace prefix = o ns = "urn:x" /><p>a</p>', "<p>a</p>"),
        ("<div @click='x' :class='y' v-if>a</div>", "<div>a</div>"),
        ("List<b>bold</b>", "List<b>bold</b>"),
        ("<svg></svg>a <circle> b", "a &lt;circle&gt; b"),
        ("<![CDATA[<b>a</b>]]>", "&lt;![CDATA[&lt;b&gt;a&lt;/b&gt;]]&gt;"),
        ("<p title='a' b\"=1>c</p>", '<p title="a">c</p>'),
    ],
)
def test_k2_markup_stays_markup(html: str, clean: str) -> None:
    """Tags of HTML in any case, of Office and of frameworks, comments and declarations are no text."""
    assert sanitize_html(html)[0] == clean


def test_k2_text_after_markup_that_never_closes_stays() -> None:
    """A quote, a comment or a script that never ends swallows nothing."""
    for start in (
        '<a href="https://contoso.example>',
        "<!-- ",
        "<script>",
        "<style>",
        "<title>",
        "<textarea>",
        "<?php ",
    ):
        assert "the rest</b>" in sanitize_html(f"<p>a</p>{start} <b>the rest</b>")[0]
    assert sanitize_html("<label>the rest")[0] == "&lt;label&gt;the rest"


def test_k2_open_comment_is_said() -> None:
    """The report counts comments that never end."""
    warnings = build(body="<p>a</p><!-- b").warnings

    assert warnings == ("1 comment has no end (-->), so it stays as text.",)
    assert build(body="<p>a</p><!-- b -->").warnings == ()


def test_k2_data_keeps_its_lines() -> None:
    """Data of several lines keeps line breaks and indents, in <pre> as well; tags of HTML inside it are text too."""
    data = "<book>\n  <title>A &amp; B</title>\n</book>"

    assert sanitize_html(f"<p>a</p>{data}")[0] == (
        "<p>a</p>&lt;book&gt;<br>\n&nbsp;&nbsp;&lt;title&gt;A &amp; B&lt;/title&gt;<br>\n&lt;/book&gt;"
    )
    assert sanitize_html(f"<pre>x{data}</pre>")[0] == f"<pre>x{escape(unescape(data))}</pre>"


def test_k2_wrapper_around_html_does_not_spoil_it() -> None:
    """HTML inside an element that HTML does not know is still HTML."""
    assert sanitize_html("<email><p>Hi <b>you</b></p></email>")[0] == "&lt;email&gt;<p>Hi <b>you</b></p>&lt;/email&gt;"


def test_k2_address_in_brackets_keeps_its_query() -> None:
    """An ampersand in an address in brackets begins no character reference; one with a semicolon does."""
    assert sanitize_html("<x &Auml; y>")[0] == "&lt;x Ä y&gt;"
    assert (
        unescape(sanitize_html("<https://contoso.example/?a=1&copy=2>")[0]) == "<https://contoso.example/?a=1&copy=2>"
    )


@pytest.mark.parametrize("text", ["Dear <your-name>,", "List<String> x", "if a <b and c> d", "x <y and y> z"])
def test_k2_markdown_keeps_text_in_angle_brackets(text: str) -> None:
    """Markdown passes HTML tags through, so the same rules hold for what looks like one."""
    assert escape(text) in build(body=f"{text} **bold**", content_type="Markdown").body


N = 40_000
SHAPES = {
    "open attributes": '<a x="' * N,
    "attributes to the end": '<a x="' * N + ">",
    "two kinds of quotes": "<a x='" + '<b w k="' * N + ">",
    "tags in values": "<b w " + 'k="<b w " ' * N + ">",
    "tags in values, open": "<b w " + 'k="<b w " ' * N,
    "sections": "<![CDATA[" * N,
    "comments": "<!--" * N,
    "comments before one end": "<!-- " * N + "-->",
    "scripts before half an end": "<script>" * N + "</script",
    "instructions": "<?php " * N + ">",
    "end tags with blanks": "</ " * N,
    "comparisons": "<b and c> " * N,
    "data": "<x>\n" * N + "<p></x>",
    "data without an end": "<x>" * N + "</x" + "y" * N,
    "custom elements": "<a-b>" * N + "</a-b>",
    "formulas": "<math>" * N + "</math>",
    "bare attributes": "<p a a " * N,
    "tags without an end": "<a" * 2 * N + ">",
    "tags as values": "<a b=<a/c=" * N + ">",
    "named tags": "use <b> and " * N,
    "named pairs": "<ul> and </ul>, " * (N // 2),
    "code": "`<i>` " * (N // 2),
    "fences": "```\n<p>\n" * N,
    "named sheets": "the <style> tag " * N + "</style>",
}


@pytest.mark.full
@pytest.mark.parametrize("html", SHAPES.values(), ids=SHAPES)
def test_k2_reading_takes_linear_time(html: str) -> None:
    """No shape makes the reader go over the same characters again and again."""

    def read() -> None:
        with suppress(BodyTooComplex):
            escape_text(html)

    assert idle_core_seconds(read, enough=1) < 1  # quadratic time would be minutes


def test_k2_words_that_may_be_attributes_are_limited() -> None:
    """Those of all tags count, also of tags that turn out to be text."""
    with pytest.raises(BodyTooComplex, match=r"more than 50,000 HTML attributes\."):
        escape_text(("<p " + "a " * 25_001 + "<") * 2 + ">")


PIECES = """
<p> </p> <b> </b> <a <b x= " ' > < </ <!-- --> --!> <! <? <![CDATA[ ]]> <script> </script> <style> </style> <title>
</title> <x> </x> <x-y> </x-y> <svg> </svg> and = text & &amp; <pre> </pre> <textarea </textarea> / <o:p> <T> @ :
"""


@given(st.lists(st.sampled_from([*PIECES.split(), " ", "\n"]), max_size=20).map("".join))
def test_k2_escaping_is_stable_and_loses_nothing(html: str) -> None:
    """Escaped text is not escaped again, and every character outside of line breaks is still there."""
    once = escape_text(html).html

    assert escape_text(once).html == once
    plain = once.replace("&lt;", "<").replace("&amp;", "&").replace("<br>", "").replace("&nbsp;", " ")
    assert plain.replace("\n", "") == html.replace("&amp;", "&").replace("\n", "")
