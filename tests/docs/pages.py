"""The documents, read as GitHub reads them: pages, headings, links and fenced blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
# Pages outside docs/. Their translations, which have a suffix, belong to them.
OUTSIDE = ["README", "CONTRIBUTING", "CHANGELOG", "SECURITY"]
OUTSIDE += ["deploy/helm/README", "k8s/README", "k8s/overlays/simulator/README", "simulator/README"]
TRANSLATION = re.compile(r"\.[a-z]{2}(?:-[A-Z][A-Za-z]+)?\.md$")
EXTERNAL = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.I)
MARKDOWN = MarkdownIt("gfm-like", {"linkify": False})


@dataclass(frozen=True)
class Link:
    """One link or picture of a page, to `path` (relative, empty for the page itself) and `anchor`."""

    page: Path
    path: str
    anchor: str

    @property
    def target(self) -> Path:
        """The file or folder that the link names."""
        return (self.page.parent / self.path).resolve() if self.path else self.page


def pages() -> list[Path]:
    """Return every document: all Markdown in docs/, and the pages outside it, with their translations."""
    outside = [found for name in OUTSIDE for found in sorted(ROOT.glob(f"{name}*.md"))]
    return outside + sorted((ROOT / "docs").rglob("*.md"))


def is_translation(page: Path) -> bool:
    """Tell whether `page` is a translation, as `README.zh-Hant.md`."""
    return TRANSLATION.search(page.name) is not None


def source_of(page: Path) -> Path:
    """Return the page that `page` is a translation of."""
    return page.with_name(TRANSLATION.sub(".md", page.name))


def tokens(page: Path) -> list[Token]:
    """Parse `page` as GitHub does."""
    return MARKDOWN.parse(page.read_text(encoding="utf-8"))


def links(page: Path) -> list[Link]:
    """Return the links and pictures of `page` that stay within the repository."""
    found = []
    for token in _inline(tokens(page)):
        for name in ("href", "src"):
            value = str(token.attrGet(name) or "")
            if value and not EXTERNAL.match(value):
                path, _, anchor = value.partition("#")
                found.append(Link(page, path, anchor))
    found += [
        Link(page, path, "") for path in re.findall(r'<(?:img|source) [^>]*(?:src|srcset)="([^"]+)"', _html(page))
    ]
    return found


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of `page`: GitHub's, one for each heading, and those set by hand."""
    by_hand = re.findall(r'<a (?:id|name)="([^"]+)"', page.read_text(encoding="utf-8"))
    return frozenset([*anchors_of_headings(page), *by_hand])


def anchors_of_headings(page: Path) -> list[str]:
    """Return the anchor that GitHub gives each heading of `page`, in their order."""
    found: list[str] = []
    parsed = tokens(page)
    for opening, inline in pairwise(parsed):
        if opening.type == "heading_open":
            slug = re.sub(r"[^\w\- ]", "", _text(inline).lower()).replace(" ", "-")
            repeats = sum(1 for other in found if re.fullmatch(re.escape(slug) + r"(-\d+)?", other))
            found.append(f"{slug}-{repeats}" if slug in found else slug)
    return found


def _inline(parsed: list[Token]) -> list[Token]:
    return [child for token in parsed for child in token.children or []]


def _text(inline: Token) -> str:
    return "".join(child.content for child in inline.children or [] if child.type in ("text", "code_inline"))


def _html(page: Path) -> str:
    parsed = tokens(page)
    return "".join(t.content for t in [*parsed, *_inline(parsed)] if t.type in ("html_block", "html_inline"))
