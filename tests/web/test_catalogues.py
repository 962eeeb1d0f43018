"""The catalogues: every text is translated, its placeholders agree, and the compiled form is current."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.catalogues import CATALOGUES, compiled, read, texts_of

HINT = "Run `make translations`, translate the texts that are empty in {}, and run it again."
EACH = pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: f"{path.parents[1].name}-{path.stem}")


@EACH
def test_f18_every_text_has_a_translation(path: Path) -> None:
    """No text of a template or of an error that a page shows is missing, empty, or left from an older version."""
    wanted = {message.id for message in texts_of(path) if message.id}
    found = {message.id: message for message in read(path) if message.id}

    hint = HINT.format(path.name)
    assert wanted - found.keys() == set(), hint
    assert found.keys() - wanted == set(), hint
    assert [one.id for one in found.values() if one.fuzzy or not all(strings(one.string))] == [], hint


@EACH
def test_f18_placeholders_of_every_translation_are_those_of_its_text(path: Path) -> None:
    """A translation that lost or changed a placeholder would fail when the page is shown."""
    for message in read(path):
        for translation in strings(message.string) if message.id else []:
            assert placeholders(translation) == placeholders(strings(message.id)[-1]), message.id


@EACH
def test_f18_compiled_catalogue_is_up_to_date(path: Path) -> None:
    """The server reads the .mo file, which is committed: it is what the .po file says."""
    assert path.with_suffix(".mo").read_bytes() == compiled(read(path)), "Run `make translations`."


# Values that are written in the language of the page, and those of other scripts or of digits.
IN_THE_LANGUAGE = (
    *("advice", "noun", "sentence", "time", "wrong", "content", "domains", "first", "mistakes", "output"),
    *("problem", "reason", "rest", "shape", "signed", "source", "title", "waits", "wanted", "why"),
)
CHINESE = "[\u3000-\u9fff\uff00-\uffef]"


@pytest.mark.parametrize(
    "path", [one for one in CATALOGUES if "/zh" in str(one)], ids=lambda path: f"{path.parents[1].name}-{path.stem}"
)
def test_f18_no_blank_stands_between_chinese_words(path: Path) -> None:
    """T4: neither in a text nor beside a value that is Chinese, too, such as 下午5:29; beside Latin letters it may."""
    for message in read(path):
        for text in strings(message.string) if message.id else []:
            filled = re.sub(rf"%%?\((?:{'|'.join(IN_THE_LANGUAGE)})\)s", "中", text)

            assert re.findall(f"{CHINESE} {CHINESE}", filled) == [], text


def test_f18_there_is_a_catalogue() -> None:
    """Traditional Chinese is there, for pages and terminal, so that the tests above are about something."""
    found = [(path.parents[1].name, path.stem) for path in CATALOGUES]

    assert found == [("zh_Hant", "m365_mcp"), ("zh_Hant", "terminal")]


def strings(text: str | Iterable[str] | None) -> list[str]:
    return [text or ""] if text is None or isinstance(text, str) else list(text)


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"%%?\(\w+\)s|%(?![%(])", text))
