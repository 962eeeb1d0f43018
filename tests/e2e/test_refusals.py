"""What Microsoft refuses, and what the person or the operator is told; the source's troubleshooting table among it."""

from typing import Any

import httpx2
import pytest

from tests.e2e.person import Assistant, PersonAtBrowser, text_of
from tests.e2e.programs import Server, Simulator

pytestmark = pytest.mark.full

MAIL = {"to": ["grace@contoso.example"], "subject": "Hello", "body": "<p>Hi</p>"}
OBO = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}
SEND = {"path": "/v1.0/me/sendMail"}


def entra_error(code: int, error: str, **more: Any) -> dict[str, Any]:
    """Return an error of the token endpoint as Entra writes it."""
    description = f"AADSTS{code}: something Microsoft says about ada@contoso.example.\r\nTrace ID: x"
    return {"error": error, "error_description": description, "error_codes": [code], **more}


def fail_exchange(simulator: Simulator, status: int, body: dict[str, Any]) -> None:
    simulator.control("POST", "faults", where=OBO, what={"status": status, "body": body}, times=None)


async def refused_send(assistant: Assistant) -> str:
    """Call send_mail and return the error text; the call must fail."""
    result = await assistant.call("send_mail", MAIL)
    assert result.is_error
    return text_of(result)


async def failed_sign_in(assistant: Assistant) -> httpx2.Response:
    """Try to connect and return the error page the browser ends on."""
    with pytest.raises(RuntimeError, match=r"Sign-in did not finish|Please try again in a moment"):
        await assistant.call("get_my_profile")
    return assistant.person.pages[-1]


async def test_missing_admin_consent_is_named_and_granting_it_is_enough(ada: Assistant, simulator: Simulator) -> None:
    """AADSTS65001 says who must click what; afterwards the same client goes on without a new sign-in."""
    assert not (await ada.call("get_my_profile")).is_error
    fail_exchange(simulator, 400, entra_error(65001, "invalid_grant", suberror="consent_required"))
    simulator.control("POST", "keys/roll", emergency=True)  # the Graph token in hand no longer counts

    said = await refused_send(ada)

    assert "consent_missing" in said
    assert "Grant admin consent" in said
    assert "AADSTS65001" in said
    assert simulator.outbox == []


@pytest.mark.parametrize(
    ("status", "body", "code", "advice"),
    [
        (401, entra_error(7000215, "invalid_client"), "client_secret_rejected", "AZURE_CLIENT_SECRET"),
        (401, entra_error(7000222, "invalid_client"), "client_secret_expired", "new client secret"),
        (400, entra_error(500131, "invalid_grant"), "app_registration_mistake", "Application ID URI"),
        (400, entra_error(50076, "interaction_required", claims="{}"), "step_up_needed", "Reconnect"),
        (400, entra_error(50173, "invalid_grant"), "sign_in_needed", "sign in again"),
        (400, entra_error(53003, "interaction_required"), "person_not_allowed", "administrator"),
        (400, entra_error(90002, "invalid_request"), "app_registration_mistake", "AZURE_TENANT_ID"),
        (429, {"error": "temporarily_unavailable"}, "entra_unavailable", "no need to sign in again"),
    ],
    ids=lambda value: value if isinstance(value, str) and "_" in value else "",
)
@pytest.mark.sample(3)
async def test_every_refusal_of_the_exchange_has_its_own_advice(
    ada: Assistant, simulator: Simulator, status: int, body: dict[str, Any], code: str, advice: str
) -> None:
    """The AADSTS code decides what the person reads; Microsoft's own text, which may hold an address, is not shown."""
    fail_exchange(simulator, status, body)

    said = await refused_send(ada)

    assert said.startswith(f"{code}: ")
    assert advice in said
    assert "Nothing was sent." in said
    assert "ada@contoso.example" not in said
    assert simulator.outbox == []


async def test_version_one_tokens_are_explained_at_sign_in(ada: Assistant, simulator: Simulator) -> None:
    """A registration that issues version 1 tokens ends the sign-in on a page that names the manifest setting."""
    simulator.control("PATCH", "app", token_version=1)

    page = await failed_sign_in(ada)

    assert page.status_code == 403
    assert "requestedAccessTokenVersion" in page.text
    assert page.headers["Cache-Control"] == "no-store"


async def test_token_that_would_be_refused_later_ends_on_a_page(ada: Assistant, simulator: Simulator) -> None:
    """A token this server cannot accept is told at sign-in, instead of sending the client round in circles."""
    body = {"token_type": "Bearer", "access_token": "opaque", "refresh_token": "x", "expires_in": 3600}
    where = {"grant_type": "authorization_code"}
    simulator.control("POST", "faults", where=where, what={"status": 200, "body": body})

    page = await failed_sign_in(ada)

    assert "app_registration_mistake" in page.text
    assert "not a token of Entra ID" in page.text


async def test_rejected_client_secret_is_explained_at_sign_in(ada: Assistant, simulator: Simulator) -> None:
    """AADSTS7000215 while redeeming the code shows the operator's mistake, not Microsoft's text."""
    simulator.control("PATCH", "app", secrets=[{"value": "another~secret"}])

    page = await failed_sign_in(ada)

    assert "AZURE_CLIENT_SECRET" in page.text
    assert "AADSTS7000215" in page.text
    assert "Trace ID" not in page.text


async def test_entra_out_of_order_at_sign_in_asks_to_try_again(ada: Assistant, simulator: Simulator) -> None:
    """A fault of Entra while redeeming the code is a 503 page with Retry-After, and reloading it goes on."""
    where = {"grant_type": "authorization_code"}
    simulator.control("POST", "faults", where=where, what={"status": 503, "html": True})

    page = await failed_sign_in(ada)

    assert (page.status_code, "Retry-After" in page.headers) == (503, True)
    async with ada.person.open() as browser:
        for earlier in ada.person.pages:
            browser.cookies.update(earlier.cookies)
        again = await browser.get(str(page.url))
    assert again.status_code == 302


@pytest.mark.parametrize("status", [403, 404])
async def test_g27_account_without_a_mailbox_is_told_about_the_licence(
    server: Server, simulator: Simulator, status: int
) -> None:
    """No Exchange Online licence is explained, whether Graph says 404 or, as the source saw, 403."""
    simulator.control("PATCH", "switches", unlicensed_status=status)
    linus = Assistant(server.url, PersonAtBrowser(simulator.ready["ca_file"], "linus@contoso.example"))

    said = await refused_send(linus)

    assert said.startswith("mailbox_missing: ")
    assert "Exchange Online licence" in said
    profile = await linus.call("get_my_profile")
    assert profile.structured_content["mail"] is None


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ({"status": 400, "body": {"error": {"code": "ErrorInvalidRecipients", "message": "x"}}}, "message_refused"),
        ({"status": 403, "body": {"error": {"code": "ErrorAccessDenied", "message": "x"}}}, "permission_missing"),
        ({"status": 413, "body": None}, "message_too_large"),
        ({"status": 429, "headers": {"Retry-After": "17"}, "body": None}, "throttled"),
    ],
    ids=["recipients", "permission", "size", "throttled"],
)
async def test_h5_h10_refusal_of_graph_says_that_nothing_was_sent(
    signed_in_ada: Assistant, simulator: Simulator, what: dict[str, Any], code: str
) -> None:
    """A clear no of Graph is reported as not sent, and tried once only."""
    simulator.control("POST", "faults", where=SEND, what=what)

    said = await refused_send(signed_in_ada)

    assert said.startswith(f"{code}: ")
    assert "Nothing was sent." in said
    assert ("Retry after 17 seconds" in said) is (code == "throttled")
    assert simulator.count(**SEND) == 1
    assert simulator.outbox == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "what",
    [
        {"status": 500, "body": None},
        {"status": 503, "body": {"error": {"code": "ErrorServerBusy", "message": "x"}}},
        {"status": 504, "html": True},
        {"reset": True},
        {"status": 200, "html": True},
        {"status": 202, "headers": {"Retry-After": "5"}},
    ],
    ids=["500", "503", "504", "reset", "html", "202-retry-after"],
)
@pytest.mark.sample(4)
async def test_h3_h4_unclear_answer_is_reported_as_unknown_and_never_repeated(
    signed_in_ada: Assistant, simulator: Simulator, what: dict[str, Any], when: str
) -> None:
    """Whether or not Graph took the message, the person is told that it is not known, and one request was made."""
    simulator.control("POST", "faults", where=SEND, what=what, when=when)

    said = await refused_send(signed_in_ada)

    assert said.startswith("outcome_unknown: ")
    assert "Sent Items" in said
    assert "Nothing was sent." not in said
    assert simulator.count(**SEND) == 1
    assert len(simulator.outbox) == (1 if when == "after" else 0)


async def test_h9_rejected_graph_token_is_exchanged_anew_once(signed_in_ada: Assistant, simulator: Simulator) -> None:
    """H9: a 401 of Graph costs one new exchange, and the mail is sent once."""
    body = {"error": {"code": "InvalidAuthenticationToken", "message": "x"}}
    simulator.control("POST", "faults", where=SEND, what={"status": 401, "body": body})

    result = await signed_in_ada.call("send_mail", MAIL)

    assert not result.is_error, text_of(result)
    assert simulator.count(**OBO) == 1
    assert len(simulator.outbox) == 1


async def test_profile_rides_out_a_passing_fault(signed_in_ada: Assistant, simulator: Simulator) -> None:
    """A read is repeated when Graph has a moment of weakness."""
    where = {"path": "/v1.0/me"}
    simulator.control("POST", "faults", where=where, what={"status": 503, "body": None}, times=2)

    result = await signed_in_ada.call("get_my_profile")

    assert not result.is_error, text_of(result)
    assert simulator.count(**where) == 3


async def test_retry_after_of_an_hour_does_not_hang(ada: Assistant, simulator: Simulator) -> None:
    """A wait that does not fit the call is passed on to the caller instead of being waited."""
    what = {"status": 429, "headers": {"Retry-After": "3600"}, "body": {"error": "temporarily_unavailable"}}
    simulator.control("POST", "faults", where=OBO, what=what, times=None)

    said = await refused_send(ada)

    assert "Retry after 3600 seconds" in said
    assert simulator.count(**OBO) == 1


async def test_f12_throttled_exchange_is_tried_once_more_at_most(ada: Assistant, simulator: Simulator) -> None:
    """F12: 429 with a wait the call can afford is waited out once; twice, and the caller is told how long to wait."""
    what = {"status": 429, "headers": {"Retry-After": "2"}, "body": {"error": "temporarily_unavailable"}}
    simulator.control("POST", "faults", where=OBO, what=what, times=2)

    said = await refused_send(ada)
    asked = simulator.count(**OBO)
    result = await ada.call("send_mail", MAIL)

    assert "Retry after 2 seconds" in said
    assert asked == 2
    assert not result.is_error, text_of(result)
    assert len(simulator.outbox) == 1
