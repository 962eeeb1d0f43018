"""Entra's callback: claimed by one request, explained in our words, and sent back for more proof."""

from __future__ import annotations

import hashlib

import pytest
from starlette.requests import Request

from m365_mcp.auth import callbacks
from m365_mcp.auth.callbacks import MAX_TRIES, Callbacks, SecondRound, explain_refusal
from m365_mcp.auth.step_up import StepUps
from m365_mcp.errors import SignInFailed
from m365_mcp.person import PersonId
from tests.auth.test_sessions import Store

CLAIMS = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'
FIRST_ROUND = "https://login.example.com/t/authorize?client_id=app&scope=a+b&prompt=select_account&state=s#x"
KEY = hashlib.sha256(b"state").hexdigest()


async def test_one_request_at_a_time_has_the_callback() -> None:
    """A second request gets nothing while the first works, and after it when the sign-in is complete."""
    store = Store()
    both = Callbacks(store.records)

    async with both.claim_callback("state") as first, both.claim_callback("state") as second:
        assert first is not None
        assert second is None
        assert callbacks.current.get() is first
        first.is_done = True
    assert callbacks.current.get() is None
    async with both.claim_callback("state") as late, both.claim_callback("another") as other:
        assert late is None
        assert other is not None

    assert store.backend.written[0] == ("m365-returns", KEY, True, 60.0)
    assert (await store.records.read("m365-returns", KEY)).value == {"state": "open", "tries": 1}


@pytest.mark.parametrize("error", [None, ValueError])
async def test_callback_that_was_not_completed_can_come_again(error: type[Exception] | None) -> None:
    """After a fault, or a page that says what to do, the same address works once more."""
    store = Store()
    both = Callbacks(store.records)

    try:
        async with both.claim_callback("state") as first:
            assert first is not None
            assert first.is_done is False
            assert first.second_round is None
            if error:
                raise error
    except ValueError:
        pass
    async with both.claim_callback("state") as again:
        assert again is not None

    assert store.backend.written[1] == ("m365-returns", KEY, True, 900.0)


async def test_h3_one_sign_in_asks_entra_a_few_times_only() -> None:
    """Each callback without success counts, for as long as the sign-in lives; another sign-in is not concerned."""
    store = Store()
    both = Callbacks(store.records)

    for _ in range(MAX_TRIES):
        async with both.claim_callback("state") as tried:
            assert tried is not None
    with pytest.raises(SignInFailed):
        async with both.claim_callback("state"):
            pass
    async with both.claim_callback("another") as other:
        assert other is not None


async def test_callback_counts_as_claimed_only_while_it_is_handled_or_done() -> None:
    """What failed can come again, and what nobody has asked for is not known."""
    both = Callbacks(Store().records)

    before = await both.is_claimed("state")
    async with both.claim_callback("state"):
        during = await both.is_claimed("state")
    failed = await both.is_claimed("state")
    async with both.claim_callback("state") as callback:
        assert callback is not None
        callback.is_done = True
    done = await both.is_claimed("state")

    assert [before, during, failed, done] == [False, True, False, True]


@pytest.mark.parametrize(("hint", "more"), [("ada@x.example", "&login_hint=ada%40x.example"), ("", "")])
def test_second_round_asks_for_more_and_for_no_account(hint: str, more: str) -> None:
    """The address of the first round with the claims, and the person's name in place of the choice of an account."""
    address = SecondRound('{"a":1}', hint).address(FIRST_ROUND)

    assert address == (
        f"https://login.example.com/t/authorize?client_id=app&scope=a+b&state=s&claims=%7B%22a%22%3A1%7D{more}#x"
    )


def request(**query: str) -> Request:
    from urllib.parse import urlencode

    return Request({"type": "http", "path": "/auth/callback", "query_string": urlencode(query).encode(), "headers": []})


def test_answer_without_an_error_stays_as_it_is() -> None:
    """A code is for FastMCP."""
    asked = request(code="c", state="s")

    assert explain_refusal(asked) is asked


KNOWN = [
    "invalid_request",
    "invalid_scope",
    "invalid_resource",
    "invalid_target",
    "unauthorized_client",
    "unsupported_response_type",
    "server_error",
    "temporarily_unavailable",
    "interaction_required",
    "login_required",
    "consent_required",
]


@pytest.mark.parametrize("error", KNOWN)
def test_known_error_keeps_its_name(error: str) -> None:
    """The client gets the name of the standard, and our words."""
    query = explain_refusal(request(error=error, error_description="evil", state="s")).query_params

    assert (query["error"], query["state"]) == (error, "s")
    assert query["error_description"]
    assert "evil" not in query["error_description"]


@pytest.mark.parametrize("error", ["made_up", "ACCESS_DENIED", ""])
def test_unknown_error_is_one_of_the_server(error: str) -> None:
    """A name that anybody can make up becomes a server_error; a missing state stays empty."""
    query = explain_refusal(request(error=error)).query_params

    assert (query["error"], query["state"]) == ("server_error", "")


@pytest.mark.parametrize(
    ("error", "description", "sentence"),
    [
        ("access_denied", "AADSTS65004: declined", "The sign-in was cancelled, or a permission was declined."),
        ("access_denied", "", "The sign-in was cancelled, or a permission was declined."),
        ("invalid_request", "AADSTS50011: The redirect URI", "app_registration_mistake: The app registration"),
        ("invalid_resource", "AADSTS500011: no such resource", "app_registration_mistake: The app registration"),
        ("invalid_request", "AADSTS50105: not assigned", "person_not_allowed: "),
        ("temporarily_unavailable", "", "entra_unavailable: "),
    ],
)
def test_refusal_is_explained_by_its_aadsts_number(error: str, description: str, sentence: str) -> None:
    """The number in the description says what went wrong."""
    query = explain_refusal(request(error=error, error_description=description, state="s")).query_params

    assert sentence in query["error_description"]


async def test_explained_request_can_still_be_read() -> None:
    """Only the query is another; path and body are those of the browser's request."""

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"body", "more_body": False}

    asked = Request({**request(error="access_denied").scope, "root_path": "/x"}, receive)
    explained = explain_refusal(asked)

    assert await explained.body() == b"body"
    assert (explained.scope["path"], explained.scope["root_path"]) == ("/auth/callback", "/x")


async def test_claims_wait_for_the_person_and_are_taken_once() -> None:
    """They are kept for a day, replaced by newer ones, and are nobody else's."""
    store = Store()
    step_ups, ada = StepUps(store.records), PersonId("t", "ada")

    await step_ups.remember(ada, "older")
    await step_ups.remember(ada, CLAIMS)
    await step_ups.remember(ada, None)
    await step_ups.remember(ada, "")

    assert await step_ups.take(PersonId("t", "grace")) is None
    assert await step_ups.take(ada) == CLAIMS
    assert await step_ups.take(ada) is None
    key = hashlib.sha256(b"t/ada").hexdigest()
    assert store.backend.written == [("m365-step-up", key, True, 86400.0)] * 2 + [("m365-step-up", key, False, 0)]


async def test_claims_that_cannot_be_read_are_none() -> None:
    """A record of another encryption key is removed and asks for nothing."""
    store, other, ada = Store(), Store(), PersonId("t", "ada")
    await StepUps(other.records).remember(ada, CLAIMS)
    key = hashlib.sha256(b"t/ada").hexdigest()
    text = await other.backend.get("m365-step-up", key)
    await store.backend.compare_and_swap("m365-step-up", key, None, text, 60)

    assert await StepUps(store.records).take(ada) is None
    assert await store.backend.get("m365-step-up", key) is None
