"""A headless Chromium for tests: where it is, its flags, and a fresh profile in it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import BrowserContext, async_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync", "--no-proxy-server"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]
MISSING = "no Chromium on this machine: apt-get install chromium"
# For `pytestmark` of a module whose tests all need it.
NEEDS_CHROMIUM = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason=MISSING)]


@asynccontextmanager
async def open_profile(**options: Any) -> AsyncIterator[BrowserContext]:
    """Start Chromium, yield a fresh profile with Playwright's `options`, and end Chromium."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield await chromium.new_context(**options)
        await chromium.close()
