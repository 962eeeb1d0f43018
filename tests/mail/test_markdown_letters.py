"""What people who write letters mean, where CommonMark is made for documents."""

import html as entities
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.mail.test_markdown import html_of, written

PLAIN = [
    "Regards\nAda\n-- \nAda Lovelace",
    "Regards\nAda\n--\nAda Lovelace",
    "Total\n=====\n12",
    "Total\n=",
    "[^a]: Forecast",
    "[TODO]: decide",
    "[Note]: https://",
    "It was long ago.\n\n2026. was good",
    "30000) a number",
    "#hashtag and\n#1 is ours",
    ">5% growth",
    ">= 3 or\n>€5",
    "-",
    "0.",
    "#",
    "one\n>\ntwo",
    "+49 30 1234\n+1 555",
    "[Name]\nStreet 1\nCity",
    "a | b\nc | d",
    "-5 degrees\n*not a list",
    r"\\server\share and C:\new\table",
    r"(\\server\_share\#1) C:\*.txt D:\!new\(old)\~a",
    r"\\?\C:\long and x \nabla y",
    "C:\\Temp\\\nnext",
    r"50\60",
]


@pytest.mark.parametrize("text", PLAIN)
def test_k13_plain_lines_stay_plain_lines(text: str) -> None:
    """A signature, an underlined total, a year, a note, a path: each line stays as it is, in its paragraph."""
    lines = [line.rstrip() for line in text.split("\n\n")]
    expected = "\n".join(f"<p>{entities.escape(block, quote=False)}</p>" for block in lines)
    assert html_of(text) == re.sub(r" ?\n(?!<p>)", "<br>\n", expected)


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("Hi,\n\n    Thank you\n\nAda", "<p>Hi,</p>\n<p>Thank you</p>\n<p>Ada</p>"),
        ("\tFirst **line**\n\tnext", "<p>First <strong>line</strong><br>\nnext</p>"),
        ("    <p>HTML</p>", "<p>HTML</p>"),
        ("Best\n---\nAda", "<p>Best</p>\n<hr>\n<p>Ada</p>"),
        ("- a\n- b\nRegards,\nAda", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n<p>Regards,<br>\nAda</p>"),
        ("- a\n  more\n- b", "<ul>\n<li>a<br>\nmore</li>\n<li>b</li>\n</ul>"),
        ("> Can you?\nYes.", "<blockquote>\n<p>Can you?</p>\n</blockquote>\n<p>Yes.</p>"),
        (">1 a\n>2 b", "<blockquote>\n<p>1 a<br>\n2 b</p>\n</blockquote>"),
        ("a\n<div>b</div>", "<p>a</p>\n<div>b</div>"),
        ("a\n[b]: https://a.example\n\n[b]", '<p>a</p>\n<p><a href="https://a.example">b</a></p>'),
        (r"\*a\* \_b\_ \# 1\. don\'t C:\\new \\\\srv\\a", r"<p>*a* _b_ # 1. don't C:\new \\srv\a</p>"),
        (
            r"`C:\*` and [a](https://a.example/\_b)",
            r'<p><code>C:\*</code> and <a href="https://a.example/_b">a</a></p>',
        ),
    ],
)
def test_k13_lines_are_read_as_in_letters(markdown: str, html: str) -> None:
    """Indented lines are no code, and the line after a list or a quote does not belong to it."""
    assert html_of(markdown) == html


def test_k13_footnotes_are_numbered_and_none_is_lost() -> None:
    """A reference becomes a number; the notes follow at the end, in this order, those that only code names too."""
    html = html_of(
        "Up[^b] and down[^1], up[^b], [^none], `[^c]`.\n\n[^1]: Forecast of *May*[^d]\n[^b]: First\n\n    Second\n"
        "[^c]: Code\n[^d]: Last\n[^unused]: Stays\n\nRegards"
    )

    assert html.startswith(
        "<p>Up<sup>[1]</sup> and down<sup>[2]</sup>, up<sup>[1]</sup>, [^none], <code>[^c]</code>.</p>"
    )
    assert "<p>[^unused]: Stays</p>\n<p>Regards</p>\n<hr>\n<ol>" in html
    assert html.endswith(
        "<ol>\n<li>\n<p>First</p>\n<p>Second</p>\n</li>\n<li>Forecast of <em>May</em><sup>[3]</sup></li>\n"
        "<li>Last</li>\n<li>Code</li>\n</ol>"
    )


def test_k13_note_in_a_quote_and_a_second_one_of_a_name_stay_text() -> None:
    """Only a note outside quotes and lists moves to the end, and only the first of its name."""
    assert html_of("a[^1] ^[b]\n[^1]: c").startswith("<p>a<sup>[1]</sup> ^[b]</p>\n<hr>")
    html = html_of("a[^1]\n\n> [^1]: quoted\n\n[^1]: note\n\n[^1]: again")

    assert "<blockquote>\n<p>[^1]: quoted" in html.replace("<sup>[1]</sup>", "[^1]")
    assert "<p><sup>[1]</sup>: again</p>" in html
    assert html.endswith("<li>note</li>\n</ol>")


def test_tasks_show_their_state() -> None:
    """A task has a box that is text, because form elements are removed from a mail, and no bullet beside it."""
    message = written("- [x] done\n- [ ] open\n- other\n\nand\n\n1. [X] a\n\n2. [ ] b")

    assert message.warnings == ()
    assert '<li style="list-style-type:none">☑ done</li>\n<li style="list-style-type:none">☐ open</li>' in message.body
    assert "<li>other</li>" in message.body
    assert "<li>\n<p>☑ a</p>\n</li>\n<li>\n<p>☐ b</p>" in message.body


def test_k13_definition_leaves_the_text_only_when_the_text_refers_to_it() -> None:
    """A source that nothing refers to would vanish with its address."""
    html = html_of("See [1].\n\n[1]: https://a.example\n[2]: https://b.example")

    assert html.startswith('<p>See <a href="https://a.example">1</a>.</p>')
    assert '<p>[2]: <a href="https://b.example">https://b.example</a></p>' in html
    for block in ("|c|\n|-|", "- c", "# c", "> c", "<div>\nc\n</div>"):  # it ends what begins like a title
        assert "[a]: <a" in html_of(f'[a]: https://a.example "b\n{block}\nd"\n\n[a]')


LINKED = [
    ("https://a.example/x?a=1&b=2.", "https://a.example/x?a=1&b=2"),
    ("(https://a.example/b_(c)_d_(e))", "https://a.example/b_(c)_d_(e)"),
    ("**https://a.example/x**", "https://a.example/x"),
    ("<https://a.example/x>", "https://a.example/x"),
    ('"https://a.example/x", …', "https://a.example/x"),
    ("請看https://a.example/x。謝謝", "https://a.example/x"),
    ("https://a.example/x를 보세요", "https://a.example/x"),
    ("http://localhost:8000/x;", "http://localhost:8000/x"),
    ("HTTPS://A.EXAMPLE/x!", "HTTPS://A.EXAMPLE/x"),
]


@pytest.mark.parametrize(("text", "address"), LINKED)
def test_k13_bare_web_address_is_a_link_without_what_follows(text: str, address: str) -> None:
    """Punctuation, closing brackets, asterisks and CJK characters after an address are not part of it."""
    escaped = entities.escape(address)
    assert f'<a href="{escaped}">{escaped}</a>' in html_of(text)


@pytest.mark.parametrize(
    ("text", "target", "shown"),
    [
        ("www.contoso.example/a.", "https://www.contoso.example/a", "www.contoso.example/a"),
        ("https://a.example/[b]c", "https://a.example/%5Bb%5Dc", "https://a.example/[b]c"),
        ("Ada (ada_l+x@contoso.example).", "mailto:ada_l+x@contoso.example", "ada_l+x@contoso.example"),
        ("'o'brien@mail.contoso.example'", "mailto:o'brien@mail.contoso.example", "o'brien@mail.contoso.example"),
        ("E-Mail:ada@contoso.example,", "mailto:ada@contoso.example", "ada@contoso.example"),
        ("<ada@contoso.example>", "mailto:ada@contoso.example", "ada@contoso.example"),
        (
            "mailto:ada@contoso.example?subject=x",
            "mailto:ada@contoso.example?subject=x",
            "mailto:ada@contoso.example?subject=x",
        ),
        ("寄ada@contoso.example。", "mailto:ada@contoso.example", "ada@contoso.example"),
        ("[Ada](ada@contoso.example)", "mailto:ada@contoso.example", "Ada"),
        ("[site](www.contoso.example)", "https://www.contoso.example", "site"),
        ("[doc](https://a.example/a b.pdf)", "https://a.example/a%20b.pdf", "doc"),
        ("[doc](https://a.example/Report (v 2).pdf)", "https://a.example/Report%20(v%202).pdf", "doc"),
        ("[Ada](mailto:ada@a.example?subject=a b)", "mailto:ada@a.example?subject=a%20b", "Ada"),
    ],
)
def test_k13_address_leads_where_a_reader_expects(text: str, target: str, shown: str) -> None:
    """What has no scheme gets one, and the blanks of a target are encoded."""
    html = entities.unescape(html_of(text))
    assert f'<a href="{target}">{shown}</a>' in html


@pytest.mark.parametrize(
    "text",
    [
        "file.py St.Gallen 1.500 v2.10 e.g. contoso.example",
        "@grace grace@ 3@4 a@b.c git@a.example:b/c",
        "www. https:// xhttps://a",
    ],
)
def test_k13_what_only_looks_like_an_address_is_no_link(text: str) -> None:
    """A file name, a place, a number, a mention."""
    assert html_of(text) == f"<p>{text}</p>"


def test_k13_no_link_stands_in_a_link_or_in_code() -> None:
    """An address that is the text of a link, or code, stays as it is."""
    html = html_of(
        '[a https://a.example b](https://a.example) <a href="https://c.example">https://c.example</a> `www.d.example`'
    )

    assert html.count("<a ") == 2
    assert "<code>www.d.example</code>" in html


_WORDS = st.text(alphabet="abzÄé漢語가.,;:!?()'\"/%&@ 019", min_size=1, max_size=30).filter(str.strip)
_SAMPLES = [line for text in PLAIN for line in text.split("\n") if not line.startswith(">")]  # two of them are a quote
_LINES = st.one_of(_WORDS, st.sampled_from(_SAMPLES))


def _shown_lines(html: str) -> list[str]:
    text = re.sub(r"<[^>]+>", "", re.sub(r"<br>\n?", "\n", html))
    return [" ".join(line.split()) for line in entities.unescape(text).splitlines() if line.strip()]


@given(st.lists(_LINES, min_size=1, max_size=12).filter(any))
def test_k13_no_line_of_a_letter_is_lost(lines: list[str]) -> None:
    """Every line that holds no Markdown is a line of the mail, in its order and with its words."""
    assert _shown_lines(html_of("\n".join(lines))) == [" ".join(line.split()) for line in lines if line.strip()]
