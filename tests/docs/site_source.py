"""Assemble what the site is built from: `python -m tests.docs.site_source build/site-source`.

The folder has the layout of the repository, so that every relative link of a document works on the site as on GitHub.
It holds the pages and the files that they link to, and nothing else.

The site itself links a page to its translation, so the line that does so on GitHub is left out. A translated heading
has the anchor of its source: where a page has no translation, its links lead to translations of the pages they name.
Sentences of Chinese stand on lines of their own in a source; a browser would show a blank between them.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from tests.docs.pages import ROOT, anchors_of_headings, is_translation, links, pages, source_of, tokens

ASSETS = "website/assets"
_LANGUAGES = re.compile(r"^(?:English|\[English\]\(\S+\)) · .+\n\n", re.MULTILINE)
# The end of a line between two sentences of Chinese, where no entry of a list and no block of code begins.
_BETWEEN = re.compile(r"(?<=[。！？；：])\n *(?!\d|```|\* )(?=[\w（「\[`*])")


def sources() -> list[Path]:
    """Return the files of the site, by their paths in the repository."""
    found = set(pages()) | {link.target for page in pages() for link in links(page)}
    return sorted(path.relative_to(ROOT) for path in found if path.is_file())


def assemble(folder: Path) -> None:
    """Make `folder` hold the site's files, and nothing that an earlier run left there."""
    shutil.rmtree(folder, ignore_errors=True)
    for path in sources():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, folder / path)
    for page in pages():
        (folder / page.relative_to(ROOT)).write_text(on_site(page), encoding="utf-8")
    shutil.copytree(ROOT / ASSETS, folder / "assets")


def on_site(page: Path) -> str:
    """Return the text of `page` as the site needs it."""
    text = page.read_text(encoding="utf-8")
    if is_translation(page):
        text = _BETWEEN.sub("", _with_anchors(page, text))
    return _LANGUAGES.sub("", text, count=1)


def _with_anchors(page: Path, text: str) -> str:
    """Give each heading of a translation the anchor of its source (the syntax of attr_list)."""
    lines = text.split("\n")
    headings = [token.map[0] for token in tokens(page) if token.type == "heading_open" and token.map]
    for line, anchor in zip(headings, anchors_of_headings(source_of(page)), strict=True):
        lines[line] += f" {{#{anchor}}}"
    return "\n".join(lines)


if __name__ == "__main__":
    assemble(Path(sys.argv[1]))
