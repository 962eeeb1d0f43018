"""Every link of every document leads somewhere, on GitHub and on the site."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.docs.pages import ROOT, anchors, is_translation, links, pages
from tests.docs.site_source import on_site, sources


class Names(yaml.SafeLoader):
    """Reads mkdocs.yml without the Python objects that it names."""


Names.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: suffix)


CONFIGURATION = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Names)  # noqa: S506 - a safe loader
NAMES_OF_PRODUCTS = {"Entra ID", "Helm", "Kubernetes", "Windows"}


def navigation() -> list[tuple[str, str]]:
    """Return the titles and the pages that the site's navigation names."""
    sections = [pages for section in CONFIGURATION["nav"] for pages in section.values()]
    return [(title, path) for pages in sections for page in pages for title, path in page.items()]


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
    assert sorted(path for _, path in navigation()) == sorted(expected)


def test_every_title_of_the_navigation_is_translated() -> None:
    """The Chinese pages of the site have Chinese titles beside them, but for names of products."""
    languages = next(plugin["i18n"] for plugin in CONFIGURATION["plugins"] if "i18n" in plugin)["languages"]
    titles = {title for title, _ in navigation()} | {title for section in CONFIGURATION["nav"] for title in section}

    for language in languages[1:]:
        assert titles == language["nav_translations"].keys() | NAMES_OF_PRODUCTS


def test_no_blank_stands_between_sentences_of_chinese() -> None:
    """On the site they are on one line, but for entries of lists and blocks of code."""
    text = on_site(ROOT / "docs/quick-start.zh-Hant.md")

    assert "六個步驟。重新導向 URI 為" in text
    assert "`http://localhost:8000/auth/callback`。\n2. 建立設定檔" in text
    assert "```bash\n    cp .env.example .env\n" in text


def test_translated_headings_have_the_anchors_of_their_source() -> None:
    """On the site a link to a section leads there in both languages; the line that links the two is left out."""
    text = on_site(ROOT / "docs/entra.zh-Hant.md")

    assert "## 5. 權限 {#5-permissions}\n" in text
    assert on_site(ROOT / "docs/entra.md") == (ROOT / "docs/entra.md").read_text(encoding="utf-8")
    assert "README" not in on_site(ROOT / "README.zh-Hant.md").split("##")[0].split("-->")[1]


def test_site_has_what_its_pages_link_to() -> None:
    """The site's folder has every page and every linked file, and no source of the server."""
    names = [path.as_posix() for path in sources()]
    assert {"README.md", "k8s/README.md", ".env.example", "docs/images/mailbox.png"} <= set(names)
    assert [name for name in names if name.startswith(("src/", "tests/", ".venv"))] == []
