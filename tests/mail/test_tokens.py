"""HTML as a sequence of tags and text, as browsers read it."""

from __future__ import annotations

import pytest

from m365_mcp.errors import BodyTooComplex
from m365_mcp.mail.html.tokens import End, Start, Text, Token, close_tags, read_tokens, write_tokens


@pytest.mark.parametrize(
    ("html", "tokens"),
    [
        ("", []),
        ("a &lt; b", [Text("a &lt; b")]),
        ("a<B>c</b >d", [Text("a"), Start("b"), Text("c"), End("b"), Text("d")]),
        ("<br/><hr />", [Start("br"), Start("hr")]),
        ("a < b <3", [Text("a "), Text("&lt;"), Text(" b "), Text("&lt;"), Text("3")]),
        ("a<!-- > <b> -->c<!--d--!>e", [Text("a"), Text("c"), Text("e")]),
        ("a<!-->b<!--->c", [Text("a"), Text("b"), Text("c")]),
        ("<!----->a<!---->b", [Text("a"), Text("b")]),
        ("a<!--b", [Text("a")]),
        ("a<!doctype x>b<?c?>d</ e>f</>g", [Text("a"), Text("b"), Text("d"), Text("f"), Text("g")]),
        ("a<!b", [Text("a")]),
        ("a<b c", [Text("a")]),
        ("a<b c='d", [Text("a")]),
        (
            "<p A=1 b='2\n' C = \"3\" d e=>x",
            [Start("p", {"a": "1", "b": "2\n", "c": "3", "d": "", "e": ""}), Text("x")],
        ),
        ("<p a=1 A=2 =b/c>", [Start("p", {"a": "1", "=b": "", "c": ""})]),
        ("<p\ta\f=\r'b'/>x", [Start("p", {"a": "b"}), Text("x")]),
        (
            "<p a='&lt;&#65;&#X42;&#xe4;&#xAD;&copy=1&copy;&copyx;&lt=2&notanamex;&amp'>",
            [Start("p", {"a": "<ABä\xad&copy=1©&copyx;&lt=2&notanamex;&"})],
        ),
        ("<script>a<b></SCRIPT >c", [Start("script", {}, "a<b>"), End("script"), Text("c")]),
        ("<title a=1>b</titles></title\n>", [Start("title", {"a": "1"}, "b</titles>"), End("title")]),
        ("<style>a", [Start("style", {}, "a")]),
        ("<xmp/>a</xmp/>b", [Start("xmp", {}, "a"), End("xmp"), Text("b")]),
        ("</style>a", [End("style"), Text("a")]),
    ],
)
def test_html_is_read_as_browsers_read_it(html: str, tokens: list[Token]) -> None:
    """Tags, attributes, comments, and the elements whose content is no markup (WHATWG HTML 13.2.5)."""
    assert list(read_tokens(html)) == tokens


@pytest.mark.parametrize(
    ("html", "closed"),
    [
        ("<b><i>a</b>c", "<b><i>a</i></b>c"),
        ("<b>a", "<b>a</b>"),
        ("a</b>c</br>", "a</br>c".replace("</br>", "") + "</br>"),
        ("<p>a<p>b</li><br><div>c", "<p>a<p>b</li><br><div>c</div>"),
        ("<b><i></i></b><u><s>", "<b><i></i></b><u><s></s></u>"),
    ],
)
def test_open_tags_are_closed_in_order(html: str, closed: str) -> None:
    """End tags without a start are dropped; void elements and optional end tags are left to the parser."""
    assert write_tokens(close_tags(read_tokens(html))) == closed


@pytest.mark.parametrize(
    ("html", "most", "what"),
    [
        ("<div>{}", 200, "200 HTML tags open in one another"),
        ("<b><i>{}", 198, "200 HTML tags open"),
    ],
    ids=["depth", "formatting"],
)
def test_depth_is_limited(html: str, most: int, what: str) -> None:
    """What is closed again does not count."""
    list(close_tags(read_tokens(html.format("<div>" * (most - html.startswith("<div>")) + "</div>"))))
    with pytest.raises(BodyTooComplex, match=what):
        list(close_tags(read_tokens(html.format("<div>" * (most + 3)))))


def test_repetitions_of_formatting_are_limited() -> None:
    """A hundred open tags may be repeated in a thousand paragraphs less those in which they were opened."""
    html = "<b>" * 100 + "<p>" * 948

    list(close_tags(read_tokens(f"{html}<br>")))
    list(close_tags(read_tokens("<b></b><b><i></b>" + "<p>" * 1_000 + html)))
    with pytest.raises(BodyTooComplex, match="more than 100,000 repetitions of formatting tags that are left open"):
        list(close_tags(read_tokens(f"{html}<br><br>")))


@pytest.mark.parametrize(
    ("tag", "html"),
    [
        (Start("p"), "<p>"),
        (Start("p", {"a": "", "b": "c d"}), '<p a="" b="c d">'),
        (Start("p", {"a": "<&>\"'\xa0"}), '<p a="&lt;&amp;&gt;&quot;\'&nbsp;">'),
        (Start("p", {"a": ">"}), '<p a="&gt;">'),
        (End("p"), "</p>"),
        (Text("&copy;"), "&copy;"),
    ],
)
def test_tag_is_written_in_one_way(tag: Token, html: str) -> None:
    """Every value is in quotes, and what could end it is escaped."""
    assert write_tokens([tag]) == html
