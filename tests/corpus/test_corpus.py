"""Text in is text out, over the corpus: what a reader sees of a mail is what its writer saw, or the receipt tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpus.bodies import BODIES, Body, corpus
from tests.corpus.checking import LEGIBLE, Result
from tests.corpus.chromium import Chromium
from tests.corpus.pictures import keep_pictures

LANGUAGES = {"en", "zh-Hant", "zh-Hans", "ja", "ko", "ar", "he", "fa", "mul"}
GENRES = {"letter", "report", "newsletter", "reply", "code", "table"}


def test_corpus_has_the_kinds_of_mail_that_people_send() -> None:
    """At least 60 bodies, 20 of them as real programs write them, in nine kinds of language and all three formats."""
    bodies = corpus()

    assert len({body.name for body in bodies}) == len(bodies) >= 60
    assert sum(bool(body.program) for body in bodies) >= 20
    assert {body.language for body in bodies} >= LANGUAGES
    assert {body.genre for body in bodies} >= GENRES
    assert {(body.said, body.kind) for body in bodies} >= {
        ("HTML", "html"),
        ("HTML", "text"),
        ("HTML", "markdown"),
        ("Markdown", "markdown"),
        ("Text", "text"),
    }


def test_every_file_is_in_the_index() -> None:
    """No body lies in the folder unused."""
    files = {path.name.removesuffix(".seen.txt") for path in BODIES.iterdir()}

    assert files == {body.name for body in corpus()}


@pytest.mark.parametrize("body", corpus(), ids=lambda body: body.name)
def test_text_in_is_text_out(body: Body, result: Result) -> None:
    """What a reader sees after composing is what was there before, save what the warnings quote."""
    assert [failure.sentence for failure in result.failures if failure.body == body.name] == []


def test_k4_no_text_falls_below_a_contrast_of_three(result: Result) -> None:
    """Over the whole corpus, the word that loses most contrast stays legible."""
    word, before, after = result.largest_loss

    assert after >= min(before, LEGIBLE), f"{word!r} fell from {before:.2f} to {after:.2f}"


def test_pictures_are_kept_where_they_are_wanted(
    result: Result, chromium: Chromium, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    """With `--corpus-pictures` the folder gets a picture of each body; without it, one is made and thrown away."""
    wanted = pytestconfig.getoption("corpus_pictures")
    bodies = corpus() if wanted else corpus()[:1]
    folder = pytestconfig.rootpath / wanted if wanted else tmp_path

    keep_pictures(bodies, chromium, result, folder)

    assert {path.stem for path in folder.glob("*.jpeg")} >= {body.name for body in bodies}
    assert (folder / "index.html").read_text().count("<img") == len(bodies)
