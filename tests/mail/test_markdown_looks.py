"""The geometry of Markdown in a real browser, at the width of a telephone and of a reading pane."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page

from tests.browsers import NEEDS_CHROMIUM, open_profile
from tests.mail.test_markdown import written

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.full]

LETTER = f"""\
Dear Grace,

please run this, and read `the *output*`{", again and again," * 8} with `care` and `patience`:

```python
def total(rows):
    # {"a long comment " * 12}
    return sum(row.price for row in rows)
```

1. First[^1]
2. **Second**

[^1]: A note.

{"x" * 200}
"""
# A line of text and the box that is painted behind another line must not overlap: the second would cover the first.
OVERLAPS = """() => {
  const lines = [], boxes = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    if (!node.data.trim()) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) if (box.width > 1) lines.push([box, node]);
  }
  for (const element of document.querySelectorAll("body *")) {
    const style = getComputedStyle(element);
    if (style.backgroundColor === "rgba(0, 0, 0, 0)") continue;
    for (const box of element.getClientRects()) boxes.push([box, element]);
  }
  return boxes.flatMap(([box, element]) => lines.filter(([line, node]) =>
    Math.min(box.bottom, line.bottom) - Math.max(box.top, line.top) > 2 &&
    Math.min(box.right, line.right) - Math.max(box.left, line.left) > 2 &&
    !(line.top >= box.top - 1 && line.bottom <= box.bottom + 1 && element.contains(node))
  ).map(([line, node]) => `${element.tagName} at ${box.top} covers ${line.top}: ${node.data}`));
}"""


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """An empty page."""
    async with open_profile() as profile:
        yield await profile.new_page()


@pytest.mark.parametrize("width", [390, 700])
async def test_k5_nothing_covers_a_line_and_code_wraps(page: Page, width: int) -> None:
    """No background overlaps a line of text that is not its own, and no line of code needs more than the width."""
    await page.set_viewport_size({"width": width, "height": 900})
    await page.set_content(written(LETTER).body)

    assert await page.evaluate(OVERLAPS) == []
    code = page.locator("pre")
    assert await code.evaluate("box => box.scrollWidth <= box.clientWidth")
    assert await code.evaluate("box => box.getBoundingClientRect().right <= window.innerWidth")
    assert (await code.inner_text()).splitlines()[-1] == "    return sum(row.price for row in rows)"


async def test_k5_check_sees_a_background_that_covers_a_line(page: Page) -> None:
    """The check finds the fault that it is made for: padding and a background on the inline <code> of a block."""
    await page.set_content('<pre><code style="background:#eee;padding:8px">one\ntwo\nthree</code></pre>')

    assert len(await page.evaluate(OVERLAPS)) > 0


async def test_table_lines_and_columns_are_drawn(page: Page) -> None:
    """Every cell has a border, a header stands above its column, and six columns fit into a reading pane."""
    await page.set_viewport_size({"width": 700, "height": 900})
    await page.set_content(written("|Region" * 6 + "\n" + "|-:" * 6 + "\n" + ("|12,345" * 6 + "\n") * 3).body)

    widths = await page.locator("th,td").evaluate_all(
        "cells => cells.map(cell => getComputedStyle(cell).borderTopWidth)"
    )
    assert set(widths) == {"1px"}
    assert len(widths) == 24
    rights = await page.locator("th,td").evaluate_all("cells => cells.map(cell => cell.getBoundingClientRect().right)")
    assert rights[:6] == rights[6:12] == rights[18:]
    assert max(rights) <= 700
