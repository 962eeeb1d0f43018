"""The built site (`make check-site`) in Chromium: complete, fit for 390 px, nothing from elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.browsers import NEEDS_CHROMIUM, open_profile
from tests.docs.pages import ROOT, is_translation, pages, source_of, tokens

SITE = ROOT / "build/site"
pytestmark = [pytest.mark.site, *NEEDS_CHROMIUM]
SHOWN = ("table", "li", "h2", "h3", "blockquote")
CHINESE = SITE / "zh-Hant"


def built(page: Path) -> Path:
    """Return the file that the site has for `page`."""
    path = (source_of(page) if is_translation(page) else page).relative_to(ROOT)
    folder = CHINESE if is_translation(page) else SITE
    return folder / (path.parent / "index.html" if path.name == "README.md" else path.with_suffix(".html"))


class Article(HTMLParser):
    """Counts the blocks of a page's article."""

    def __init__(self, page: Path) -> None:
        """Read the file of `page`."""
        super().__init__()
        self.counts: Counter[str] = Counter()
        self._within = False
        self.feed(built(page).read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Count a tag within the article; code is a `div` of its own, and a diagram a `pre`."""
        self._within = self._within or tag == "article"
        kinds = (dict(attrs).get("class") or "").split()
        if self._within and (tag in SHOWN or (tag == "div" and "highlight" in kinds) or "mermaid" in kinds):
            self.counts[tag if tag in SHOWN else "code"] += 1

    def handle_endtag(self, tag: str) -> None:
        """Stop at the end of the article."""
        self._within = self._within and tag != "article"


def on_github(page: Path) -> Counter[str]:
    """Count the blocks of `page` as GitHub shows it."""
    names = ("code" if t.type in ("fence", "code_block") else t.tag for t in tokens(page) if t.nesting >= 0)
    return Counter(name for name in names if name in (*SHOWN, "code"))


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_page_has_the_blocks_that_github_shows(page: Path) -> None:
    """A page has as many headings, tables, entries and code blocks as on GitHub: the two read Markdown differently."""
    assert Article(page).counts == on_github(page)


@pytest.fixture
async def browser(asked: list[str]) -> AsyncIterator[Page]:
    """Open a narrow, dark Chromium, which notes every address that it asks for."""
    async with open_profile(viewport={"width": 390, "height": 844}, color_scheme="dark") as context:
        page = await context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        yield page


@pytest.fixture
def asked() -> list[str]:
    """Hold the addresses that the browser asks for."""
    return []


async def test_pages_ask_no_other_host(browser: Page, asked: list[str]) -> None:
    """Every page fetches only files of the site, and fits 390 px."""
    for page in pages():
        await browser.goto(built(page).as_uri())
        assert await browser.evaluate("document.documentElement.scrollWidth") <= 390, page
    assert [url for url in asked if not url.startswith((SITE.as_uri(), "data:", "blob:"))] == []


@pytest.mark.parametrize("name", ["architecture", "security", "sending"])
async def test_diagrams_are_drawn(browser: Page, asked: list[str], name: str) -> None:
    """Every diagram of a page is drawn, by a script of the site."""
    page = ROOT / f"docs/{name}.md"
    await browser.goto(built(page).as_uri())
    drawn = browser.locator("div.mermaid")
    for number in range(sum(token.info == "mermaid" for token in tokens(page))):
        await drawn.nth(number).wait_for()
    assert [url for url in asked if url.startswith("http")] == []


async def test_search_works_from_a_folder(browser: Page, asked: list[str]) -> None:
    """Without a web server and without a network, the search finds the page of an error code."""
    await browser.set_viewport_size({"width": 1280, "height": 900})
    await browser.goto((SITE / "index.html").as_uri())
    await browser.fill("input.md-search__input", "token_version_mistake")
    found = browser.locator("a.md-search-result__link").first
    await found.wait_for()
    assert "docs/" in (await found.get_attribute("href") or "")
    assert [url for url in asked if url.startswith("http")] == []


async def test_chinese_pages_have_a_chinese_navigation(browser: Page) -> None:
    """The titles of the navigation are translated, and the choice of the language leads to the same page in English."""
    await browser.set_viewport_size({"width": 1280, "height": 900})
    await browser.goto((CHINESE / "docs/entra.html").as_uri())
    tabs = await browser.locator(".md-tabs__link").all_inner_texts()
    english = browser.locator('a[hreflang="en"]').first

    assert await browser.evaluate("document.documentElement.lang") == "zh-Hant"
    assert [tab for tab in tabs if tab.isascii()] == []
    assert await english.evaluate("link => link.href") == (SITE / "docs/entra.html").as_uri()


async def test_dark_is_dark(browser: Page) -> None:
    """A reader whose system is dark gets a dark page without a click."""
    await browser.goto((SITE / "index.html").as_uri())
    assert await browser.evaluate("document.body.dataset.mdColorScheme") == "slate"
