"""The text of a reply looks the same above any quote as alone: pixel by pixel, in headless Chromium."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, async_playwright

from m365_mcp.mail import quote_original, read_quotation
from m365_mcp.mail.body import Body
from tests.mail.odd_originals import HIDING, ODD

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync", "--disable-background-networking"]
ANSWER = Body("HTML", "<p>Yes, at noon.</p><table border=1><tr><td>12:00</td></tr></table><p>Ada</p>")
OURS = f"<div>{ANSWER.content}</div><br>"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"),
]


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """A page without a network."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, "--no-proxy-server"])
        context = await chromium.new_context(offline=True, viewport={"width": 800, "height": 600})
        yield await context.new_page()
        await chromium.close()


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
