"""Which links show one address and lead to another, and what the images of a mail refer to."""

from __future__ import annotations

import pytest

from m365_mcp.mail.html.links import (
    ANCHORED,
    Mismatch,
    content_ids,
    dead_anchors,
    link_notes,
    misleading_links,
    targets_inside,
)
from tests.mail.composing import build_html

EVIL = "https://evil.example"
FILES = [
    "csv",
    "css",
    "doc",
    "docx",
    "eml",
    "gif",
    "htm",
    "html",
    "ics",
    "jpeg",
    "jpg",
    "js",
    "json",
    "log",
    "md",
    "mp3",
    "mp4",
    "odt",
    "pdf",
    "png",
    "ppt",
    "pptx",
    "py",
    "rtf",
    "svg",
    "tar",
    "txt",
    "xls",
    "xlsx",
    "xml",
    "yaml",
    "yml",
    "zip",
]


def link(text: str, target: str = EVIL) -> str:
    return f'<p>See <a href="{target}">{text}</a> now</p>'


@pytest.mark.parametrize(
    "text",
    [
        "https://corp.example",
        "HTTPS://corp.example",
        "http://corp.example",
        "//corp.example",
        "corp.example",
        "corp.example.",
        " \n corp.example ",
        "corp.example:8443",
        "corp.example/a",
        "corp.example?a",
        "corp.example#a",
        "corp.example is ours",
        "me@corp.example",
        "https://me@corp.example/",
        "<b>corp</b>.<i>example</i>",
        "corp&#46;example",
        "my-corp.example",
        "corp.example!",
        "Read corp.example",
        " " * 2000 + "corp.example",
        "a.b.corp.example",
        "https://report.pdf",
        "www.report.pdf",
        "corp.example" + " x" * 3000,
        " " * 1988 + "corp.example!",
    ],
)
def test_link_that_shows_another_host_is_counted(text: str) -> None:
    """Whatever a reader takes for an address counts, with scheme, port, path, user or formatting."""
    assert len(misleading_links(link(text))) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_link_to_a_page_of_either_scheme_is_judged(scheme: str) -> None:
    """Pages are reached by http and by https."""
    assert len(misleading_links(link("corp.example", f"{scheme}://evil.example"))) == 1


def test_each_link_is_judged_by_its_own_text() -> None:
    """Text before, between and behind links belongs to none of them."""
    html = f'corp.example <a name="x">corp.example</a>{link("corp.example")}corp.example{link("a")}{link("b.example")}'

    assert len(misleading_links(html)) == 2


@pytest.mark.parametrize(
    ("html", "ids"),
    [
        ('<img src="cid:a"><img src="CID:b%40c" alt="cid:x">', {"a", "b@c"}),
        ('<img src="cid:a"><p><img alt="" src="cid:a"></p>', {"a"}),
        ('<img src="https://a.example"><img alt="x">', set()),
        ("<p>cid:a</p>", set()),
        ('<p src="cid:a"></p>', set()),
    ],
)
def test_content_ids_are_those_of_the_images(html: str, ids: set[str]) -> None:
    """A content id is what follows cid:, decoded, each once (RFC 2392)."""
    assert content_ids(html) == ids


DISGUISES = [
    ("contoso․example", EVIL),  # U+2024
    ("contoso\u200b.example", EVIL),
    ("\u200bcontoso.example", EVIL),
    ("Visit contoso.example now", EVIL),
    ("[contoso.example]", EVIL),
    ("boss@contoso.example", "mailto:m@evil.example"),
    ("+1 555 0100", "tel:+19005550199"),
    ("contoso.example", "tel:+19005550199"),
    ("contoso.example", "mailto:m@evil.example"),
    ("ｃｏｎｔｏｓｏ．ｅｘａｍｐｌｅ", EVIL),
    ("contoso。example", EVIL),
    ("contoso·com", EVIL),
    ("contoso\u00ad\ufe0f.example", EVIL),
    ("contoso.соm", EVIL),  # Cyrillic
    ("contoso.example", "https://cоntoso.example"),  # Cyrillic
    ("contoso%2Eexample", EVIL),
    ("Read", "https://contoso.example@evil.example/"),
    ("https://contoso.\nexample/", EVIL),
    ("www .contoso.example", EVIL),
    ("<b>con</b>toso<i>.ex</i>ample", EVIL),
    ("<img src='cid:a' alt='contoso.example'>", EVIL),
    ("\u202eelpmaxe.osotnoc", EVIL),
    ("(contoso.example)", EVIL),
    ("„contoso.example“", EVIL),
    ("contoso.example∕login", EVIL),
    ("WWW.CONTOSO.COM", EVIL),
    ("boss@contoso.example", EVIL),
    ("http://10.0.0.1", EVIL),
    ("contoso.example", "https://evil.example/?u=contoso.example"),
    ("contoso.example", "https://contoso.example.evil.example"),
    ("contoso.co.uk", "https://evil.co.uk"),
    ("ada.github.io", "https://eve.github.io"),
    ("boss@contoso.example", "mailto:boss@contoso.example,m@evil.example"),
    ("boss@contoso.example", "mailto:boss@contoso.example?bcc=m%40evil.example"),
    ("boss@contoso.example", "mailto:?cc=m@evil.example"),
    ("boss@contoso.example", "mailto:eve@contoso.example"),
    ("boss@contoso.example", "tel:+15550100"),
    ("evil.example or contoso.example", EVIL),
]


@pytest.mark.parametrize(("text", "target"), DISGUISES)
def test_h16_disguised_address_is_found(text: str, target: str) -> None:
    """Look-alike dots and letters, invisible characters, sentences, brackets, numbers and mailboxes hide no lie."""
    assert len(misleading_links(link(text, target))) == 1


def test_h16_address_in_the_title_of_a_link_counts() -> None:
    """What appears when the pointer is over the link is shown as well."""
    assert misleading_links(f'<a href="{EVIL}" title="https://contoso.example/login">here</a>') == [
        Mismatch("contoso.example", "evil.example")
    ]


HONEST = [
    ("1.500 EUR", EVIL),
    ("v2.10", EVIL),
    ("St.Gallen", EVIL),
    ("Node.js", EVIL),
    ("ASP.NET", EVIL),
    ("12.05.2026", EVIL),
    ("e.g. this, z.B. that, a.m. or p.m.", EVIL),
    ("This.It is", EVIL),
    ("Ph.D. thesis in the U.S. market", EVIL),
    ("README.md", EVIL),
    ("archive.zip", EVIL),
    ("1.2.3.4", EVIL),
    ("example.com", "https://app.example.com"),
    ("app.example.com", "https://example.com/a"),
    ("shop.contoso.co.uk", "https://www.contoso.co.uk"),
    ("straße.example", "https://xn--strae-oqa.example"),
    ("xn--bcher-kva.example", "https://bücher.example"),
    ("Boss@Contoso.example", "mailto:boss@contoso.EXAMPLE?subject=x"),
    ("contoso.example", "mailto:info@mail.contoso.example"),
    ("Write to us", "mailto:a@evil.example?cc=b@evil.example"),
    ("+1 (555) 0100", "tel:+15550100"),
    ("0555 0100", "tel:+495550100"),
    ("+49 (0)30 12345", "tel:+493012345"),
    ("555-0100 ext. 12", "tel:+15550100;ext=12"),
    ("Call 24/7", "tel:+15550100"),
    ("contoso.example", "#top"),
    ("evil.example", EVIL),
    ("www.evil.example", EVIL),
    ("evil.example", "https://www.evil.example/a"),
    ("EVIL.example", "HTTPS://evil.EXAMPLE:8443"),
    ("corp.example", "mailto:a@corp.example"),
    ("corp.example", "#a"),
    ("<b>evil</b>.example", EVIL),
    ("my.report.pdf", EVIL),
    ("corp", EVIL),
    ("corp.e", EVIL),
    ("our report", EVIL),
    ("", EVIL),
    *((f"report.{name}", EVIL) for name in FILES),
]


@pytest.mark.parametrize(("text", "target"), HONEST)
def test_k14_honest_link_gives_no_alarm(text: str, target: str) -> None:
    """Numbers, abbreviations, files, subdomains, other spellings of one address, and links to no page are no lie."""
    assert misleading_links(link(text, target)) == []


def test_h16_note_names_the_first_three_links() -> None:
    """The note says what is shown and where it leads, each pair once, in at most sixty characters a name."""
    html = "".join(link(f"{name}.example") for name in "aabcde") + link(f"{'x' * 63}.example")

    assert misleading_links(link("a<li>b.example"))[0].shown == "b.example"
    (note,) = link_notes(html)

    assert note.sentence == (
        "7 links show one address and lead to another: a.example → evil.example, b.example → evil.example, "
        "c.example → evil.example and 3 more. Check the targets."
    )
    (long,) = link_notes(link(f"{'x' * 63}.example"))
    assert f"{'x' * 59}… → evil.example" in long.sentence


def test_h16_look_alike_letters_of_a_target_are_told_apart() -> None:
    """The note writes a target with letters of another alphabet so that the difference can be seen."""
    assert misleading_links(link("contoso.example", "https://cоntoso.example")) == [
        Mismatch("contoso.example", "xn--cntoso-wqf.example")
    ]


SAFE = "https://eur01.safelinks.protection.outlook.com/"


@pytest.mark.parametrize(
    ("target", "leads_to"),
    [
        (f"{SAFE}?url=https%3A%2F%2Fcontoso.example%2Fx&data=05", ""),
        (f"{SAFE}?url=https%3A%2F%2Fevil.example%2Fcontoso.example", "evil.example"),
        (f"{SAFE}?url=http://[x", "eur01.safelinks.protection.outlook.com"),
        (SAFE, "eur01.safelinks.protection.outlook.com"),
        (
            "https://safelinks.protection.outlook.com.evil.example/?url=https%3A%2F%2Fcontoso.example",
            "safelinks.protection.outlook.com.evil.example",
        ),
    ],
)
def test_k14_link_that_microsoft_rewrote_is_read_as_the_original(target: str, leads_to: str) -> None:
    """K14: Outlook copies Safe Links; their parameter tells where they lead, and no other host has such a one."""
    _, warnings = build_html(f'<p><a href="{target.replace("&", "&amp;")}">https://contoso.example/x</a></p>')

    assert [f"contoso.example → {leads_to}." in one for one in warnings] == ([True] if leads_to else [])


@pytest.mark.parametrize(
    ("html", "dead"),
    [
        ('<a href="#a">to <b>a</b></a>', ["to a"]),
        ('<a href="#a">a</a><a name="a">x</a>', []),
        ('<a href="#a%20b">a</a><p id="a b">x</p>', []),
        ('<a href="#Top">up</a><a href="#top">up</a>', []),
        ('<a href="#a"><img alt="logo" src="cid:a"><img src="cid:b"></a>', [" logo   ".strip()]),
        ('<a href="#a">a<br>b<p>c</p><span>d</span><div>e</div></a>', ["a b cd e"]),
        ('<a href="#a">tea &amp; milk</a>', ["tea & milk"]),
        ('<a name="b">b</a> c <a href="#a">a</a> d</a> e', ["a"]),
        ('<a href="https://a.example/#a">a</a><a>b</a>', []),
        ('<table><tr><td><a href="#a">a</a></td></tr></table><ul><li><a href="#b">b</a></li></ul>', ["a", "b"]),
    ],
)
def test_k14_link_to_a_place_that_is_not_there_is_found(html: str, dead: list[str]) -> None:
    """It is named by its text; the top of the mail is always there."""
    assert dead_anchors(html) == dead


def test_k14_dead_anchors_are_said_together() -> None:
    """The note counts them and names their texts."""
    (one,) = link_notes('<a href="#a">a</a>')
    (two,) = link_notes('<a href="#a">a</a><a href="#b">b</a>')

    assert one.sentence == ('1 link leads to a place that this mail does not have, so nothing opens: "a".')
    assert two.sentence == ('2 links lead to places that this mail does not have, so nothing opens: "a", "b".')
    assert link_notes("<p>a</p>") == ()


@pytest.mark.parametrize(
    ("html", "targets"),
    [
        ('<a href="#a">', {"a"}),
        ("<A HREF = '#a%20b'>", {"a b"}),
        ("<a href=#a&amp;b>", {"a&b"}),
        ('<a href="a#b">', set()),
        ("<p>a</p>", set()),
    ],
)
def test_targets_inside_a_mail_are_found(html: str, targets: set[str]) -> None:
    """In any spelling of an attribute, decoded."""
    assert targets_inside(html) == targets


def test_anchor_stands_in_elements_that_have_text() -> None:
    """Not in a list or a table itself, but in its items and cells."""
    assert {"p", "div", "li", "span", "td", "th", "caption"} <= ANCHORED
    assert not {"dl", "hr", "ol", "ul", "table", "tr"} & ANCHORED


@pytest.mark.parametrize(
    ("text", "number", "is_same"),
    [
        ("+1 (0)555 0100", "+15550100", True),
        ("0555-0100 ext. 12", "+15550100", True),
        ("0555 0100 EXT 12", "+15550100", True),
        ("0555 0100 x12", "+15550100;ext=9", True),
        ("1234", "+15550100", True),
        ("12345", "+15550100", False),
        ("+1 555 0100", "0100", True),
        ("+1 555 0100", "", False),
    ],
)
def test_k14_number_is_compared_by_its_digits(text: str, number: str, is_same: bool) -> None:
    """Prefixes, extensions and separators make no other number; less than five digits are none."""
    assert misleading_links(link(text, f"tel:{number}")) == ([] if is_same else [Mismatch(text, number)])
