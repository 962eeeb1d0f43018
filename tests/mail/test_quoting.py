"""The quote below a reply: cleaned as our own bodies are, kept in its look, and never a reason not to reply."""

from __future__ import annotations

import json
import re

import pytest

from m365_mcp.mail import MAX_REQUEST_BYTES, quote_original, read_quotation
from m365_mcp.mail.body import Body
from m365_mcp.mail.quoting import MAX_QUOTED_TEXT, text_as_html, visible_text
from m365_mcp.mail.report import Note, Weight
from tests.yardstick import idle_core_seconds

HTML = Body("HTML", "<p>Yes</p>")
TEXT = Body("Text", "a < b\nc")
HEADER = "<div><b>From:</b> Grace<br><b>Sent:</b> Monday<br><b>To:</b> Ada<br><b>Subject:</b> Lunch?</div>"


def quoted(body: Body, original: str, content_type: str = "html") -> tuple[str, str]:
    return quote_original(body, read_quotation(original, content_type))[:2]


@pytest.mark.parametrize(
    "original",
    [
        "<html><head><style>div { display: none }</style></head><body dir='ltr'><p>At noon?</p></body></html>",
        "<!-- <body> --><p>At noon?</p>",
        "</div></body></html><p>At noon?</p>",
        "<title><body></title><p>At noon?</p>",
        "<p>At noon?</p><!-- open",
        "<meta http-equiv=refresh content=0><base href=https://a.example><p>At noon?</p><script>x</script>",
    ],
)
def test_k12_quote_is_cleaned_and_closed(original: str) -> None:
    """K12: sheets, scripts, instructions for the page, and stray or open tags of the original go; its words stay."""
    content_type, content = quoted(HTML, original)

    assert content_type == "HTML"
    assert content.startswith("<div><p>Yes</p></div><br><div style=")
    assert "<p>At noon?</p>" in content
    assert content.count("<div") == content.count("</div>")
    for gone in ("<style", "<!--", "<meta", "<base", "<script", "<title", "<body"):
        assert gone not in content


@pytest.mark.parametrize(
    ("original", "shown"),
    [
        ("<p>One</p><!-- <style> --><p>Two</p><p>Three</p>", "One\nTwo\nThree"),
        ("<p>One</p><!-- <style> --><p>Two</p><style>p{}</style><p>Three</p>", "One\nTwo\nThree"),
        ('<p title="<style>">One</p><p>Two</p>', "One\nTwo"),
        ('<a href="https://x.example/?q=<style>">One</a><p>Two</p>', "One\nTwo"),
        ("<script>let a = '<style>'</script><p>Two</p>", "Two"),
        ("<title><style></title><p>Two</p>", "Two"),
        ("<p>The <style> element</p><p>Two</p>", "The <style> element\nTwo"),
        ("<!--[if mso]><style>p{}<![endif]--><p>Two</p>", "Two"),
        ("<p>One</p><style>p{}<p>Two</p>", "One\n<style>p{}\nTwo"),
        ("<style media='a>b'>p{}</style><p>Two</p>", "Two"),
    ],
)
def test_k12_style_that_is_no_element_takes_nothing_from_the_quote(original: str, shown: str) -> None:
    """K12: a style sheet is removed; the word in a comment, an attribute or a sentence removes no text after it."""
    clean = read_quotation(original, "html").content

    assert re.sub(r"\n+", "\n", visible_text(clean)) == shown
    assert "<style" not in clean


def test_k12_look_pictures_and_header_of_the_original_stay() -> None:
    """K12: inline styles, pictures that the draft has, and the lines with sender, time and subject are kept."""
    original = f'{HEADER}<p style="color:#c00">At <img src="cid:logo@x"><b>noon</b>?</p>'

    quotation = read_quotation(original, "HTML")

    assert HEADER in quotation.content
    assert '<p style="color:#c00">' in quotation.content
    assert '<img src="cid:logo@x">' in quotation.content
    assert quotation.content_ids == {"logo@x"}
    assert quotation.notes == ()


def test_k12_lost_pictures_of_the_original_are_reported() -> None:
    """K12: pictures that mail programs would load from elsewhere are not in the quote, and the report counts them."""
    quotation = read_quotation(
        '<img src="https://a.example/a.png" alt="Plan"><img src="data:image/png;base64,x">', "html"
    )

    assert "Plan" in quotation.content
    assert [note.sentence.split(" of")[0] for note in quotation.notes] == ["2 pictures"]


def test_text_above_text_stays_text() -> None:
    """Two plain texts stay plain text."""
    assert quoted(TEXT, "At noon?", "text") == ("Text", "a < b\nc\n\nAt noon?")


def test_text_and_html_are_mixed_without_becoming_markup() -> None:
    """Plain text beside HTML is escaped."""
    assert quoted(TEXT, "<p>x</p>")[1].startswith("<div>a &lt; b<br>c</div><br>")
    assert "<pre style=" in quoted(HTML, "1 < 2", "Text")[1]
    assert ">1 &lt; 2</pre>" in quoted(HTML, "1 < 2", "Text")[1]


def test_k12_lines_of_a_plain_original_wrap() -> None:
    """K12: a plain text is quoted with its lines, and long lines wrap, also when Graph has put it into a <pre>."""
    for original, content_type in (("a\n  b", "text"), ('<pre>a\n  b</pre><p title="<pre>">x</p>', "html")):
        content = quoted(HTML, original, content_type)[1]

        assert '<pre style="white-space:pre-wrap;overflow-wrap:break-word">a\n  b</pre>' in content
        assert content.count("pre-wrap") == 1


def test_text_keeps_its_spaces_above_html() -> None:
    """Columns and indents of a plain text keep their width in HTML, whatever ends its lines."""
    assert text_as_html("a   b\r\n  c\td\re") == "a&nbsp; b<br>&nbsp; c d<br>e".replace("a&nbsp; b", "a&nbsp;&nbsp; b")
    assert text_as_html(" <") == "&nbsp;&lt;"


@pytest.mark.parametrize(
    "original",
    [
        "<b>x</b>" * 40_000,
        "<div>" * 300 + "x",
        "&amp;" * 120_000,
        '<a href="https://a.example">x</a>' * 6_000,
    ],
    ids=["elements", "depth", "references", "links"],
)
def test_k12_original_beyond_the_limits_is_quoted_as_text(original: str) -> None:
    """K12: an original that is too much for the sanitizer is quoted as its text, and the report says so."""
    _, content, notes = quote_original(HTML, read_quotation(f"<p>First</p>{original}", "html"))

    assert "First" in content
    assert "<pre style=" in content
    assert any("plain text" in note.sentence for note in notes)


@pytest.mark.parametrize("content_type", ["html", "text"])
def test_k12_endless_original_is_cut(content_type: str) -> None:
    """K12: the end of an original that no request has room for is left out, and the report says so first."""
    _, content, notes = quote_original(HTML, read_quotation("<" * 5_000_000 + '"' * 4_000_000, content_type))

    assert len(json.dumps(content).encode()) < MAX_REQUEST_BYTES
    assert "The end of the original is left out" in notes[0].sentence


@pytest.mark.parametrize("filler", ["&", '"', "ü", "<"])
def test_k12_long_answer_leaves_less_room_for_the_quote(filler: str) -> None:
    """K12: the answer is kept whole, and the quote takes what room is left."""
    answer = Body("Text", "x" * 3_700_000)

    _, content, notes = quote_original(answer, read_quotation(filler * MAX_QUOTED_TEXT, "text"))
    _, above_html, _ = quote_original(answer, read_quotation(f"<p>{'y' * 400_000}</p>", "html"))

    assert content.startswith("x" * 3_700_000)
    assert len(json.dumps(content, ensure_ascii=False).encode()) < MAX_REQUEST_BYTES
    assert bool(notes) == (len(content) < 3_700_000 + MAX_QUOTED_TEXT)
    assert len(json.dumps(above_html, ensure_ascii=False).encode()) < MAX_REQUEST_BYTES
    assert above_html.endswith("</pre></div>")


def test_k12_original_with_characters_that_no_mail_carries() -> None:
    """K12: half a surrogate pair or NUL in the original makes no reply impossible."""
    content = quoted(HTML, "a\x00b \ud800 c")[1]

    content.encode()
    assert "ab ? c" in content


def test_visible_text_of_html_has_lines_and_no_markup() -> None:
    """Blocks become lines, cells are apart, and sheets and scripts are no text."""
    html = "<style>p{}</style><p>At <b>noon</b></p><table><tr><td>a<td>b</table>x &lt; y<script>z</script>"

    assert visible_text(html) == "At noon\n\na b\nx < y"
    assert visible_text("<table><tr><td>a<tr><td>b</table>c<table></table>d") == "a\nb\nc\n\nd"
    assert visible_text("a<br>b<th>c</th>d<hr>e<br><br><br><br>f<i>g</i>") == "a\nb c d\ne\n\nfg"


@pytest.mark.parametrize(
    "original",
    [
        "<b>" * 1_300_000,
        "<i " + "a " * 2_000_000,
        pytest.param("<!" * 2_000_000, marks=pytest.mark.full),
        "<pre>" * 60_000,
        pytest.param("<" * 4_000_001, marks=pytest.mark.full),
        "<style " * 500_000,
        pytest.param("<style>" + "</style " * 400_000, marks=pytest.mark.full),
    ],
    ids=["tags", "attributes", "comments", "blocks", "angle brackets", "open sheets", "open ends of a sheet"],
)
def test_k12_heavy_original_costs_little(original: str) -> None:
    """K12: an original that is made to cost time is cut before it does."""
    assert idle_core_seconds(lambda: quote_original(HTML, read_quotation(original, "html")), enough=1) < 1


CUT = Note(Weight.LOST, "The end of the original is left out of the quote, because the original is too long.")
AS_TEXT = Note(Weight.LOOK, "The original is quoted as plain text, because its HTML is more than this server cleans.")


@pytest.mark.parametrize(
    ("original", "content_type", "notes"),
    [
        ("x" * MAX_QUOTED_TEXT, "text", ()),
        ("x" * (MAX_QUOTED_TEXT + 1), "Text", (CUT,)),
        ("<div>" * 300 + "x" * (MAX_QUOTED_TEXT - 1_500), "HTML", (AS_TEXT,)),
        ("<div>" * 300 + "x" * (MAX_QUOTED_TEXT - 1_499), "html", (CUT, AS_TEXT)),
        ("<style>p{color:red}</style><p>a</p>", "html", ()),
        (
            '<p>a<img src="https://a.example/b"></p>',
            "html",
            (
                Note(
                    Weight.LOOK,
                    "1 picture of the original is left out of the quote, because only pictures that are attached to it "
                    "are sent.",
                ),
            ),
        ),
    ],
    ids=["longest text", "too long", "longest HTML as text", "too long HTML", "style sheet", "picture"],
)
def test_k12_what_is_left_out_of_a_quote_is_said(original: str, content_type: str, notes: tuple[Note, ...]) -> None:
    """300,000 characters are quoted as text, and each loss has its note."""
    quotation = read_quotation(original, content_type)

    assert quotation.notes == notes
    assert len(quotation.content) <= MAX_QUOTED_TEXT
    assert "color" not in quotation.content


def test_k12_room_of_a_request_is_used_to_the_last_byte() -> None:
    """10,000 bytes are kept for the other fields; a text that is one byte too long loses its end, HTML its tags."""
    room = MAX_REQUEST_BYTES - 10_000
    text, html = read_quotation("hello", "text"), read_quotation("<b>hello</b>", "html")
    fits = room - len(json.dumps("\n\nhello"))
    frame = len(json.dumps(quote_original(Body("HTML", "ü"), html)[1], ensure_ascii=False).encode()) - 2

    assert quote_original(Body("Text", "x" * fits), text)[1:] == ("x" * fits + "\n\nhello", ())
    assert quote_original(Body("Text", "x" * (fits + 1)), text)[1:] == ("x" * (fits + 1) + "\n\nhell", (CUT,))
    assert "<b>hello</b>" in quote_original(Body("HTML", "ü" + "x" * (room - frame - 2)), html)[1]
    assert "<b>hello</b>" not in quote_original(Body("HTML", "ü" + "x" * (room - frame - 1)), html)[1]
