"""The button of a failed sign-in in Chromium: the keyboard reaches it, and the client learns the error alone."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.browsers import NEEDS_CHROMIUM
from tests.web.apps import CALLBACK
from tests.web.test_pages_in_chromium import Site, site

__all__ = ["site"]
pytestmark = [*NEEDS_CHROMIUM, pytest.mark.full, pytest.mark.xdist_group("chromium pages")]


@pytest.mark.parametrize(
    ("language", "text"),
    [("en", "Tell the app that it did not work"), ("zh-Hant", "告訴應用程式登入沒有成功")],
)
async def test_keyboard_presses_the_button_and_the_address_of_the_page_stays_here(
    site: Site, language: str, text: str
) -> None:
    """The policy of the page lets the browser go; no referrer takes Entra's code, which is in the address, along."""
    page = await site.profile.new_page()
    await page.goto(f"{await site.address('failed sign-in')}?lang={language}&code=c4n4ry")
    button = page.get_by_role("link", name=text)
    await expect(button).to_be_visible()
    for _ in range(9):
        await page.keyboard.press("Tab")
        if await button.evaluate("one => one === document.activeElement"):
            break
    async with page.expect_request(re.compile(re.escape(CALLBACK))) as back:
        await page.keyboard.press("Enter")
    asked = await back.value

    assert asked.url == f"{CALLBACK}?error=access_denied&state=s"
    assert "c4n4ry" not in str(await asked.all_headers())
