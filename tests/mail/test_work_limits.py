"""The cost of one body, and the proof that ordinary long mails are below the limits."""

from __future__ import annotations

import pytest

from m365_mcp.errors import BodyTooComplex
from m365_mcp.mail import MailRules, MessageRequest, compose_message
from m365_mcp.mail.html import limits
from m365_mcp.mail.html.css import sanitize_style
from m365_mcp.mail.markdown import MAX_CELLS, MAX_STEPS
from tests.mail.composing import build
from tests.mail.measuring import MOST_SECONDS, measured
from tests.yardstick import idle_core_seconds

MOST_MEGABYTES = 60
# The most expensive ones of `python -m tests.mail.measuring`, which measures all.
EXPENSIVE = {
    "Markdown": ("wide table", "small tables", "headings", "emphasis beside CJK characters", "web addresses"),
    "HTML": (
        "paragraphs with styles",
        "styles that differ",
        "fonts",
        "links among styles",
        "a rule beside fonts that differ",
        "a gradient for all elements",
        "text with one wide character",
    ),
}


@pytest.mark.full
@pytest.mark.parametrize("content_type", EXPENSIVE)
def test_h1_h2_heaviest_body_costs_a_second_and_a_half_and_60_mb(content_type: str) -> None:
    """Neither a body as large as the limits admit, nor one that they refuse, costs more of one core and of memory."""
    costs = measured(content_type, *EXPENSIVE[content_type])

    assert any(cost.outcome == "ok" and cost.seconds > MOST_SECONDS / 10 for cost in costs), "none of them is heavy"
    assert [cost for cost in costs if cost.seconds > MOST_SECONDS or cost.megabytes > MOST_MEGABYTES] == []


def _row(cell: str, columns: int) -> str:
    return "|" + f"{cell}|" * columns + "\n"


SECTION = (
    '<table width="600" border="0" cellpadding="0" cellspacing="0"><tr><td align="left" style="padding:10px 20px">'
    '<h2 style="font-family:Arial;font-size:18px">Title</h2><p style="font-family:Arial;font-size:14px;color:#333333">'
    + "Some honest words in a paragraph. " * 12
    + '<a href="https://contoso.example/story?a=1&amp;b=2" style="color:#0066cc">Read more</a></p></td></tr></table>'
)
LINE = "A line of **honest** prose, as wide as an editor's window - with some `code` in it.\n"
ORDINARY = {
    "table of 2,000 rows and 6 columns": (
        "Markdown",
        _row("Name", 6) + _row("---", 6) + _row("value 12,345", 6) * 2_000,
    ),
    "60 pages of prose": ("Markdown", (LINE * 8 + "\n") * 240),
    "4,000 list items": ("Markdown", "- an item of a list\n" * 4_000),
    "100 pages of a newsletter": ("HTML", SECTION * 8 * 100),
    "table of 2,000 styled rows": ("HTML", "<table>" + "<tr><td style='padding:1px'>a</td></tr>" * 2_000 + "</table>"),
}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        pytest.param(*ORDINARY[kind], id=kind, marks=[pytest.mark.full] if "styled" in kind or "items" in kind else [])
        for kind in ORDINARY
    ],
)
@pytest.mark.sample(1)
def test_long_ordinary_mail_is_accepted(content_type: str, body: str) -> None:
    """A hundred pages of a newsletter, or a table of 2,000 rows, are within the limits."""
    assert build(body=body, content_type=content_type).warnings == ()


TOO_MUCH = {
    "cells": (
        "Markdown",
        "|a" * 40 + "\n" + "|-" * 40 + "\n" + ("|b" * 40 + "\n") * 2_000,
        f"{MAX_CELLS:,} table cells",
    ),
    "cells in a quote": ("Markdown", "> a|b\n> -|-\n" + "> c\n" * MAX_CELLS, f"{MAX_CELLS:,} table cells"),
    "steps": ("Markdown", "*a **b " * 20_000, f"{MAX_STEPS:,} steps"),
    "elements": ("HTML", "<p>" * (limits.MAX_ELEMENTS + 1), f"{limits.MAX_ELEMENTS:,} HTML tags"),
    "tags": ("HTML", "<!>" * (limits.MAX_TAGS + 1), f"{limits.MAX_TAGS:,} '<'"),
    "attributes": (
        "HTML",
        "<p a=1 b=1 c=1 d=1 e=1>" * (limits.MAX_ATTRIBUTES // 5 + 1),
        f"{limits.MAX_ATTRIBUTES:,} HTML attr",
    ),
    "references": ("HTML", f'<p title="{">" * (limits.MAX_REFERENCES + 1)}">', f"{limits.MAX_REFERENCES:,} '&'"),
    "links": ("HTML", "<a href=#a>b</a>" * (limits.MAX_ADDRESSES + 1), f"{limits.MAX_ADDRESSES:,} links and pictures"),
    "long style": ("HTML", f'<p style="{"a" * (limits.MAX_STYLE_CHARACTERS + 1)}">', "10,000 characters in one style"),
    "styles": ("HTML", "".join(f'<p style="a:{n};b:c;d:e">' for n in range(3_000)), "8,000 different style"),
    "depth": ("HTML", "<div>" * 201, "200 HTML tags open in one another"),
    "formatting": ("HTML", "<b>" * 150 + "<p>a</p>" * 1_000, "repetitions of formatting tags"),
}


@pytest.mark.parametrize(("content_type", "body", "said"), TOO_MUCH.values(), ids=TOO_MUCH)
@pytest.mark.sample(4)
def test_g25_too_much_work_is_refused_before_it_is_done(content_type: str, body: str, said: str) -> None:
    """The error names the limit that is exceeded, its value, and what to do instead."""
    request = MessageRequest(to=["a@b.example"], subject="s", body=body, content_type=content_type)

    with pytest.raises(BodyTooComplex, match=r"body_too_complex: 'body' has .*the document as a file") as refused:
        compose_message(request, MailRules())

    assert said in refused.value.sentence


@pytest.mark.parametrize("value", ["/*" * 50_000, "a" * 100_000, "a(" * 50_000, "a " * 50_000, "/**/" * 25_000])
def test_style_takes_linear_time(value: str) -> None:
    """No value makes the parser of styles read the same characters repeatedly."""
    assert idle_core_seconds(lambda: sanitize_style(f"color:{value}"), enough=0.5) < 0.5


def test_comments_of_a_style_are_read_as_css_does() -> None:
    """Text in a comment is not style; a comment without an end makes the style unsafe."""
    assert sanitize_style("/* a */color:red;/* b */width:1px").text == "color:red;width:1px"
    assert sanitize_style("/* a */color:red/* b").text == ""
