"""The events of sign-ins: what they contain, and what of a stranger's text never reaches them."""

import contextlib
import json
import time
from typing import Any

import pytest
import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from m365_mcp.auth import sign_in_events
from m365_mcp.auth.sign_in_events import Attempt, SignInLog, clean, host_of, reference_of
from m365_mcp.auth.sign_in_records import SignInRecords
from m365_mcp.errors import ClientSecretExpired, ConsentMissing, StorageUnavailable
from m365_mcp.metrics import Metrics
from m365_mcp.web.sign_in_trail import SignInTrail

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"
OPAQUE = "0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX2yZ3"


class NothingStored:
    """A store of FastMCP without any record."""

    async def get(self, key: str) -> None:
        return None


class Broken:
    """A store of FastMCP that does not answer."""

    async def get(self, key: str) -> None:
        raise StorageUnavailable


async def events_of(answer: Any, method: str, path: str, query: str = "", body: bytes = b"", **headers: str) -> Any:
    """Return the events that one request leaves when the application behind the trail answers with `answer`."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        await request.body()
        if isinstance(answer, Exception):
            raise answer
        await answer(scope, receive, send)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        pass

    store = Broken() if headers.pop("store", "") == "broken" else NothingStored()
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": raw}
    trail = SignInTrail(app, SignInLog(Metrics()), SignInRecords(store, store, store), clock=lambda: 1000.0)
    with structlog.testing.capture_logs() as lines:
        expected = pytest.raises(type(answer)) if isinstance(answer, Exception) else contextlib.nullcontext()
        with expected:
            await trail(scope, receive, send)
    return [line for line in lines if line["event"] == "sign_in"]


def refused(error: str) -> Response:
    return JSONResponse({"error": error, "error_description": f"{JWT} ada@contoso.example"}, 400)


async def test_f5_refused_registration_names_code_client_and_host() -> None:
    """F5: a registration that the SDK refuses is one line with the code of OAuth, the cleaned name and the host."""
    body = {"client_name": "My\u202e  Client\n", "redirect_uris": ["https://evil.example/cb?x=1"], "scope": "openid"}

    [line] = await events_of(
        refused("invalid_client_metadata"),
        "POST",
        "/register",
        body=json.dumps(body).encode(),
        content_type="application/json",
    )

    assert line == {
        "event": "sign_in",
        "log_level": "info",
        "outcome": "refused",
        "step": "register",
        "code": "invalid_client_metadata",
        "client_name": "My Client",
        "redirect_host": "evil.example",
    }


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"redirect_uris": 5, "client_name": {}}', b"[" * 9000, b"\xff"])
async def test_f5_registration_that_is_none_is_still_one_line(body: bytes) -> None:
    """F5: whatever stands in the body of a refused registration, the line is written."""
    [line] = await events_of(
        refused("invalid_client_metadata"), "POST", "/register", body=body, content_type="application/json"
    )

    assert line["outcome"] == "refused"


async def test_f5_accepted_registration_leaves_no_line() -> None:
    """F5: a registration is not a sign-in yet."""
    assert await events_of(JSONResponse({}, 201), "POST", "/register") == []


async def test_f5_begin_has_the_reference_of_the_transaction() -> None:
    """F5: the line of a begin has a hash of the transaction id, never the id."""
    answer = RedirectResponse("https://mcp.example.com/consent?txn_id=the-transaction", 302)
    query = "client_id=https%3A%2F%2Fclaude.ai%2Fmetadata%3Fx&redirect_uri=http%3A%2F%2F127.0.0.1%3A5%2Fcb&state=s3cret"

    [line] = await events_of(answer, "GET", "/authorize", query)

    assert line["outcome"] == "begun"
    assert line["sign_in"] == reference_of("the-transaction")
    assert (line["client_id"], line["redirect_host"]) == ("claude.ai", "127.0.0.1")
    assert "the-transaction" not in str(line)
    assert "s3cret" not in str(line)


async def test_f5_error_that_goes_back_to_the_client_is_a_refusal() -> None:
    """F5: a redirect with `error` is a refusal with that code."""
    answer = RedirectResponse("http://127.0.0.1:5/cb?error=invalid_scope&state=s3cret", 302)

    [line] = await events_of(answer, "GET", "/authorize", "client_id=abc")

    assert (line["outcome"], line["code"], line["client_id"]) == ("refused", "invalid_scope", "abc")


async def test_f5_refresh_is_no_sign_in() -> None:
    """F5: only the redemption of a code leaves a line at the token endpoint."""
    form = {"content_type": "application/x-www-form-urlencoded"}

    assert await events_of(refused("invalid_grant"), "POST", "/token", body=b"grant_type=refresh_token", **form) == []
    [line] = await events_of(refused("invalid_grant"), "POST", "/token", body=b"grant_type=authorization_code", **form)

    assert (line["step"], line["code"]) == ("token", "invalid_grant")


async def test_f5_outage_of_the_store_is_told_and_hides_no_answer() -> None:
    """F5: while the store is away a callback still reaches the application, and the line has its error."""
    [line] = await events_of(StorageUnavailable(), "GET", "/auth/callback", "state=x&code=y", store="broken")

    assert (line["outcome"], line["code"]) == ("refused", "storage_unavailable")
    assert line["sign_in"] == reference_of("x")


async def test_f5_fault_of_this_server_is_a_refusal_too() -> None:
    """F5: an exception that nobody expected is counted, and goes on."""
    [line] = await events_of(RuntimeError("x"), "GET", "/authorize")

    assert line["code"] == "internal_error"


@pytest.mark.parametrize("path", ["/mcp", "/revoke", "/.well-known/oauth-authorization-server", "/"])
async def test_f5_other_addresses_leave_no_line(path: str) -> None:
    """F5: only the endpoints of a sign-in are watched."""
    assert await events_of(refused("invalid_request"), "POST", path) == []


def test_f5_refusal_that_an_administrator_mends_has_the_advice() -> None:
    """F5: the operator reads in the log what the person cannot change; number and duration stand beside it."""
    attempt = Attempt("callback", reference_of("x"), began_at=900.0)

    event = attempt.refused(ConsentMissing(reference="AADSTS90094"), 912.34)

    assert (event.code, event.aadsts, event.seconds) == ("consent_missing", 90094, 12.3)
    assert "Grant admin consent" in str(event.advice)
    assert attempt.refused(StorageUnavailable(reference="not-a-number"), 912.0).aadsts is None
    assert attempt.refused(StorageUnavailable(), 800.0).seconds == 0.0


def test_f5_events_are_counted_by_outcome_and_code() -> None:
    """F5: the counter has the outcome and the code as labels."""
    metrics = Metrics()
    log = SignInLog(metrics)

    log.write(Attempt("authorize").begun())
    log.write(Attempt("callback").refused(ClientSecretExpired(), time.time()))

    count = metrics.registry.get_sample_value
    assert count("m365_mcp_sign_ins_total", {"outcome": "begun", "code": ""}) == 1
    assert count("m365_mcp_sign_ins_total", {"outcome": "refused", "code": "client_secret_expired"}) == 1


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        (None, None),
        ("", None),
        (" \u200b\u202e\n ", None),
        ("Claude", "Claude"),
        ("Claude\u202eevil\x00\r\nsign_in completed", "Claude evil sign_in completed"),
        ("Ada <ada@contoso.example>", "Ada <[address]>"),
        (f"x {JWT}", "x [token]"),
        (OPAQUE, "[opaque]"),
        ("https://a.example/?code=1", "https://a.example/?[query]"),
        ("信箱助理", "信箱助理"),
        ("x" * 10_000, "x" * 59 + "…"),
        ("x" * 50 + " ada@contoso.example", "x" * 50 + " [address]"),
    ],
)
def test_f5_names_are_cleaned(text: str | None, cleaned: str | None) -> None:
    """F5: a name is one short line without what must not reach a log."""
    assert clean(text, sign_in_events.MAX_NAME) == cleaned


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        (None, None),
        ("https://claude.ai/api/mcp/auth_callback?x=1", "claude.ai"),
        ("http://user:pass@[::1]:5/cb", "::1"),
        ("cursor://anysphere.cursor-retrieval/oauth/cb", "anysphere.cursor-retrieval"),
        ("com.example.app:/cb", "com.example.app:"),
        ("http://[broken", None),
        ("nonsense", None),
        ("https://" + "a" * 5000 + "/", "a" * 79 + "…"),
    ],
)
def test_f5_only_the_host_of_a_redirect_uri_stays(uri: str | None, host: str | None) -> None:
    """F5: path, query, port and credentials of a redirect URI reach no event."""
    assert host_of(uri) == host
