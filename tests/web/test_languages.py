"""The language of a page: `?lang=`, then Accept-Language, then English."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from m365_mcp.web.pages.languages import language_of, languages


@pytest.mark.parametrize(
    ("accepted", "tag"),
    [
        ("zh-TW", "zh-Hant"),
        ("zh-HK,zh;q=0.9", "zh-Hant"),
        ("zh-MO", "zh-Hant"),
        ("zh-Hant", "zh-Hant"),
        ("ZH-hant-hk", "zh-Hant"),
        ("zh_TW", "zh-Hant"),
        ("zh-TW-x-foo", "zh-Hant"),
        ("zh-HK-u-nu-hanidec", "zh-Hant"),
        ("yue-HK", "zh-Hant"),
        ("yue", "zh-Hant"),
        ("zh-yue-HK", "zh-Hant"),
        ("yue-Hant-CN", "zh-Hant"),
        ("yue-Hans", "en"),
        ("yue-CN", "en"),
        ("zh-CN-x-foo", "en"),
        ("zh-CN,zh;q=0.9", "en"),
        ("zh-Hans-TW", "en"),
        ("zh-SG", "en"),
        ("zh", "en"),
        ("de-AT, fr;q=0.9", "en"),
        ("*", "en"),
        ("", "en"),
        ("en-US,en;q=0.9,zh-TW;q=0.8", "en"),
        ("en;q=0.5, zh-TW;q=0.9", "zh-Hant"),
        ("de, zh-TW;q=0.3", "zh-Hant"),
        ("zh-TW;q=0, en", "en"),
        ("zh-TW;q=much", "en"),
        (";;;,,=q, zh-TW", "zh-Hant"),
        (",".join(["de"] * 30) + ",zh-TW", "en"),
    ],
)
def test_f18_language_is_the_first_accepted_one_that_the_pages_speak(accepted: str, tag: str) -> None:
    """Regions that write traditional characters get them; simplified Chinese and every other language get English."""
    assert language_of(request(accepted)).tag == tag


@pytest.mark.parametrize(
    ("query", "tag"),
    [
        ("lang=zh-Hant", "zh-Hant"),
        ("lang=zh-tw", "zh-Hant"),
        ("lang=en", "en"),
        ("lang=tlh", "zh-Hant"),
        ("lang=", "zh-Hant"),
    ],
)
def test_f18_language_in_the_address_wins_when_the_pages_speak_it(query: str, tag: str) -> None:
    """`?lang=` comes before what the browser accepts; an unknown language there counts as none."""
    assert language_of(request("zh-HK", query)).tag == tag


def test_f18_every_catalogue_is_a_language_with_a_name_of_its_own() -> None:
    """A language is found by its folder, and calls itself by its own name."""
    assert [(language.tag, language.name) for language in languages().values()][:2] == [
        ("en", "English"),
        ("zh-Hant", "繁體中文"),
    ]


def request(accepted: str, query: str = "") -> Request:
    headers = [(b"accept-language", accepted.encode())]
    return Request({"type": "http", "query_string": query.encode(), "headers": headers})
