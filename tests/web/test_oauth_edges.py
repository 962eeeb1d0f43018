"""Edges of the OAuth endpoints: compressed and large bodies, a state of the redirect URI's own, repeated resources."""

from __future__ import annotations

import gzip
import json
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from starlette.responses import JSONResponse

from m365_mcp.commands.demo.sign_in import read_form
from m365_mcp.web.error_descriptions import ErrorDescriptions, one_sentence
from tests.web.apps import CALLBACK, authorize, consent, opened, register

PROGRAM = {"Accept": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
OURS, OTHER = "http://localhost:8000/mcp", "https://other.example/mcp"


@pytest.mark.parametrize("path", ["/register", "/authorize", "/token", "/consent", "/revoke"])
@pytest.mark.parametrize("coding", ["gzip", "GZIP", "identity, br"])
async def test_f12_compressed_body_is_415_and_says_so(path: str, coding: str) -> None:
    """Every OAuth endpoint names the coding as the reason, not what it cannot find in the compressed bytes."""
    headers = (JSON if path == "/register" else FORM) | {"Content-Encoding": coding}
    async with opened(PROGRAM) as http:
        answer = await http.post(path, content=gzip.compress(b"grant_type=refresh_token"), headers=headers)

    if path == "/consent":  # its answers are pages
        assert answer.status_code == 415
        return
    assert (answer.status_code, answer.json()["error"]) == (415, "invalid_request")
    assert "Content-Encoding" in answer.json()["error_description"]
    assert answer.headers["Accept-Encoding"] == "identity"


async def test_f12_identity_is_no_coding() -> None:
    """A registration that says it is not compressed is accepted."""
    async with opened(PROGRAM | {"Content-Encoding": "identity"}) as http:
        assert await register(http)


@pytest.mark.parametrize("path", ["/register", "/authorize", "/token", "/revoke"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_f12_large_body_is_413_in_json(path: str, chunked: bool) -> None:
    """The refusal of a large body is JSON like every other one, and says how large a body may be."""
    body = b"x" * 70_000

    async def parts() -> Any:
        for start in range(0, len(body), 10_000):
            yield body[start : start + 10_000]

    async with opened(PROGRAM) as http:
        answer = await http.post(path, content=parts() if chunked else body, headers=FORM)

    assert (answer.status_code, answer.json()["error"]) == (413, "invalid_request")
    assert "65536 bytes" in answer.json()["error_description"]


async def declined(redirect_uri: str, state: str | None) -> str:
    """Return the query that comes back to a redirect URI when the person declines."""
    async with opened() as http:
        client_id = await register(http, redirect_uris=[redirect_uri])
        query = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": redirect_uri,
            "code_challenge": "c" * 43,
        }
        begun = await http.get("/authorize", params=query if state is None else {**query, "state": state})
        page = await http.get(begun.headers["Location"])
        form = read_form(str(page.url), page.text)
        answer = await http.post(form.action, data={**form.fields, "action": "deny"})
    return urlsplit(answer.headers["Location"]).query


@pytest.mark.parametrize(
    ("own", "state", "states"),
    [
        ("?state=", "s", ["", "s"]),
        ("?state=", None, [""]),
        ("?state=mine", "s", ["mine", "s"]),
        ("?state=mine", None, ["mine"]),
        ("?a=1&state=&b=2", "s", ["", "s"]),
        ("?astate=", "s", ["s"]),
        ("?a=state=", None, []),
        ("", "s", ["s"]),
        ("", None, []),
    ],
)
async def test_f17_state_of_the_redirect_uri_stays(own: str, state: str | None, states: list[str]) -> None:
    """What the client registered comes back as it was; only the empty state that FastMCP adds goes."""
    query = await declined(f"{CALLBACK}{own}", state)

    assert query.startswith(own.removeprefix("?"))
    assert parse_qs(query, keep_blank_values=True).get("state", []) == states


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("resources", "refused"),
    [
        ([OURS], None),
        ([OURS, OURS], None),
        ([OURS, f"{OURS}/", "http://LOCALHOST:8000/mcp"], None),
        ([OTHER, OTHER], "redirect"),
        ([OURS, OTHER], "json"),
        ([OTHER, OURS], "json"),
    ],
)
async def test_f16_resource_may_be_repeated_if_it_is_ours(
    method: str, resources: list[str], refused: str | None
) -> None:
    """A client that names this server twice begins a sign-in; another resource beside it is refused."""
    async with opened(PROGRAM) as http:
        query = {"response_type": "code", "client_id": await register(http), "redirect_uri": CALLBACK, "state": "s"}
        fields = urlencode([*query.items(), ("code_challenge", "c" * 43), *(("resource", each) for each in resources)])
        if method == "GET":
            answer = await http.get(f"/authorize?{fields}")
        else:
            answer = await http.post("/authorize", content=fields, headers=FORM)

    if refused == "json":
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")
    else:
        location = answer.headers["Location"]
        assert ("error=invalid_target" in location) is (refused == "redirect")
        assert ("/consent?txn_id=" in location) is (refused is None)


def is_one_line(description: str) -> bool:
    """Return whether a text is an `error_description` of RFC 6749 section 5.2 that begins with a word."""
    return description[0].isalnum() and all(" " <= letter <= "~" and letter not in '"\\' for letter in description)


BAD_REGISTRATIONS = [b"{", b"\x1f\x8b", b"[]", b"5", b'{"redirect_uris": 5}', b'{"redirect_uris": ["x", 5]}', b"{}"]


@pytest.mark.parametrize("body", BAD_REGISTRATIONS)
async def test_f4_sentence_about_a_registration_is_one_line(body: bytes) -> None:
    """However the SDK writes it, a client reads one line in the characters of OAuth."""
    async with opened(PROGRAM) as http:
        answer = await http.post("/register", content=body, headers=JSON)

    assert (answer.status_code, answer.headers["Content-Length"]) == (400, str(len(answer.content)))
    assert is_one_line(answer.json()["error_description"]), answer.text


@pytest.mark.parametrize("form", [{"grant_type": "nonsense"}, {"grant_type": "authorization_code"}, {}])
async def test_f4_sentence_about_a_token_request_is_one_line(form: dict[str, str]) -> None:
    """Several mistakes are one line, too."""
    async with opened(PROGRAM) as http:
        answer = await http.post("/token", data={**form, "client_id": await register(http)})

    assert answer.status_code == 400
    assert is_one_line(answer.json()["error_description"]), answer.text


async def test_f4_sentence_in_a_redirect_is_one_line() -> None:
    """The mistakes of an authorization request go back to the client on one line, and its state as it was."""
    async with opened(PROGRAM) as http:
        fields = {"client_id": await register(http), "redirect_uri": CALLBACK, "state": "a b&ä"}
        answer = await http.get("/authorize", params={**fields, "response_type": "token"})
        direct = await http.get("/authorize", params={"client_id": 'no"body\n\\é', "response_type": "code"})
        unknown = await authorize(http, 'no"body\n\\é')

    told = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert (answer.status_code, told["state"], told["error"]) == (302, ["a b&ä"], ["unsupported_response_type"])
    assert is_one_line(told["error_description"][0])
    assert [is_one_line(each.json()["error_description"]) for each in (direct, unknown)] == [True, True]


@pytest.mark.parametrize(
    ("path", "error", "sent", "answered"),
    [
        ("/token", "invalid_client", 400, 401),
        ("/token", "invalid_client", 401, 401),
        ("/token", "invalid_client", 503, 503),
        ("/token", "invalid_grant", 401, 401),
        ("/token", "invalid_scope", 400, 400),
        ("/authorize", "invalid_client", 400, 400),
    ],
)
async def test_t1_client_that_is_refused_late_is_refused_like_one_that_is_refused_early(
    path: str, error: str, sent: int, answered: int
) -> None:
    """T1: an assertion that another request used first is `invalid_client` with 401, whoever finds it out."""
    app = ErrorDescriptions(JSONResponse({"error": error, "error_description": "x"}, sent))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://a") as http:
        answer = await http.post(path)

    assert (answer.status_code, answer.json()["error"]) == (answered, error)


async def test_f4_answer_without_an_error_stays_as_it_is() -> None:
    """A registration that is accepted and a sign-in that begins are the SDK's, to the byte."""
    async with opened(PROGRAM) as http:
        page = await consent(http)
        registered = await http.post("/register", json={"redirect_uris": [CALLBACK], "client_name": 'a "b"'})

    assert page.status_code == 200
    assert json.loads(registered.content)["client_name"] == 'a "b"'


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (": Invalid JSON: expected value", "Invalid JSON: expected value"),
        ("code: Field required\ncode_verifier: Field required", "code: Field required; code_verifier: Field required"),
        ('a "b" \\ é\t', "a 'b' / ?"),
        (" \n: \r\n x", "x"),
        ("", ""),
    ],
)
def test_f4_one_sentence(text: str, line: str) -> None:
    """Line breaks become semicolons, an empty place goes, and what OAuth does not allow is respelled."""
    assert one_sentence(text) == line
