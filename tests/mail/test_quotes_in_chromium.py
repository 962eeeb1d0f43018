"""The text of a reply looks the same above any quote as alone: pixel by pixel, in headless Chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page

from m365_mcp.mail import quote_original, read_quotation
from m365_mcp.mail.body import Body
from tests.browsers import NEEDS_CHROMIUM, open_profile
from tests.mail.odd_originals import HIDING, ODD

ANSWER = Body("HTML", "<p>Yes, at noon.</p><table border=1><tr><td>12:00</td></tr></table><p>Ada</p>")
OURS = f"<div>{ANSWER.content}</div><br>"

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.full]


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """A page without a network."""
    async with open_profile(offline=True, viewport={"width": 800, "height": 600}) as profile:
        yield await profile.new_page()


async def top_of(page: Page, html: str, height: float) -> bytes:
    """Return a picture of the upper part of a mail."""
    await page.goto("about:blank")
    await page.set_content(html)
    return await page.screenshot(clip={"x": 0, "y": 0, "width": 800, "height": height})


async def look_of_the_answer(page: Page) -> tuple[bytes, float]:
    """Return a picture of the answer alone, and its height."""
    await page.set_content(OURS)
    height = await page.evaluate("document.querySelector('div').getBoundingClientRect().bottom")
    return await top_of(page, OURS, height), height


async def test_k12_no_original_hides_or_covers_the_answer(page: Page) -> None:
    """K12: above each original the answer looks as it looks alone; what an odd one shows is in the quote."""
    alone, height = await look_of_the_answer(page)
    changed, lost = [], []

    for name, original in (HIDING | ODD).items():
        _, content, _ = quote_original(ANSWER, read_quotation(f"<html><body>{original}</body></html>", "html"))
        if await top_of(page, content, height) != alone:
            changed.append(name)
        if name in ODD and "Hi" in original and "Hi" not in content:
            lost.append(name)

    assert len(HIDING | ODD) >= 30
    assert changed == []
    assert lost == []


async def test_k12_unchanged_originals_would_hide_it(page: Page) -> None:
    """K12: the check sees it: put below the answer unchanged, each hiding original spoils the answer's look."""
    alone, height = await look_of_the_answer(page)

    visible = [name for name, original in HIDING.items() if await top_of(page, OURS + original, height) == alone]

    assert visible == []
