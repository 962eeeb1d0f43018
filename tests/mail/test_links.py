"""Which links show one address and lead to another, and what the images of a mail refer to."""

from __future__ import annotations

import pytest

from m365_mcp.mail.html.links import content_ids, misleading_links

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


@pytest.mark.parametrize(
    ("text", "target"),
    [
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
    ],
)
def test_link_that_shows_no_other_host_is_not_counted(text: str, target: str) -> None:
    """The same host, words, a file's name, and a link that opens no page are no disguise."""
    assert misleading_links(link(text, target)) == []


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
    ],
)
def test_content_ids_are_those_of_the_images(html: str, ids: set[str]) -> None:
    """A content id is what follows cid:, decoded, each once (RFC 2392)."""
    assert content_ids(html) == ids
