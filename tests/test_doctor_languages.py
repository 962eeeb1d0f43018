"""`m365-mcp doctor` in Traditional Chinese: which language is chosen, and that no English sentence is printed."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from m365_mcp.commands.doctor.examination import waiting_for
from m365_mcp.commands.doctor.printing import TITLES, print_report
from m365_mcp.commands.doctor.report import Report, finding_of
from m365_mcp.commands.doctor.run import NAMES
from m365_mcp.commands.languages import language_of_terminal
from m365_mcp.commands.reference import every_error
from m365_mcp.errors import Filled, M365Error
from m365_mcp.settings import load
from m365_mcp.web.pages.languages import Language
from tests import terminal_texts
from tests.catalogues import texts_of
from tests.terminal_texts import formatted, is_sentence

VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
LOCALE = Path(__file__).parents[1] / "src" / "m365_mcp" / "locale"


def chinese() -> Language:
    """Return Traditional Chinese as the terminal has it."""
    found = language_of_terminal("zh-Hant")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("values", "tag"),
    [
        (("", "", "zh_TW.UTF-8"), "zh-Hant"),
        (("", "", "zh-HK"), "zh-Hant"),
        (("", "zh_Hant", "en_GB.UTF-8"), "zh-Hant"),
        (("en_US.UTF-8", "zh_TW", "zh_TW"), "en"),
        (("zh_TW.UTF-8@radical", "C", "C"), "zh-Hant"),
        (("C.UTF-8", "zh_TW", ""), "en"),
        (("", "", "POSIX"), "en"),
        (("", "", "zh_CN.UTF-8"), "en"),
        (("", "", "fr_FR"), "en"),
        (("", "", ""), "en"),
    ],
)
def test_locale_of_the_environment_decides(monkeypatch: pytest.MonkeyPatch, values: tuple[str, ...], tag: str) -> None:
    """LC_ALL, LC_MESSAGES, LANG, in this order; what is not spoken is English."""
    for name, value in zip(VARIABLES, values, strict=True):
        monkeypatch.setenv(name, value)

    found = language_of_terminal(None)

    assert found is not None
    assert found.tag == tag


def test_language_that_is_not_spoken_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--lang` precedes the environment, and is not guessed."""
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")

    assert [language_of_terminal(tag) for tag in ("tlh", "", "C")] == [None, None, None]
    assert [one and one.tag for one in map(language_of_terminal, ("zh-Hant", "zh-TW", "en"))] == ["zh-Hant"] * 2 + [
        "en"
    ]


@pytest.mark.parametrize("path", terminal_texts.MODULES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_sentences_with_values_are_filled(path: Path) -> None:
    """An f-string has no form to translate: write `Filled("… %(host)s …", host=host)`, then `make translations`."""
    assert formatted(path) == []


def printed(report: Report) -> str:
    """Return what a person with 80 columns sees in Chinese."""
    stream = io.StringIO()
    print_report(report, Console(file=stream, width=80), chinese())
    return stream.getvalue()


def every_finding() -> list[tuple[str, M365Error]]:
    """Return an error for each text that the doctor can print as a cause or as a fix, its form as it is."""
    sentences = [str(message.id) for message in texts_of(LOCALE / "terminal.po") if message.id]
    of_texts = [M365Error(text, advice=text) for text in sentences if text not in TITLES.values()]
    return [
        ("clock", error)
        for error in [*of_texts, *(kind() for kind in every_error() if kind.__module__.endswith("doctor"))]
    ]


def test_no_english_sentence_reaches_the_table() -> None:
    """Whatever a check says is Chinese, with its code beside it; what is left are names, addresses and settings."""
    for name, error in every_finding():
        shown = printed(Report(None, [finding_of(name, "fail", error)]))
        assert re.search("[\u4e00-\u9fff]", shown), error.sentence
        assert error.sentence not in " ".join(shown.split()) or not is_sentence(error.sentence), error.sentence


def test_headings_are_translated_and_the_table_is_right_at_80_columns() -> None:
    """A character of Chinese takes two cells; every check has a heading of its own."""
    host = Filled("%(host)s does not respond.", host="a-long-name." * 9 + "example")
    waiting = [finding_of(name, "skip", waiting_for("settings"), "settings") for name in NAMES]

    lines = printed(Report(None, [finding_of("settings", "fail", M365Error(host)), *waiting])).splitlines()

    assert max(map(cell_len, lines)) <= 80
    assert len({chinese().translate(title) for title in TITLES.values()}) == len(TITLES)
    assert sum("等候：設定" in line for line in lines) == 1
    shown = "".join("".join(lines).split())
    assert [name for name in NAMES if "".join(chinese().translate(TITLES[name]).split()) not in shown] == []
    assert "失敗：1 項。" in lines[-1]


def test_nested_sentences_and_references_are_translated() -> None:
    """A cause may contain another one, and Microsoft's number follows in brackets of the language."""
    inner = Filled("%(host)s refuses the connection.", host="mcp.example.com")
    error = M365Error(
        Filled("%(sentence)s %(why)s", sentence=Filled("Redis responds slowly."), why=inner), reference="AADSTS1"
    )

    assert (
        str(finding_of("clock", "fail", error).cause)
        == "Redis responds slowly. mcp.example.com refuses the connection. (AADSTS1)"
    )
    assert chinese().translate(finding_of("clock", "fail", error).cause or "") == (
        "Redis 回應緩慢。mcp.example.com 拒絕連線。（AADSTS1）"
    )


def test_mistake_of_a_setting_is_translated_with_its_values() -> None:
    """The settings are read by pydantic, which keeps only the words of an error; the form is found again."""
    with pytest.raises(M365Error) as caught:
        load(_env_file=None, mcp_clients="tlh", mcp_server_base_url="nowhere")
    problems: dict[str, Any] = dict(caught.value.mistakes)  # type: ignore[attr-defined]

    assert chinese().translate(problems["MCP_CLIENTS"]).startswith("只能包含下列用戶端：claude")
    assert "（此 URL 不是網頁伺服器的位址）" in chinese().translate(problems["MCP_SERVER_BASE_URL"])
