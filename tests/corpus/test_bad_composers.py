"""The check notices bad composers: each of these stands in the real one's place, as an argument."""

from __future__ import annotations

import html
import re

import pytest

from tests.corpus.bodies import Body, corpus
from tests.corpus.checking import PIXEL, Composed, Composer, check
from tests.corpus.chromium import Chromium

pytestmark = pytest.mark.full


def escape_only(body: Body) -> Composed:
    """Escape everything, so that each tag is shown as text."""
    return _as_html(body, html.escape(body.text))


def strip_tags(body: Body) -> Composed:
    """Take every tag away, so that nothing separates what the tags did."""
    return _as_html(body, re.sub(r"<[^>]*>", "", body.text))


def change_nothing(body: Body) -> Composed:
    """Send HTML as it is, and everything else as if it were HTML."""
    return _as_html(body, body.text)


def _as_html(body: Body, content: str) -> Composed:
    pictures = dict.fromkeys(body.pictures, PIXEL)
    return Composed(body.text, "Text") if body.said == "Text" else Composed(content, "HTML", pictures=pictures)


def failed(chromium: Chromium, composer: Composer) -> set[str]:
    return check(corpus(), chromium, composer).failed


def names(kind: str, said: str) -> set[str]:
    return {body.name for body in corpus() if (body.kind, body.said) == (kind, said)}


def test_composer_that_only_escapes_is_noticed(chromium: Chromium) -> None:
    """Every HTML body fails, every plain text whose lines run together, and every Markdown; Text passes."""
    found = failed(chromium, escape_only)

    assert found >= names("html", "HTML")
    assert found >= names("markdown", "Markdown") | names("markdown", "HTML")
    assert found >= {"letter.txt", "zh-Hant.txt", "ar.txt", "python-code.txt"}
    assert not found & names("text", "Text")


def test_composer_that_only_strips_tags_is_noticed(chromium: Chromium) -> None:
    """HTML whose tags make lines, pictures or columns fails, and so does text in angle brackets; Text passes."""
    found = failed(chromium, strip_tags)

    assert len(found) > len(corpus()) * 0.8
    assert found >= {"outlook-windows-letter.html", "gmail-reply.html", "claude-report-style-block.html"}
    assert found >= {"angle-brackets.html", "addresses.txt", "picture-inside.html", "letter.txt", "ja-letter.html"}
    assert not found & names("text", "Text")


def test_composer_that_changes_nothing_passes_with_html(chromium: Chromium) -> None:
    """What is the same before and after has no failure: the check itself makes none."""
    found = failed(chromium, change_nothing) & names("html", "HTML")

    assert found <= {body.name for body in corpus() if body.expected is not None}


ONE = '<p style="background-color:#333;color:#fff">White on dark</p>'
ROLE = '<table role="presentation"><tr><td>Left</td><td>Right</td></tr></table>'
BAD = {
    "background": (ONE, ONE.replace("background-color:#333;", "background-color:#bbb;"), "below a contrast of 3.0"),
    "same colour": (ONE, ONE.replace("background-color:#333;", ""), "lost without a word"),
    "transparent": (ONE, ONE.replace("#fff", "rgba(255,255,255,.2)"), "below a contrast of 3.0"),
    "gradient": (ONE, ONE.replace("background-color:#333", "background:linear-gradient(#bbb,#000)"), "contrast of 3.0"),
    "role": (ROLE, ROLE.replace(' role="presentation"', ""), 'role="presentation", now 0'),
    "columns": (ROLE, ROLE.replace("</td><td", "</td></tr><tr><td"), "no columns as it arrives"),
    "order": (ROLE, ROLE.replace("Left", "x").replace("Right", "Left").replace("x", "Right"), "without a word"),
    "revealed": ('<p>a</p><p style="display:none">b</p>', "<p>a</p><p>b</p>", "added without a word: 'b'"),
    "off-screen": ('<p>a</p><p style="text-indent:-999px">b</p>', "<p>a</p><p>b</p>", "added without a word: 'b'"),
    "picture": (
        '<p>a <img src="data:image/gif;base64,R0lGODlhAQABAAAAACw="> b</p>',
        "<p>a b</p>",
        "lost without a word",
    ),
    "box": ('<p><input type="checkbox" checked> a</p>', "<p>☐ a</p>", "lost without a word: '☑'"),
    "number": ('<ol start="3"><li>a</ol>', "<ol><li>a</ol>", "lost without a word: '3.'"),
}


@pytest.mark.parametrize("case", BAD)
def test_check_notices_what_a_reader_would(chromium: Chromium, case: str) -> None:
    """Colours, columns, roles, order, hidden text, pictures, boxes and numbers: a change of each is a failure."""
    before, after, told = BAD[case]
    columns = (("Left", "Right"),) if "Left" in before else ()
    body = Body("case", "HTML", "html", "letter", "en", before, columns=columns)

    same = check([body], chromium, lambda _: Composed(before, "HTML"))
    changed = check([body], chromium, lambda _: Composed(after, "HTML"))

    assert same.failures == ()
    assert told in " ".join(failure.sentence for failure in changed.failures)
