"""The consent page: the question, what will be possible, who asks, and where the answer goes."""

from __future__ import annotations

import re
import unicodedata
from html import unescape
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m365_mcp.auth.client_texts import MAX_NAME
from m365_mcp.auth.consent import ConsentRequest, named_by
from m365_mcp.commands.demo.sign_in import read_form
from m365_mcp.mail.text import clean
from m365_mcp.web.pages.consent_page import describe_redirect
from tests.web.apps import CALLBACK, CHINESE, authorize, consent, opened, register

EVERYTHING = ("drafts", "attachments", "replies", "schedule", "people")


def text_of(page: httpx2.Response) -> str:
    """Return what a person reads."""
    body = re.sub(r"<style>.*?</style>|<script>.*?</script>|<head>.*?</head>", "", page.text, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


async def test_f18_heading_is_the_question_in_the_persons_words() -> None:
    """The page asks one question, says that the name is not verified, and where the answer goes."""
    async with opened() as http:
        page = await consent(http)

    shown = text_of(page)
    assert page.status_code == 200
    assert "<h1>Allow <bdi>Claude</bdi> to send mail as you?</h1>" in page.text
    assert "It cannot read your mail, contacts or files" in shown
    assert "Claude name not verified" in shown
    assert "Returns to this computer localhost:1234" in shown
    assert "FastMCP" not in page.text


@pytest.mark.parametrize(
    ("headers", "texts"),
    [
        (None, ("Allow this app to send mail as you?", "next. This app never sees", "just now, in this app? If")),
        (
            CHINESE,
            ("要讓這個應用程式以您的名義寄信嗎？", "。這個應用程式看不到您的密碼。", "在這個應用程式中開始的嗎？"),
        ),
    ],
)
async def test_f18_client_without_a_name_is_this_app(headers: dict[str, str] | None, texts: tuple[str, ...]) -> None:
    """F18: each sentence is written for it: a capital letter where it begins, and no blanks in Chinese."""
    async with opened(headers) as http:
        page = await consent(http, client_name="")

    assert [text for text in texts if text not in page.text] == []


async def test_f18_page_is_chinese_for_those_who_ask_for_it() -> None:
    """The same page in Traditional Chinese, with the right `lang`; `?lang=en` brings the English one back."""
    async with opened(CHINESE) as http:
        chinese = await consent(http)
        english = await http.get(f"{chinese.url}&lang=en")

    assert '<html lang="zh-Hant">' in chinese.text
    assert chinese.headers["Content-Language"] == "zh-Hant"
    assert "要讓「<bdi>Claude</bdi>」以您的名義寄信嗎？" in chinese.text
    assert 'hreflang="en">English</a>' in chinese.text
    assert '<html lang="en">' in english.text
    assert (
        read_form(str(english.url), english.text).fields["txn_id"]
        == read_form(str(chinese.url), chinese.text).fields["txn_id"]
    )


@pytest.mark.parametrize(
    ("changes", "can", "cannot"),
    [
        ({}, ["Send mail from your mailbox", "See your name"], "It cannot read your mail, contacts or files"),
        ({"m365_toolsets": ("replies",)}, ["Reply to your messages"], "It cannot see your contacts, calendar or files"),
        ({"m365_toolsets": ("people",)}, ["Look up people"], "It cannot read your mail, calendar or files"),
        (
            {"m365_toolsets": EVERYTHING, "m365_show_previews": True, "m365_send_from": True},
            ["first words", "shared mailboxes", "Schedule mail", "Write drafts", "Attach files"],
            "It cannot open attachments, calendars or files",
        ),
    ],
)
async def test_f18_page_says_what_the_toolsets_can_do(changes: dict[str, Any], can: list[str], cannot: str) -> None:
    """Each toolset adds what it can do, and takes away the promise that it breaks."""
    async with opened(**changes) as http:
        shown = text_of(await consent(http))

    assert [words for words in can if words not in shown] == []
    assert re.findall(r"It cannot [a-z ,]+ files", shown) == [cannot]


@pytest.mark.parametrize(
    ("level", "can", "hidden"),
    [
        (
            "draft",
            ["Write drafts of replies", "and discard them", "and cancel it", "Attach files"],
            ["send or discard"],
        ),
        ("off", ["See scheduled mail", "See who wrote"], ["Write drafts", "cancel it", "Attach files", "Reply to"]),
    ],
)
async def test_f18_page_tells_the_truth_below_the_level_send(level: str, can: list[str], hidden: list[str]) -> None:
    """F18: where nothing is sent, the page asks about the account, and says that mail cannot be sent."""
    async with opened(m365_toolsets=EVERYTHING, m365_send_from=True, m365_send_level=level) as http:
        page = await consent(http)
        landing = text_of(await http.get("/"))

    shown = text_of(page)
    assert "<h1>Allow <bdi>Claude</bdi> to use your account?</h1>" in page.text
    assert [words for words in (*can, "It cannot send mail") if words not in shown] == []
    assert [words for words in (*hidden, "Send mail", "shared mailboxes", "send mail as you") if words in shown] == []
    assert "Let your assistant use your Microsoft 365 account" in landing
    assert "Send the meeting notes" not in landing


async def test_f18_form_is_the_one_that_fastmcp_expects() -> None:
    """The CSRF token, its cookie and the transaction come from FastMCP: Allow goes to Entra ID, Cancel back."""
    async with opened() as http:
        pages = [await consent(http), await consent(http)]
        forms = [read_form(str(page.url), page.text) for page in pages]
        allowed = await http.post(forms[0].action, data={**forms[0].fields, "action": "approve"})
        denied = await http.post(forms[1].action, data={**forms[1].fields, "action": "deny"})

    assert all(any(name.startswith("__") for name in page.cookies) for page in pages)
    assert allowed.headers["Location"].startswith("https://login.microsoftonline.com/")
    assert denied.headers["Location"].startswith(CALLBACK)
    assert "error=access_denied" in denied.headers["Location"]


HOSTILE_NAMES = {
    "long": "x" * 10_000,
    "right to left": "Claude\u202eedualC\u2066 \u200f",
    "controls": "Claude\r\n\x00\x1b[31m",
    "invisible": "Cl\u200baude\u2060\ufeff\u00ad\u3164\u034f\U000e0041",
    "separators": "Claude\u2028\u2029\u0085to send nothing",
    "blank": "\u2800\u3164\u00a0",
    "piled up": "C" + "\u0335\u0321\u0489" * 100,
    "markup": "<script>alert(1)</script>",
}


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
async def test_a21_h14_name_of_a_client_can_do_no_harm(name: str) -> None:
    """A name is one line of at most 60 visible characters, escaped, and marked as not verified."""
    async with opened() as http:
        page = await consent(http, client_name=name)

    (shown,) = re.findall(r"<h1>Allow (?:<bdi>)?(.*?)(?:</bdi>)? to send mail as you\?</h1>", page.text)
    assert 1 <= len(unescape(shown)) <= MAX_NAME
    assert "<" not in shown
    assert not [
        character for character in page.text if character in "\u202e\u2066\u200f\u200b\u2028\x00\x1b\u3164\u2800"
    ]
    assert len(re.findall(r"[\u0300-\u0489]{3}", shown)) == 0
    assert "name not verified" in page.text


@given(st.text(max_size=200))
def test_h14_cleaned_text_is_one_visible_line(text: str) -> None:
    """Whatever a client calls itself, no control, no direction control and no line break is left."""
    shown = clean(text, MAX_NAME)

    assert len(shown) <= MAX_NAME
    assert shown == shown.strip()
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


@pytest.mark.parametrize(
    ("uri", "kind", "shown"),
    [
        ("http://127.0.0.1:53682/callback", "this_computer", "127.0.0.1:53682"),
        ("http://[::1]:9/cb", "this_computer", "[::1]:9"),
        ("https://claude.ai/api/mcp/auth_callback", "site", "claude.ai"),
        ("https://localhost.evil.example/cb", "site", "localhost.evil.example"),
        ("cursor://anysphere.cursor-mcp/oauth/callback", "app", "cursor://anysphere.cursor-mcp"),
        ("com.example.app:/cb", "app", "com.example.app:"),
    ],
)
def test_f18_page_says_where_the_answer_goes(uri: str, kind: str, shown: str) -> None:
    """Loopback is this computer, a private-use scheme is an app, everything else is a host."""
    assert describe_redirect(uri) == (kind, shown)


class Document:
    """A client with, or without, a metadata document."""

    def __init__(self, document: object) -> None:
        self.cimd_document = document


@pytest.mark.parametrize(
    ("client_id", "redirect_uri", "document", "host"),
    [
        ("https://claude.ai/oauth/client.json", "https://claude.ai/api/mcp/auth_callback", True, "claude.ai"),
        ("https://claude.ai/oauth/client.json", "http://127.0.0.1:1/callback", True, None),
        ("https://evil.example/client.json", "https://claude.ai/api/mcp/auth_callback", True, None),
        ("https://claude.ai/oauth/client.json", "https://claude.ai/api/mcp/auth_callback", False, None),
        ("some-registered-id", CALLBACK, False, None),
    ],
)
def test_h14_name_is_verified_only_by_a_document_on_the_host_of_the_redirect(
    client_id: str, redirect_uri: str, document: bool, host: str | None
) -> None:
    """A document proves who wrote the name; it says who gets the answer only when the answer goes to the same host."""
    client: Any = Document({} if document else None)

    assert named_by(client, client_id, redirect_uri) == host
    assert ConsentRequest(client_id, "", host, redirect_uri, (), {}).named_by == host


async def test_h3_consent_page_of_a_dropped_registration_says_register_again() -> None:
    """Nobody is asked about a client that is gone: neither the page nor its form leads to Microsoft."""
    async with opened(mcp_max_unused_registrations=3) as http:
        client_id = await register(http)
        begun = (await authorize(http, client_id)).headers["Location"]
        page = await http.get(begun)
        for _ in range(3):
            await register(http)
        shown = await http.get(begun)
        form = read_form(str(page.url), page.text)
        sent = await http.post(form.action, data={**form.fields, "action": "approve"})
        begins = await authorize(http, client_id)

    for refused in (shown, sent, begins):
        assert refused.status_code == 400
        assert "Your assistant has to register again" in refused.text
        assert "client_unknown" in refused.text


async def test_f18_reload_gives_another_form_and_the_first_one_still_works() -> None:
    """Each look at the page has a CSRF token of its own, and none makes an earlier one useless."""
    async with opened() as http:
        begun = (await authorize(http, await register(http))).headers["Location"]
        first, second = await http.get(begun), await http.get(begun)
        form = read_form(str(first.url), first.text)
        answer = await http.post(form.action, data={**form.fields, "action": "approve"})

    assert form.fields["csrf_token"] != read_form(str(second.url), second.text).fields["csrf_token"]
    assert answer.status_code == 302
