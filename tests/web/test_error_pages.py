"""Every refusal that a person's browser meets is one of our pages; a program keeps what it can read."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from html import unescape

import httpx2
import pytest
from starlette.requests import Request
from structlog.testing import capture_logs

from m365_mcp import settings
from m365_mcp.auth.client_metadata.clients import CLIENT_METADATA
from m365_mcp.auth.client_metadata.failures import error_of
from m365_mcp.auth.client_metadata.fetcher import DocumentInvalid, FetchFailed, HostRefused
from m365_mcp.commands.demo.sign_in import read_form
from m365_mcp.commands.reference import every_error
from m365_mcp.errors import (
    AuthorizationRequestTooLarge,
    ClientMetadataInvalid,
    ClientSecretExpired,
    ConsentMissing,
    FileIsProgram,
    Filled,
    GraphUnavailable,
    InternalError,
    M365Error,
    PermissionMissing,
    ServerBusy,
    SettingsMistake,
    StorageUnavailable,
    Throttled,
    TooManyRequests,
)
from m365_mcp.uploads.receiver import _another_size
from m365_mcp.web.oauth_requests import _too_large
from m365_mcp.web.pages import Pages
from m365_mcp.web.pages.error_page import explain
from m365_mcp.web.pages.languages import language_of
from m365_mcp.web.rate_limits import MAX_PAGES
from tests.web.apps import CHINESE, IDS, authorize, consent, opened, register

Visit = Callable[[httpx2.AsyncClient], Awaitable[httpx2.Response]]


async def unlisted_redirect(http: httpx2.AsyncClient) -> httpx2.Response:
    return await authorize(http, await register(http), redirect_uri="https://evil.example/cb")


async def unregistered_redirect(http: httpx2.AsyncClient) -> httpx2.Response:
    return await authorize(http, await register(http), redirect_uri="http://localhost:7777/unregistered")


async def unusable_redirect(http: httpx2.AsyncClient) -> httpx2.Response:
    return await authorize(http, await register(http), redirect_uri="javascript:alert(1)")


async def unknown_client(http: httpx2.AsyncClient) -> httpx2.Response:
    return await authorize(http, "nobody")


async def incomplete_request(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/authorize", params={"response_type": "code"})


async def two_resources(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/authorize?resource=a&resource=b")


async def large_state(http: httpx2.AsyncClient) -> httpx2.Response:
    return await authorize(http, await register(http), state="x" * 9000)


async def document_at_an_address(http: httpx2.AsyncClient) -> httpx2.Response:
    return await authorize(http, "https://10.0.0.1/client.json")


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


async def compressed_consent(http: httpx2.AsyncClient) -> httpx2.Response:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}
    return await http.post("/consent", content=b"x", headers=headers)


async def callback_put(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.put("/auth/callback")


async def mcp_in_a_browser(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/mcp")


async def token_in_a_browser(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/token")


async def wrong_host(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/", headers={"Host": "other.example"})


async def callback_at_another_host(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/auth/callback?code=x&state=y", headers={"Host": "other.example"})


async def consent_at_another_host(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/consent?txn_id=x", headers={"Host": "other.example"})


async def authorize_at_another_host(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/authorize?client_id=x", headers={"Host": "other.example"})


async def mcp_at_another_host(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/mcp", headers={"Host": "other.example"})


async def authorize_from_another_site(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/authorize?client_id=x", headers={"Origin": "https://other.example"})


async def consent_from_another_site(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.post("/consent", data={"txn_id": "x"}, headers={"Origin": "https://other.example"})


async def consent_loaded_too_often(http: httpx2.AsyncClient) -> httpx2.Response:
    page = await consent(http)
    return [await http.get(page.url) for _ in range(MAX_PAGES)][-1]


async def callback_with_a_slash(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/auth/callback/")


async def consent_with_a_slash(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/consent//", headers={"Accept": "*/*"})


async def unknown_client_with_a_slash(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/authorize/?client_id=nobody&response_type=code&code_challenge=x&redirect_uri=http://a/")


async def unknown_upload(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.get("/upload/unknown")


VISITS: list[tuple[Visit, int, str, str]] = [
    (unlisted_redirect, 400, "redirect_not_allowed", "This assistant is not allowed here yet"),
    (unregistered_redirect, 400, "redirect_not_registered", "Your assistant has to register again"),
    (unusable_redirect, 400, "redirect_not_usable", "Your assistant asks for an address that no answer can go to"),
    (unknown_client, 400, "client_unknown", "Your assistant has to register again"),
    (incomplete_request, 400, "authorization_request_invalid", "This sign-in cannot begin"),
    (two_resources, 400, "authorization_request_invalid", "This sign-in cannot begin"),
    (large_state, 400, "authorization_request_too_large", "This sign-in cannot begin"),
    (document_at_an_address, 400, "client_metadata_invalid", "This assistant cannot sign in here"),
    (expired_consent, 400, "sign_in_expired", "This sign-in has expired"),
    (consent_without_transaction, 400, "sign_in_expired", "This sign-in has expired"),
    (consent_pressed_twice, 400, "sign_in_expired", "This sign-in has expired"),
    (consent_without_cookies, 403, "sign_in_elsewhere", "This sign-in began in another browser"),
    (consent_from_nowhere, 403, "origin_hidden", "Your browser hides which page sent the form"),
    (foreign_callback, 400, "sign_in_expired", "This sign-in has expired"),
    (bare_callback, 400, "sign_in_expired", "This sign-in has expired"),
    (refusal_of_a_lost_sign_in, 503, "entra_unavailable", "Please try again in a moment"),
    (compressed_consent, 415, "request_refused", "That did not work"),
    (callback_put, 405, "request_refused", "That did not work"),
    (unknown_page, 404, "page_unknown", "There is nothing at this address"),
    (unknown_metadata, 404, "page_unknown", "There is nothing at this address"),
    (mcp_in_a_browser, 405, "address_for_clients", "This address is for your assistant"),
    (token_in_a_browser, 405, "request_refused", "That did not work"),
    (wrong_host, 421, "misdirected_request", "This address is not set up yet"),
    (callback_at_another_host, 421, "misdirected_request", "This address is not set up yet"),
    (consent_at_another_host, 421, "misdirected_request", "This address is not set up yet"),
    (authorize_at_another_host, 421, "misdirected_request", "This address is not set up yet"),
    (mcp_at_another_host, 421, "misdirected_request", "This address is not set up yet"),
    (authorize_from_another_site, 403, "forbidden_origin", "Another site is not allowed here yet"),
    (consent_from_another_site, 403, "forbidden_origin", "Another site is not allowed here yet"),
    (consent_loaded_too_often, 429, "sign_in_reloaded", "This page was loaded too often"),
    (callback_with_a_slash, 400, "sign_in_expired", "This sign-in has expired"),
    (consent_with_a_slash, 400, "sign_in_expired", "This sign-in has expired"),
    (unknown_client_with_a_slash, 400, "client_unknown", "Your assistant has to register again"),
    (unknown_upload, 404, "upload_link_unknown", "No file can be uploaded here"),
]
EACH = pytest.mark.parametrize(
    ("visit", "status", "code", "heading"), VISITS, ids=lambda value: getattr(value, "__name__", "")
)


@EACH
@pytest.mark.sample(8)
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


@pytest.mark.full
@EACH
async def test_f18_browser_gets_the_page_in_chinese(visit: Visit, status: int, code: str, heading: str) -> None:
    """The same page in Traditional Chinese: no sentence of it is left in English."""
    async with opened(CHINESE, m365_toolsets=("attachments",)) as http:
        page = await visit(http)

    body = re.sub(r"<style>.*?</style>|<script>.*?</script>|<code>.*?</code>", "", page.text, flags=re.DOTALL)
    assert (page.status_code, '<html lang="zh-Hant">' in page.text, code in page.text) == (status, True, True)
    assert heading not in page.text
    assert re.findall(r"[A-Za-z]+ [a-z]+ [a-z]+", re.sub(r"<[^>]+>", "", body)) == []


async def posted_redirect(http: httpx2.AsyncClient) -> httpx2.Response:
    query = {"response_type": "code", "client_id": await register(http), "redirect_uri": "https://evil.example/cb"}
    return await http.post("/authorize", data={**query, "code_challenge": "c" * 43, "code_challenge_method": "S256"})


def copied(page: str) -> str:
    """Return the line that the button of a page copies."""
    return re.sub("<[^>]+>", "", unescape(re.findall('<div class="copy"><code>(.*?)</code>', page)[0]))


@pytest.mark.parametrize("visit", [unlisted_redirect, posted_redirect])
async def test_f18_line_for_it_names_the_redirect_uri_and_the_log_its_host(visit: Visit) -> None:
    """F18: whoever has to allow the redirect URI reads it in the line, and finds the line's reference in the log."""
    with capture_logs() as logs:
        async with opened() as http:
            line = copied((await visit(http)).text)

    (logged,) = (one for one in logs if one["event"] == "error_page")
    assert line.endswith(" · https://evil.example/cb")
    assert logged["redirect_host"] == "evil.example"
    assert f"ref {logged['ref']} " in line


@pytest.mark.parametrize("visit", [unlisted_redirect, unknown_client, expired_consent, foreign_callback])
async def test_t3_reference_on_the_page_is_in_the_line_of_the_sign_in(visit: Visit) -> None:
    """T3: whoever has the line of a page finds the sign-in that it belongs to, and its page in the log."""
    with capture_logs() as logs:
        async with opened() as http:
            page = await visit(http)

    (reference,) = set(re.findall("ref ([0-9a-f]{6})", page.text))
    (shown_page,) = (one for one in logs if one["event"] == "error_page")
    refused = [one for one in logs if one["event"] == "sign_in" and one["outcome"] == "refused"]
    assert shown_page["ref"] == reference
    assert [one.get("ref") for one in refused] == [reference]


async def test_t3_program_gets_no_page_and_its_line_no_reference() -> None:
    """T3: a refusal in JSON leaves its line without a reference, because nobody has one to look for."""
    with capture_logs() as logs:
        async with opened({"Accept": "application/json"}) as http:
            await unlisted_redirect(http)

    assert [one.get("ref") for one in logs if one.get("outcome") == "refused"] == [None]


async def test_f18_page_of_an_unregistered_redirect_uri_shows_it() -> None:
    """F18: the person sees which address their assistant has to register."""
    async with opened() as http:
        page = await unregistered_redirect(http)

    assert "<dd><code>http://localhost:7777/unregistered</code></dd>" in page.text


@pytest.mark.parametrize(
    ("visit", "advice"),
    [(large_state, "code_challenge"), (document_at_an_address, "MCP_CIMD_ALLOWED_HOSTS")],
)
@pytest.mark.parametrize("language", ["en", "zh-Hant"])
async def test_f18_what_the_person_cannot_change_is_for_their_it(visit: Visit, advice: str, language: str) -> None:
    """F18: no setting and no parameter is the employee's business; their IT gets a line with the client's id."""
    async with opened({"Accept-Language": language}) as http:
        page = await visit(http)

    told, _, folded = page.text.partition("<details>")
    assert 'class="note good"' in told
    assert not any(word in told for word in (advice, "parameter", "8192"))
    assert advice in folded
    assert re.search(r"ref [0-9a-f]{6} · (https://10\.0\.0\.1/client\.json|[0-9a-f-]{36})$", copied(page.text))


async def test_f18_chosen_language_survives_the_way_through_microsoft() -> None:
    """F18: who chose Chinese in an English browser reads the refusal at the callback in Chinese."""
    async with opened() as http:
        await consent(http, "&lang=zh-Hant")
        refused = await refusal_of_a_lost_sign_in(http)
        await http.get("/?lang=en")
        english = await refusal_of_a_lost_sign_in(http)

    assert (refused.headers["Content-Language"], english.headers["Content-Language"]) == ("zh-Hant", "en")


async def test_f18_cookie_of_the_language_stays_below_the_public_path() -> None:
    """F18: on a shared host no other application gets it, and over https it is never sent in the clear."""
    async with opened(mcp_server_base_url="https://example.com/mail") as http:
        chosen, other = await http.get("/?lang=zh-TW"), await http.get("/")

    cookie = chosen.headers["Set-Cookie"].lower()
    assert cookie.startswith("m365_mcp_language=zh-hant;")
    assert all(part in cookie for part in ("path=/mail;", "secure", "httponly", "samesite=lax"))
    assert "Set-Cookie" not in other.headers


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


OURS = Pages(settings.load(**IDS, _env_file=None))


def request_in(language: str) -> Request:
    headers = [(b"accept-language", language.encode())]
    scope = {"type": "http", "method": "GET", "path": "/auth/callback", "query_string": b"", "headers": headers}
    return Request({**scope, "server": ("localhost", 80), "scheme": "http"})


def shown(error: M365Error, language: str = "en") -> str:
    page = OURS.error(request_in(language), error, status=error.status, headers={})
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


FAILURES: list[tuple[FetchFailed, str]] = [
    (HostRefused("host_refused"), "此伺服器不會從 client.example.com 取得用戶端的中繼資料文件。"),
    (DocumentInvalid("not_client_metadata", member="redirect_uris"), "其成員 redirect_uris 無效。"),
    (DocumentInvalid("client_id_differs"), "其 client_id 與其所在的 URL 不同。"),
    (DocumentInvalid("too_large"), "內容太大。"),
    (FetchFailed("http_404", 404), "client.example.com 以狀態碼 404 回應，而未提供 MCP 用戶端的中繼資料文件。"),
    (FetchFailed("html_page"), "client.example.com 以網頁回應，而未提供 MCP 用戶端的中繼資料文件。"),
    (FetchFailed("proxy_407"), "不允許連線到 client.example.com（狀態碼 407）。"),
    (FetchFailed("proxy"), "不允許連線到 client.example.com。"),
    (FetchFailed("special_purpose_address"), "client.example.com 的位址屬於私人網路"),
    (FetchFailed("timeout"), "無法從 client.example.com 取得 MCP 用戶端的中繼資料文件。"),
]


@pytest.mark.parametrize(("failure", "said"), FAILURES, ids=[str(failure) for failure, _ in FAILURES])
def test_f6_chinese_page_of_a_bad_document_names_what_the_english_one_names(failure: FetchFailed, said: str) -> None:
    """F6: host, member and status stand in the sentence of either language, and the page is Chinese throughout."""
    error = error_of(failure, "client.example.com", CLIENT_METADATA.noun)
    english, chinese = main_of(shown(error)), main_of(shown(error, "zh-Hant"))

    assert error.sentence in english
    assert said in chinese
    named = {"client.example.com", failure.member or "", str(failure.status or "")}
    assert [one for one in named if (one in english) != (one in chinese)] == []
    assert re.findall(r"[A-Za-z]+ [a-z]+ [a-z]+", chinese) == []


def test_f6_markup_in_a_value_is_text_in_every_language() -> None:
    """F6: what a stranger has chosen is escaped, and a placeholder in it is filled no second time."""
    error = ClientMetadataInvalid(Filled("its member %(member)s is not valid", member="<b>%(x)s</b>"))
    for language in ("en", "zh-Hant"):
        page = bytes(OURS.error(request_in(language), error, status=400, headers={}).body).decode()

        assert "&lt;b&gt;%(x)s&lt;/b&gt;" in page


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (AuthorizationRequestTooLarge(_too_large(b"state=" + b"x" * 9000)), "授權要求的參數 state 超過 8192 位元組。"),
        (_another_size(10, 1234), "檔案大小為 10 位元組，而預先告知的大小為 1,234 位元組。"),
    ],
    ids=["parameter", "size"],
)
def test_f6_every_sentence_with_values_keeps_them_in_chinese(error: M365Error, said: str) -> None:
    """F6: the parameter that is too long, and the sizes of a file."""
    assert said in main_of(shown(error, "zh-Hant"))


@pytest.mark.parametrize("kind", [M365Error, *every_error()], ids=lambda kind: kind.code)
@pytest.mark.parametrize("in_a_script", [False, True])
def test_f18_no_error_leaves_a_sentence_in_english(kind: type[M365Error], in_a_script: bool) -> None:
    """F18: neither its page nor its text for a script, whether the error is its class's or one of the moment."""
    moment = () if kind in NO_MOMENT else ("A sentence of the moment.",)
    for error in (made(kind), made(kind, *moment)):
        text = told_to_a_script(error, "zh-Hant") if in_a_script else main_of(shown(error, "zh-Hant"))

        assert re.findall(r"[A-Za-z]+ [a-z]+ [a-z]+", text) == []
        assert re.findall(r"[。！？；，] ", text) == []


NO_MOMENT = (AuthorizationRequestTooLarge, SettingsMistake)


def made(kind: type[M365Error], *given: str) -> M365Error:
    error: M365Error = kind(()) if issubclass(kind, SettingsMistake) else kind(*given)
    return error


def told_to_a_script(error: M365Error, language: str) -> str:
    return explain(request_in(language), error, language_of(request_in(language)), datetime.now(UTC))


def main_of(page: str) -> str:
    found = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", page, flags=re.DOTALL)
    return re.sub("<[^>]+>", "", found.partition("<main>")[2].partition("</main>")[0])


def test_f18_file_that_is_refused_is_explained_in_the_persons_language() -> None:
    """F18: the upload page says in one language why, and what to do; no blank stands between Chinese sentences."""
    refused = FileIsProgram("This file is a program and cannot be attached.")

    assert told_to_a_script(refused, "zh-Hant") == (
        "這個檔案是程式，無法附加。請改用連結分享（例如 OneDrive），不要附加到郵件。"
    )
    assert told_to_a_script(refused, "en") == f"{FileIsProgram.sentence} {FileIsProgram.advice}"


def test_f18_script_gets_a_line_for_it_where_the_person_cannot_act() -> None:
    """F18: the upload page shows an employee no administrator's advice, but what to send to their IT."""
    text = told_to_a_script(PermissionMissing(), "en")

    assert "M365_TOOLSETS" not in text
    assert re.search(r"Send this to your IT support: permission_missing · [\d-]+ [\d:]+ UTC · ref [0-9a-f]{6}$", text)


@pytest.mark.parametrize("kind", [GraphUnavailable, Throttled, ServerBusy])
@pytest.mark.parametrize(("language", "advice"), [("en", "connect again"), ("zh-Hant", "重新連線")])
def test_f8_outage_that_a_new_sign_in_does_not_change_asks_nobody_to_connect_again(
    kind: type[M365Error], language: str, advice: str
) -> None:
    """F8: on every page, whoever waits for Microsoft Graph or for this server is told to try again in a moment."""
    page = main_of(shown(kind(), language))

    assert advice not in page
    assert OURS_LATER[language] in page


OURS_LATER = {"en": "Try again in a moment.", "zh-Hant": "請稍候再試。"}


def test_f18_outage_offers_another_try_and_a_fault_of_ours_does_not() -> None:
    """A reload helps after an outage; a fault of this server is for those who run it."""
    assert ">Try again</a>" in shown(StorageUnavailable())
    assert "Wait a minute, then reload this page" in shown(TooManyRequests())
    assert "請稍候一分鐘" in shown(TooManyRequests(), "zh-TW")
    assert "This is not your fault." not in shown(StorageUnavailable())
    assert ">Try again</a>" not in shown(InternalError())
    assert "This is not your fault." in shown(InternalError())
