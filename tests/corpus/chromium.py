"""A headless Chromium that tells what a reader sees of HTML documents: no scripts, no network, one process for all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Playwright, sync_playwright

from tests.browsers import CHROMIUM, FLAGS

SAME_EVERYWHERE = ["--font-render-hinting=none", "--force-color-profile=srgb"]

WIDTH = 600  # pixels: a reading pane, and the width that newsletters are made for
BATCH = 40  # documents that are open at a time

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Run:
    """A piece of text that is seen, with its contrast (None before a picture) and its box: left, top, right, bottom."""

    text: str
    contrast: float | None
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Seen:
    """What a reader sees of a document.

    Attributes:
        text: its visible text with lines, markers of lists and alternative texts.
        links: the addresses of its links.
        presentation: how many tables that hold text have `role="presentation"`.
    """

    text: str
    runs: tuple[Run, ...] = ()
    links: tuple[str, ...] = ()
    presentation: int = 0


@dataclass(frozen=True)
class Panel:
    """A document in a picture: its title, and the size that is shown of it."""

    title: str
    html: str
    width: int
    height: int = 1600


class Chromium:
    """The open browser."""

    def __init__(self, page: Page, thread: ThreadPoolExecutor) -> None:
        self.page = page
        self._thread = thread
        self._known: dict[tuple[str, int], Seen] = {}

    def see(self, documents: Sequence[str], width: int = WIDTH) -> list[Seen]:
        """Return what is seen of each of the HTML `documents` in a window of `width` pixels."""
        return self._thread.submit(self._see, documents, width).result()

    def _see(self, documents: Sequence[str], width: int) -> list[Seen]:
        fresh = [html for html in dict.fromkeys(documents) if (html, width) not in self._known]
        for start in range(0, len(fresh), BATCH):
            batch = fresh[start : start + BATCH]
            self._open_page()
            seen = map(_as_seen, json.loads(self.page.evaluate("window.see", [batch, width])))
            self._known |= {(html, width): one for html, one in zip(batch, seen, strict=True)}
        return [self._known[html, width] for html in documents]

    def _open_page(self) -> None:
        self.page.set_content((_FOLDER / "page.html").read_text())
        self.page.evaluate((_FOLDER / "seeing.js").read_text())

    def picture(self, panels: Sequence[Panel], path: Path) -> None:
        """Write a picture that shows `panels` beside one another; the ending of `path` says in which format."""
        self._thread.submit(self._picture, panels, path).result()

    def _picture(self, panels: Sequence[Panel], path: Path) -> None:
        width = sum(panel.width + 20 for panel in panels) + 8
        self.page.set_viewport_size({"width": width, "height": 100})
        self._open_page()
        height = self.page.evaluate("window.show", list(map(asdict, panels)))
        self.page.set_viewport_size({"width": width, "height": int(height) + 8})
        self.page.screenshot(path=path)


def _as_seen(found: dict[str, Any]) -> Seen:
    runs = tuple(Run(run["text"], run["contrast"], tuple(run["box"])) for run in found["runs"])
    return Seen(found["text"], runs, tuple(found["links"]), found["presentation"])


@contextmanager
def open_chromium() -> Iterator[Chromium]:
    """Start the browser, and end it.

    It has a thread of its own: Playwright keeps an event loop running in its thread, and no test could start another.
    """
    with ThreadPoolExecutor(1) as thread, ExitStack() as stack:
        playwright = thread.submit(sync_playwright().start).result()
        stack.callback(lambda: thread.submit(playwright.stop).result())
        yield Chromium(thread.submit(_open_first_page, playwright).result(), thread)


def _open_first_page(playwright: Playwright) -> Page:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *SAME_EVERYWHERE])
    context = browser.new_context(offline=True, viewport={"width": 1200, "height": 900}, color_scheme="light")
    context.set_default_timeout(60_000)
    return context.new_page()
