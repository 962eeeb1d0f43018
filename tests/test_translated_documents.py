"""Documents in Traditional Chinese: each is as new as its source, and has the same sections and the same commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import translated_drawings
from tests.catalogues import CATALOGUES
from tests.translated_documents import ROOT, changes, code_of, documents, headings_of, sections_of, source_of

EACH = pytest.mark.parametrize("document", documents(), ids=lambda path: path.name)
SOURCE = "# One\n\nText.\n\n## Two\n\n```bash\n# no heading\n```\n"


def stamped(source: str) -> str:
    rows = "".join(f"{digest} {heading}\n" for digest, heading in sections_of(source))
    return f"<!-- translation of docs/one.md\n{rows}-->\n# 一\n"


@EACH
def test_translation_is_not_older_than_its_source(document: Path) -> None:
    """Who changes a section of the source changes its translation, too, and stamps it."""
    found = changes(document.read_text(), source_of(document).read_text())

    name = document.relative_to(ROOT)
    assert found == [], f"Translate what changed into {name}, then: make translations ARGS={name}"


@EACH
def test_translation_has_the_sections_and_the_commands_of_its_source(document: Path) -> None:
    """Headings have the same levels in the same order, and blocks of code are the same."""
    translated, source = document.read_text(), source_of(document).read_text()

    assert headings_of(translated) == headings_of(source)
    assert code_of(translated) == code_of(source)


@pytest.mark.parametrize("path", [*documents(), *CATALOGUES], ids=lambda path: path.name)
def test_policy_has_one_word(path: Path) -> None:
    """It is 原則, as in Microsoft's own documentation (條件式存取原則); docs/glossary.md lists such words."""
    assert [line for line in path.read_text().splitlines() if "政策" in line] == []


def test_changed_section_is_named() -> None:
    """Only what has changed, is new or is gone; what is in a block of code is no heading."""
    assert changes(stamped(SOURCE), SOURCE) == []
    assert changes(stamped(SOURCE), SOURCE.replace("Text.", "Other text.")) == ["changed or new: One"]
    assert changes(stamped(SOURCE), SOURCE.replace("# no", "# now no")) == ["changed or new: Two"]
    assert changes(stamped(SOURCE), SOURCE.replace("Two", "Three")) == ["changed or new: Three", "gone: Two"]
    assert changes("# 一\n", SOURCE) == ["changed or new: One", "changed or new: Two"]


def test_generated_part_does_not_count() -> None:
    """It is written in each language by the same program."""
    source = "# One\n\n<!-- begin: errors -->\n{}\n<!-- end: errors -->\n"

    assert changes(stamped(source.format("| a |")), source.format("| b |")) == []


@pytest.mark.parametrize("path", translated_drawings.DRAWINGS, ids=lambda path: path.stem)
def test_drawing_of_the_portal_has_its_chinese_names(path: Path) -> None:
    """Every name in a drawing has a translation or is none, and `make translations` has written the file."""
    texts = translated_drawings.texts_of(path.read_text())
    unknown = [
        text
        for text in texts
        if text not in translated_drawings.NAMES and not translated_drawings.UNCHANGED.fullmatch(text)
    ]

    assert unknown == []
    assert translated_drawings.target_of(path).read_text() == translated_drawings.translated(path)
