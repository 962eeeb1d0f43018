"""Columns of a mail, measured in a browser: what stands side by side as written still does when it is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page

from tests.browsers import NEEDS_CHROMIUM, open_profile
from tests.mail.composing import build_html
from tests.mail.html_mails import MAILS

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.full]

CELL = "padding:10px;width:50%"
COLUMNS = {
    "flex": '<div style="display:flex;gap:20px"><div style="flex:1">One</div><div style="flex:1">Two</div></div>',
    "grid": '<div style="display:grid;grid-template-columns:repeat(2,1fr);gap:9px"><p>One</p><p>Two</p></div>',
    "grid of minmax": '<div style="display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:9px">'
    "<p>One</p><p>Two</p></div>",
    "calc": f'<div style="{CELL};width:calc(50% - 20px);float:left">One</div>'
    '<div style="float:left;padding:10px">Two</div>',
    "border box": f'<div style="{CELL};float:left;box-sizing:border-box">One</div>'
    f'<div style="{CELL};float:left;box-sizing:border-box">Two</div>',
    "inline block": "<style>*{box-sizing:border-box}.c{display:inline-block;width:50%;font-size:14px}</style>"
    '<div style="font-size:0"><div class=c>One</div><div class=c>Two</div></div>',
    "float": "<style>.c{float:left;width:50%}.r:after{content:'';display:table;clear:both}.r{background:#eee}</style>"
    "<div class=r><div class=c>One</div><div class=c>Two</div></div><p>After</p>",
    "overflow": '<div style="overflow:hidden;background:#eee"><div style="float:left;width:50%">One</div>'
    '<div style="float:right;width:50%">Two</div></div><p>After</p>',
    "table": "<style>.c{width:50%}</style><table style='width:100%'><tr><td class=c>One<td class=c>Two</table>",
    "wide screens": "<style>.c{width:100%;float:left}@media(min-width:600px){.c{width:50%}}</style>"
    "<div class=c>One</div><div class=c>Two</div>",
    "newsletter": MAILS["newsletter"].replace("First story", "One").replace("Second story", "Two"),
    "two columns": MAILS["two columns"].replace("Left Column", "One").replace("Right Column", "Two"),
    "report": MAILS["report"].replace("orders", "One").replace("late</div>", "Two</div>"),
    "gradients": MAILS["gradients"],
}
PLACE = """text => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    if (walker.currentNode.data.trim() !== text) continue;
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    const box = range.getBoundingClientRect();
    return [Math.round(box.left), Math.round(box.top)];
  }
}"""


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """A page as wide as the reading pane of a mail program, without a network."""
    async with open_profile(offline=True, viewport={"width": 800, "height": 600}) as profile:
        yield await profile.new_page()


async def places(page: Page, html: str, *texts: str) -> list[tuple[int, int]]:
    """Return where the texts stand."""
    await page.set_content(f"<!doctype html><style>body{{margin:0}}</style>{html}")
    return [tuple(await page.evaluate(PLACE, text)) for text in texts]


async def test_k4_columns_stay_columns(page: Page) -> None:
    """K4: two texts of one row stand in one row, where they stood before."""
    for name, html in COLUMNS.items():
        texts = ("One", "Two", "After") if "After" in html else ("One", "Two")
        before = await places(page, html, *texts)
        after = await places(page, build_html(html)[0], *texts)

        assert before[0][1] == before[1][1], f"{name}: no columns as written"
        moved = [max(abs(x - left), abs(y - top)) for (left, top), (x, y) in zip(before, after, strict=True)]
        assert max(moved) <= 3, name


async def test_k3_list_of_word_has_its_indents(page: Page) -> None:
    """K3: a list of Word stands where it stood, bullets left of the text and nothing over the edge."""
    texts = ("Dear Grace,", "·", "Ada")
    before = await places(page, MAILS["word"], *texts)

    assert await places(page, build_html(MAILS["word"])[0], *texts) == before
    assert before[1][0] > before[0][0]
