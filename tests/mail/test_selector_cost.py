"""How much work the rules of a style sheet are for the elements of a mail."""

from __future__ import annotations

from functools import cache

import pytest

from m365_mcp.errors import BodyTooComplex
from m365_mcp.mail.html.limits import MAX_SHEET_OUTPUT, MAX_SHEET_STEPS
from m365_mcp.mail.html.selector_cost import ElementCounts
from m365_mcp.mail.html.style_sheets import Rule
from m365_mcp.mail.html.tokens import Start


@cache
def mail() -> ElementCounts:
    """Return the counts of 1,000 <p class="a b">, three deep, and 1,000 <div>, ten deep, ten of them with an id."""
    counts = ElementCounts()
    for number in range(1_000):
        counts.add(Start("p", {"class": "a b"}), 3)
        counts.add(Start("div", {"id": "main"} if number < 10 else {}), 10)
    return counts


@pytest.mark.parametrize(
    ("selector", "steps"),
    [
        ("p", 1_000),
        ("P", 1_000),
        ("*", 2_000),
        (".a", 2_000),
        ("p.a", 3_000),
        ("#main", 20),
        ("div#main", 30),
        ("[title]", 4_000),
        ("p:first-child", 3_000),
        ("div p", 2_000 + 3_000),
        ("div > p", 2_000 + 6_000),
        ("div + p", 2_000 + 6_000),
        ("div *", 4_000 + 13_000),
        ("p ~ p", 2_000 + 4_000_000),
        ("p:not(div p)", 5_000 + 4_000_000),
        ("p:has(div)", 4_000 + 4_000_000),
        ("p:IS(div p)", 5_000 + 4_000_000),
        ("p:nth-child(2 of .a)", 7_000 + 4_000_000),
        (r".sm\:left", 4_000_000),
    ],
)
def test_h1_steps_of_a_selector_are_counted(selector: str, steps: int) -> None:
    """The elements that its last part may mean, times its parts, and how far it looks from there."""
    rule = Rule(selector, (), 0)
    before = [Rule(r".sm\:left", (), 0)] * 2 + [Rule("div *", (), 0)] * 117 if steps <= 11_000 else []
    fitting = (11_000 if before else MAX_SHEET_STEPS) // steps

    assert len(mail().matching([*before, *[rule] * fitting])) == len(before) + fitting
    with pytest.raises(BodyTooComplex, match="more than 10,000,000 steps to find the elements of style rules"):
        mail().matching([*before, *[rule] * (fitting + 1)])


@pytest.mark.parametrize("selector", ["b", ".c", "#other", "b p", "p .c", "p#other"])
def test_h1_rule_of_no_element_is_left_out(selector: str) -> None:
    """Every name in the selector must be that of an element."""
    assert mail().matching([Rule(selector, (), 1)] * 10) == []


def test_h1_what_rules_write_is_limited() -> None:
    """The characters of a rule count once for each element."""
    mail().matching([Rule("p", (), MAX_SHEET_OUTPUT // 1_000)])
    with pytest.raises(BodyTooComplex, match="more than 1,000,000 characters of style rules on elements"):
        mail().matching([Rule("#main", (), 1)] * 1 + [Rule("p", (), MAX_SHEET_OUTPUT // 1_000)])


def test_h1_classes_of_an_element_are_limited() -> None:
    """Its name counts as one of a hundred."""
    counts = ElementCounts()
    counts.add(Start("p", {"class": " ".join(f"c{number}" for number in range(98)), "id": "a"}), 0)

    with pytest.raises(BodyTooComplex, match="more than 100 classes of one element"):
        counts.add(Start("p", {"class": " ".join(f"c{number}" for number in range(99)), "id": "a"}), 0)
    assert counts.total == 2
