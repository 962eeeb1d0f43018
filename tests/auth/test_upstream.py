"""Redeeming Entra's codes: what is sent, and which tokens end the sign-in on a page that says why."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import pytest

from m365_mcp.auth.callbacks import Callbacks, SecondRoundNeeded
from m365_mcp.auth.step_up import StepUps
from m365_mcp.auth.upstream import UpstreamClient
from m365_mcp.entra.client_credential import ClientSecret
from m365_mcp.entra.token_endpoint import TokenEndpoint
from m365_mcp.entra.verifier import EntraTokenVerifier
from m365_mcp.errors import (
    AppRegistrationMistake,
    EntraUnavailable,
    M365Error,
    PersonNotAllowed,
    TokenVersionMistake,
)
from m365_mcp.metrics import Metrics
from m365_mcp.person import PersonId
from tests.auth.test_refreshing import CLAIMS
from tests.backends import make_records
from tests.entra.test_verifier import AUTHORITY, OTHER_KEY, TENANT, token, verifier

__all__ = ["verifier"]  # a fixture
FORM = {"code": "the-code", "redirect_uri": "http://x/cb", "code_verifier": "v", "scope": None, "number": 7}


class Entra:
    """A token endpoint that gives this token, or is away."""

    def __init__(self, access_token: str, status: int = 200) -> None:
        self.answer = httpx2.Response(status, json={"access_token": access_token, "expires_in": 3600, "extra": "kept"})
        self.forms: list[dict[str, str]] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.forms.append(dict(parse_qsl(request.content.decode())))
        return self.answer

    def upstream(self, verifier: EntraTokenVerifier, step_ups: StepUps | None = None) -> UpstreamClient:
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(self))
        endpoint = TokenEndpoint(AUTHORITY, TENANT, "app", ClientSecret("secret"), http, Metrics())
        return UpstreamClient(endpoint, verifier, step_ups or StepUps(make_records()))


async def test_code_is_redeemed_with_what_fastmcp_gives(verifier: EntraTokenVerifier) -> None:
    """Fields without a value are left out, the others are text; the whole answer comes back."""
    good = token()
    entra = Entra(good)
    upstream = entra.upstream(verifier)

    found = await upstream.fetch_token("https://ignored.example/token", **FORM)

    assert found | {"access_token": good, "expires_in": 3600, "extra": "kept"} == found
    assert entra.forms == [
        {
            "grant_type": "authorization_code",
            "code": "the-code",
            "redirect_uri": "http://x/cb",
            "code_verifier": "v",
            "number": "7",
            "client_id": "app",
            "client_secret": "secret",
        }
    ]
    assert upstream.client_secret is None
    assert await upstream.aclose() is None  # type: ignore[func-returns-value]


async def test_code_is_never_redeemed_twice(verifier: EntraTokenVerifier) -> None:
    """Entra takes a code once, so a fault is not repeated."""
    entra = Entra("x", 503)

    with pytest.raises(EntraUnavailable):
        await entra.upstream(verifier).fetch_token("", code="c")
    assert len(entra.forms) == 1


NOT_OURS = "Entra ID's token is not valid for this server: "
REFUSED: list[tuple[dict[str, Any], type[M365Error], str, str]] = [
    ({"ver": "1.0"}, TokenVersionMistake, TokenVersionMistake.sentence, TokenVersionMistake.advice),
    (
        {"tid": "elsewhere", "iss": f"{AUTHORITY}/elsewhere/v2.0"},
        PersonNotAllowed,
        "Accounts of your organisation may not use this server.",
        "Sign in with another account; or the operator adds the tenant's id to AZURE_ALLOWED_TENANTS.",
    ),
    (
        {"nbf": timedelta(seconds=300)},
        AppRegistrationMistake,
        f"{NOT_OURS}not yet valid.",
        "The clock of this server is slow; set it (NTP), then retry.",
    ),
    ({"aud": "another"}, AppRegistrationMistake, f"{NOT_OURS}another audience.", AppRegistrationMistake.advice),
    ({"key": OTHER_KEY}, AppRegistrationMistake, f"{NOT_OURS}wrong signature.", AppRegistrationMistake.advice),
]


@pytest.mark.parametrize(("changes", "kind", "sentence", "advice"), REFUSED)
async def test_token_that_later_steps_would_refuse_ends_the_sign_in(
    verifier: EntraTokenVerifier, changes: dict[str, Any], kind: type[M365Error], sentence: str, advice: str
) -> None:
    """The page says what is wrong, and to whom it falls to change it."""
    with pytest.raises(kind) as caught:
        await Entra(token(**changes)).upstream(verifier).fetch_token("", code="c")
    assert type(caught.value) is kind
    assert (caught.value.sentence, caught.value.advice) == (sentence, advice)


@pytest.mark.parametrize(
    ("changes", "person", "hint"),
    [
        ({"preferred_username": "ada@x.example"}, PersonId(TENANT, "ada"), "ada@x.example"),
        ({"oid": None, "sub": "s"}, PersonId(TENANT, "s"), ""),
        ({"tid": None}, PersonId("", "ada"), ""),
    ],
)
async def test_waiting_challenge_stops_the_sign_in(
    verifier: EntraTokenVerifier, changes: dict[str, Any], person: PersonId, hint: str
) -> None:
    """The callback learns what to ask for and for whom; the challenge is taken."""
    records = make_records()
    step_ups = StepUps(records)
    await step_ups.remember(person, CLAIMS)
    upstream = Entra(token(**changes)).upstream(verifier, step_ups)

    async with Callbacks(records).claim_callback("state") as callback:
        with pytest.raises(SecondRoundNeeded):
            await upstream.fetch_token("", code="c")
        await upstream.fetch_token("", code="c")

    assert callback is not None
    assert callback.second_round is not None
    assert (callback.second_round.claims, callback.second_round.login_hint) == (CLAIMS, hint)


async def test_challenge_outside_a_callback_stops_nothing(verifier: EntraTokenVerifier) -> None:
    """Without a browser there is no second round."""
    step_ups = StepUps(make_records())
    await step_ups.remember(PersonId(TENANT, "ada"), CLAIMS)

    assert await Entra(token()).upstream(verifier, step_ups).fetch_token("", code="c")
