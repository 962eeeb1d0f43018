"""Assemble what the site is built from: `python -m tests.docs.site_source build/site-source`.

The folder has the layout of the repository, so that every relative link of a document works on the site as on GitHub.
It holds the pages and the files that they link to, and nothing else.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.docs.pages import ROOT, links, pages

ASSETS = "website/assets"


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
    shutil.copytree(ROOT / ASSETS, folder / "assets")


if __name__ == "__main__":
    assemble(Path(sys.argv[1]))
