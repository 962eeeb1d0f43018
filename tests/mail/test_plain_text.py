"""Plain text as HTML."""

from __future__ import annotations

import pytest

from m365_mcp.mail.plain_text import render_plain_text
from tests.mail.composing import build, build_html

FONT = '<div style="font-family:Calibri,Arial,sans-serif;font-size:11pt">'


def test_k1_letter_keeps_its_lines() -> None:
    """Paragraphs at empty lines, `<br>` at single line breaks, and no warning."""
    body, warnings = build_html("Hi Grace,\n\nThe numbers are in.\nRegards,\nAda\n")

    assert "<p>Hi Grace,</p>\n<p>The numbers are in.<br>Regards,<br>Ada</p>" in body
    assert warnings == ()


def test_k2_text_in_angle_brackets_stays() -> None:
    """Nothing in plain text is markup."""
    body, warnings = build_html("Ada <ada@contoso.example> & <FirstName>\nList<String> a < b &copy=1")

    assert "Ada &lt;ada@contoso.example&gt; &amp; &lt;FirstName&gt;<br>List&lt;String&gt; a &lt; b &amp;copy=1" in body
    assert warnings == ()


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("Lunch <at> 12?\n", "Lunch &lt;at&gt; 12?"),
        ("  a\n  b", f"{FONT}\n<p>a<br>b</p>\n</div>"),
        ("a\n  b\n\tc  d", f"{FONT}\n<p>a<br>\xa0\xa0b<br>\xa0\xa0\xa0\xa0c\xa0 d</p>\n</div>"),
        ("\n\nXa\nX", f"{FONT}\n<p>Xa<br>X</p>\n</div>"),
        ("  a", "a"),
        ("\"a\" & 'b' https://a.example", '"a" &amp; \'b\' <a href="https://a.example">https://a.example</a>'),
        (
            "https://a.example https://b.example",
            "".join(
                [
                    '<a href="https://a.example">https://a.example</a>',
                    " ",
                    '<a href="https://b.example">https://b.example</a>',
                ]
            ),
        ),
        ("www.a.example", "www.a.example"),
        ("A  | 1\nb", f"{FONT}\n<p>A&nbsp; | 1<br>b</p>\n</div>".replace("&nbsp;", "\xa0")),
        ("مرحبا 1\n\nא", f'{FONT}\n<p dir="rtl">مرحبا 1</p>\n<p dir="rtl">א</p>\n</div>'),
        ("a \n \t\n\n\nb", f"{FONT}\n<p>a</p>\n<p>b</p>\n</div>"),
        ("שלום 1\n\n1. Hi", f'{FONT}\n<p dir="rtl">שלום 1</p>\n<p>1. Hi</p>\n</div>'),
    ],
)
def test_k1_spaces_and_directions_are_kept(text: str, html: str) -> None:
    """Indentation is kept where it is not that of all lines, and a paragraph has the direction of its first letter."""
    assert render_plain_text(text) == html


@pytest.mark.parametrize("table", ["+--+--+\n|a |b |\n+--+--+", "Name     Qty\nTea      2", "a\tb\nc\td", "┌──┐\n└──┘"])
def test_k1_drawn_table_keeps_its_columns(table: str) -> None:
    """It is set in a font whose characters have one width, with its spaces."""
    assert f'monospace;white-space:pre-wrap">{table}</pre>' in render_plain_text(f"Hi\n\n{table}")


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("See https://a.example/b?c=1&d=2.", "https://a.example/b?c=1&amp;d=2"),
        ("(https://a.example/b_(c))", "https://a.example/b_(c)"),
        ("<https://a.example/>", "https://a.example/"),
        ("見 https://a.example/x。", "https://a.example/x"),
    ],
)
def test_k13_address_becomes_a_link(text: str, link: str) -> None:
    """Without the punctuation around it."""
    assert f'<a href="{link}">{link}</a>' in render_plain_text(text)


def test_long_text_is_one_element() -> None:
    """A log of 100,000 lines is below the limits on elements, and nothing of it is lost."""
    message = build(body="a line of a log, https://a.example\n" * 100_000)

    assert message.body.count("a line of a log") == 100_000
    assert message.warnings == ()


@pytest.mark.parametrize(
    ("text", "is_kept"),
    [
        ("a\n" * 5_000 + "a", True),
        ("a\n" * 5_001 + "a", False),
        ("a" + "  a" * 20_000, True),
        ("a" + "  a" * 20_001, False),
        ("a" + "\ta" * 10_000, True),
        ("a" + "\ta" * 10_001, False),
    ],
    ids=["lines", "too many lines", "spaces", "too many spaces", "tabs", "too many tabs"],
)
def test_text_with_too_many_lines_or_spaces_is_one_element(text: str, is_kept: bool) -> None:
    """The limits themselves are allowed; beyond them, nothing is done for each line or space."""
    assert ("<pre" not in render_plain_text(text)) is is_kept


def test_text_with_too_many_addresses_has_no_links() -> None:
    """2,000 addresses become links, and 2,001 stay text."""
    address = "https://a.example\n"

    assert render_plain_text(address * 2_000).count("<a ") == 2_000
    assert render_plain_text(address * 2_001).count("<a ") == 0
