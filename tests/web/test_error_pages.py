"""Every refusal that a person's browser meets is one of our pages; a program keeps what it can read."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from html import unescape

import httpx2
import pytest
from starlette.requests import Request

from m365_mcp import settings
from m365_mcp.commands.demo.sign_in import read_form
from m365_mcp.errors import ClientSecretExpired, ConsentMissing, InternalError, M365Error, StorageUnavailable
from m365_mcp.web.pages import Pages
from tests.web.apps import CHINESE, IDS, authorize, consent, opened, register

Visit = Callable[[httpx2.AsyncClient], Awaitable[httpx2.Response]]


async def unlisted_redirect(http: httpx2.AsyncClient) -> httpx2.Response:
    return await authorize(http, await register(http), redirect_uri="https://evil.example/cb")


async def unregistered_redirect(http: httpx2.AsyncClient) -> httpx2.Response:
    return await authorize(http, await register(http), redirect_uri="http://localhost:7777/unregistered")


async def unknown_client(http: httpx2.AsyncClient) -> httpx2.Response:
    return await authorize(http, "nobody")


async def incomplete_request(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/authorize", params={"response_type": "code"})


async def two_resources(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/authorize?resource=a&resource=b")


async def expired_consent(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/consent", params={"txn_id": "gone"})


async def consent_without_transaction(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/consent")


async def consent_pressed_twice(http: httpx2.AsyncClient) -> httpx2.Response:
    page = await consent(http)
    form = read_form(str(page.url), page.text)
    await http.post(form.action, data={**form.fields, "action": "deny"})
    return await http.post(form.action, data={**form.fields, "action": "approve"})


async def consent_without_cookies(http: httpx2.AsyncClient) -> httpx2.Response:
    page = await consent(http)
    form = read_form(str(page.url), page.text)
    http.cookies.clear()
    return await http.post(form.action, data={**form.fields, "action": "approve"})


async def consent_from_nowhere(http: httpx2.AsyncClient) -> httpx2.Response:
    page = await consent(http)
    form = read_form(str(page.url), page.text)
    return await http.post(form.action, data={**form.fields, "action": "approve"}, headers={"Origin": "null"})


async def foreign_callback(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/auth/callback", params={"code": "x", "state": "unknown"})


async def bare_callback(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/auth/callback")


async def refusal_of_a_lost_sign_in(http: httpx2.AsyncClient) -> httpx2.Response:
    told = {"error": "server_error", "error_description": "AADSTS90033: secret of Microsoft", "state": "unknown"}
    return await http.get("/auth/callback", params=told)


async def unknown_page(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/no/such/page")


async def unknown_metadata(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/.well-known/nothing")


async def mcp_in_a_browser(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/mcp")


async def token_in_a_browser(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/token")


async def wrong_host(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/", headers={"Host": "other.example"})


async def unknown_upload(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/upload/unknown")


VISITS: list[tuple[Visit, int, str, str]] = [
    (unlisted_redirect, 400, "redirect_not_allowed", "This assistant is not allowed here yet"),
    (unregistered_redirect, 400, "redirect_not_registered", "Your assistant has to register again"),
    (unknown_client, 400, "client_unknown", "Your assistant has to register again"),
    (incomplete_request, 400, "authorization_request_invalid", "This sign-in cannot begin"),
    (two_resources, 400, "authorization_request_invalid", "This sign-in cannot begin"),
    (expired_consent, 400, "sign_in_expired", "This sign-in has expired"),
    (consent_without_transaction, 400, "sign_in_expired", "This sign-in has expired"),
    (consent_pressed_twice, 400, "sign_in_expired", "This sign-in has expired"),
    (consent_without_cookies, 403, "sign_in_elsewhere", "This sign-in began in another browser"),
    (consent_from_nowhere, 403, "sign_in_elsewhere", "This sign-in began in another browser"),
    (foreign_callback, 400, "sign_in_expired", "This sign-in has expired"),
    (bare_callback, 400, "sign_in_expired", "This sign-in has expired"),
    (refusal_of_a_lost_sign_in, 503, "entra_unavailable", "Please try again in a moment"),
    (unknown_page, 404, "page_unknown", "There is nothing at this address"),
    (unknown_metadata, 404, "page_unknown", "There is nothing at this address"),
    (mcp_in_a_browser, 405, "address_for_clients", "This address is for your assistant"),
    (token_in_a_browser, 405, "request_refused", "That did not work"),
    (wrong_host, 421, "request_refused", "That did not work"),
    (unknown_upload, 404, "upload_link_unknown", "No file can be uploaded here"),
]
EACH = pytest.mark.parametrize(
    ("visit", "status", "code", "heading"), VISITS, ids=lambda value: getattr(value, "__name__", "")
)


@EACH
async def test_f18_browser_gets_one_of_our_pages(visit: Visit, status: int, code: str, heading: str) -> None:
    """A heading in plain words, the code and the time; nothing of FastMCP's, and nothing from a third party."""
    async with opened(m365_toolsets=("attachments",)) as http:
        page = await visit(http)

    assert page.status_code == status
    assert f"<h1>{heading}</h1>" in page.text
    assert code in page.text
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", page.text)
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; img-src 'self'; style-src 'sha256-")
    assert "fastmcp" not in page.text.lower()
    assert "secret of Microsoft" not in page.text
    assert re.findall(r'(?:src|href)="https?:', page.text) == []


@EACH
async def test_f18_browser_gets_the_page_in_chinese(visit: Visit, status: int, code: str, heading: str) -> None:
    """The same page in Traditional Chinese: no sentence of it is left in English."""
    async with opened(CHINESE, m365_toolsets=("attachments",)) as http:
        page = await visit(http)

    body = re.sub(r"<style>.*?</style>|<script>.*?</script>|<code>.*?</code>", "", page.text, flags=re.DOTALL)
    assert (page.status_code, '<html lang="zh-Hant">' in page.text, code in page.text) == (status, True, True)
    assert heading not in page.text
    assert re.findall(r"[A-Za-z]+ [a-z]+ [a-z]+", re.sub(r"<[^>]+>", "", body)) == []


@pytest.mark.parametrize("visit", [unknown_client, unlisted_redirect, unknown_page, unknown_upload, mcp_in_a_browser])
async def test_f18_program_keeps_what_it_can_read(visit: Visit) -> None:
    """Without text/html in Accept, the answer is no page, and its status is the same."""
    async with opened({"Accept": "*/*"}, m365_toolsets=("attachments",)) as http:
        answer = await visit(http)

    assert 400 <= answer.status_code < 500
    assert "text/html" not in answer.headers["Content-Type"]


async def test_f18_page_keeps_the_headers_that_clients_follow() -> None:
    """The endpoint still says where its metadata is, and the page of an unknown client where to register."""
    async with opened() as http:
        endpoint, client = await http.post("/mcp"), await unknown_client(http)

    assert endpoint.status_code == 401
    assert "resource_metadata=" in endpoint.headers["WWW-Authenticate"]
    assert "<h1>This address is for your assistant</h1>" in endpoint.text
    assert "/register>" in client.headers["Link"]


def shown(error: M365Error, language: str = "en") -> str:
    headers = [(b"accept-language", language.encode())]
    scope = {"type": "http", "method": "GET", "path": "/auth/callback", "query_string": b"", "headers": headers}
    page = Pages(settings.load(**IDS, _env_file=None)).error(
        Request({**scope, "server": ("localhost", 80), "scheme": "http"}), error, status=error.status, headers={}
    )
    return unescape(bytes(page.body).decode())


@pytest.mark.parametrize(
    "error", [ConsentMissing(reference="AADSTS90094"), ClientSecretExpired(reference="AADSTS7000222")]
)
def test_f18_person_who_cannot_act_is_told_what_to_send_to_their_it(error: M365Error) -> None:
    """It is not their fault: one line to copy has code, AADSTS number, time and reference; the advice is folded."""
    page = shown(error)
    told, _, folded = page.partition("<details>")

    line = re.sub("<[^>]+>", "", re.findall("<code>(.*?)</code>", told)[0])
    assert re.fullmatch(rf"{error.code} · {error.reference} · [\d-]+ [\d:]+ UTC · ref [0-9a-f]{{6}}", line)
    assert "This is not your fault." in told
    assert error.sentence in told
    assert error.administrator_advice not in told
    assert error.administrator_advice in folded


def test_f18_sentence_without_a_translation_gives_way_to_the_one_of_its_kind() -> None:
    """A page is in one language: a sentence that only this occurrence has is shown as its kind's, translated."""
    page = shown(ConsentMissing("A sentence of the moment."), "zh-TW")

    assert "A sentence of the moment." not in page
    assert "此應用程式尚未取得代表您寄信及讀取個人資料的同意。" in page
    assert "A sentence of the moment." in shown(ConsentMissing("A sentence of the moment."))


def test_f18_outage_offers_another_try_and_a_fault_of_ours_does_not() -> None:
    """A reload helps after an outage; a fault of this server is for those who run it."""
    assert ">Try again</a>" in shown(StorageUnavailable())
    assert "This is not your fault." not in shown(StorageUnavailable())
    assert ">Try again</a>" not in shown(InternalError())
    assert "This is not your fault." in shown(InternalError())
