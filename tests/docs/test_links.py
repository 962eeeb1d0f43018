"""Every link of every document leads somewhere, on GitHub and on the site."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.docs.pages import ROOT, anchors, is_translation, links, pages
from tests.docs.site_source import sources


class Names(yaml.SafeLoader):
    """Reads mkdocs.yml without the Python objects that it names."""


Names.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: suffix)


def navigation() -> list[str]:
    """Return the pages that the site's navigation names."""
    entries = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Names)["nav"]  # noqa: S506 - a safe loader
    return [path for section in entries for pages in section.values() for page in pages for path in page.values()]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """What a page links to is a file of this repository, and an anchor in a page is one of its headings."""
    found = links(page)
    assert [link.path for link in found if not link.target.exists()] == []
    pointed = [link for link in found if link.anchor and link.target.suffix == ".md"]
    assert [f"{link.path}#{link.anchor}" for link in pointed if link.anchor not in anchors(link.target)] == []


def test_links_to_folders_are_none() -> None:
    """No page links to a folder: GitHub lists its files, and the site has nothing to show."""
    assert [f"{link.page.name}: {link.path}" for page in pages() for link in links(page) if link.target.is_dir()] == []


def test_every_page_is_in_the_navigation() -> None:
    """The navigation of mkdocs.yml names every document once, but for translations, and no other."""
    expected = [page.relative_to(ROOT).as_posix() for page in pages() if not is_translation(page)]
    assert sorted(navigation()) == sorted(expected)


def test_site_has_what_its_pages_link_to() -> None:
    """The site's folder has every page and every linked file, and no source of the server."""
    names = [path.as_posix() for path in sources()]
    assert {"README.md", "k8s/README.md", ".env.example", "docs/images/mailbox.png"} <= set(names)
    assert [name for name in names if name.startswith(("src/", "tests/", ".venv"))] == []
