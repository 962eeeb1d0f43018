"""The page of every refusal of Entra: the same meaning in each language, and each text for the one who can act."""

from __future__ import annotations

import re
from html import unescape

import httpx2
import pytest

from m365_mcp.entra.meaning import Meaning
from m365_mcp.entra.refusals import REFUSALS
from m365_mcp.web.pages.languages import Language, languages
from tests.catalogues import meanings_of_refusals
from tests.web.apps import opened

pytestmark = pytest.mark.full

LANGUAGES = pytest.mark.parametrize("language", languages().values(), ids=languages())
BOX = 'class="note good"'


async def refused(http: httpx2.AsyncClient, number: int, language: str) -> tuple[str, str]:
    """Return the page of a sign-in that Microsoft refused with this number: what is open, and what is folded away."""
    told = {"error": "x", "error_description": f"AADSTS{number}: x", "state": "gone", "lang": language}
    page = await http.get("/auth/callback", params=told)
    text, _, folded = unescape(page.text).partition("<details>")
    return text.partition("<main>")[2], folded


@LANGUAGES
@pytest.mark.sample(1)
async def test_f3_page_of_every_number_says_what_it_means(language: Language) -> None:
    """F3: no number's page has the sentence or the advice of another meaning, in any language."""
    translate = language.translate
    async with opened() as http:
        for number, row in REFUSALS.items():
            meaning = row.meaning
            text, folded = await refused(http, number, language.tag)

            assert f"<p>{translate(meaning.sentence or meaning.kind.sentence)}</p>" in text, number
            assert f"AADSTS{number}</span>" in text
            if meaning.for_person:
                assert f"<p>{translate(meaning.for_person)}</p>" in text, number
            if meaning.for_administrator:
                assert translate(meaning.for_administrator) in folded, number


def test_f3_no_two_meanings_share_a_sentence_in_any_language() -> None:
    """F3: what is said differently in English is translated, and differently."""
    for language in languages().values():
        for texts in zip(*(texts_of(one) for one in meanings_of_refusals()), strict=True):
            own = {text for text in texts if text}

            assert len({language.translate(text) for text in own}) == len(own), language.tag
            if language.tag != "en":
                assert [text for text in own if language.translate(text) == text] == []


def texts_of(meaning: Meaning) -> tuple[str | None, str | None, str | None]:
    return (meaning.sentence or meaning.kind.sentence, meaning.for_person, meaning.for_administrator)


@pytest.mark.full
async def test_f3_who_must_act_decides_whether_the_page_sends_to_the_it() -> None:
    """F3: a person who can act is told how; one who cannot is told that it is not their fault, and what to send."""
    async with opened() as http:
        for number, row in REFUSALS.items():
            text, folded = await refused(http, number, "en")
            cannot = row.meaning.who in ("administrator", "operator")

            assert (BOX in text, bool(folded)) == (cannot, cannot), number
            if cannot and row.meaning.for_person is None:
                assert "connect again" not in text, number
            if not cannot:
                assert re.search("connect again|Connect again", text), number


@pytest.mark.parametrize(
    ("number", "open_text"),
    [
        (500207, "Connect again and sign in with a work or school account."),
        (50055, "Change your password at Microsoft, then go back to your assistant and connect again."),
        (53000, "Connect again on a device that your organisation manages."),
        (80012, "Connect again during the hours that your organisation allows."),
        (50053, "Wait a while, then connect again from your usual place."),
        (50057, "Send the line below to your IT support. Nothing was sent or changed."),
    ],
)
async def test_f3_what_the_person_can_do_is_never_folded_away(number: int, open_text: str) -> None:
    """F3: the advice for the person stands open on the page."""
    async with opened() as http:
        text, _ = await refused(http, number, "en")

    assert open_text in text


async def test_f3_text_for_the_administrator_speaks_to_the_administrator() -> None:
    """F3: nobody who reads it is sent to their administrator."""
    async with opened() as http:
        for number, row in REFUSALS.items():
            _, folded = await refused(http, number, "en")

            if row.meaning.who == "administrator":
                assert re.findall("[Aa]sk |[Yy]our administrator|[Aa]n administrator|connect again", folded) == [], (
                    number
                )
