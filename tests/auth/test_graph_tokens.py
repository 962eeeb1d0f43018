"""Graph tokens for signed-in people: when an assertion is refreshed for one, and when the sign-in ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx2
import pytest

from m365_mcp.auth.graph_token_provider import GraphTokenProvider
from m365_mcp.auth.session import Session
from m365_mcp.auth.session_endings import BY_CLIENT
from m365_mcp.auth.sessions import Sessions
from m365_mcp.entra.on_behalf_of import Caller, GraphTokenCache, OnBehalfOf, RejectedTokens
from m365_mcp.errors import (
    AssertionRefused,
    ConsentMissing,
    EntraUnavailable,
    SignInNeeded,
    StepUpNeeded,
    StorageUnavailable,
)
from m365_mcp.person import PersonId
from tests.auth.test_refreshing import CLAIMS, NOW, Entra, World, token

ADA = PersonId("t", "ada")
EXCHANGE = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def refusal(**body: Any) -> httpx2.Response:
    return httpx2.Response(400, json={"error": "invalid_grant", **body})


BAD_ASSERTION = refusal(error_codes=[500133])
REVOKED = refusal(error_codes=[50173])
STEP_UP = refusal(error="interaction_required", error_codes=[50076])
STEP_UP_WITH_CLAIMS = refusal(error="interaction_required", error_codes=[50076], claims=CLAIMS)
CONSENT = refusal(error_codes=[65001], suberror="consent_required")


@dataclass
class Exchanging(Entra):
    """An Entra that refuses these exchanges in turn, and then gives Graph tokens named after the assertion."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.refusals: list[httpx2.Response] = []
        self.assertions: list[str] = []

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().__call__(request)
        form = self.forms[-1] if self.forms else {}
        if request.url.path.endswith("/keys") or form["grant_type"] != EXCHANGE:
            return response
        self.assertions.append(form["assertion"])
        if self.refusals:
            return self.refusals.pop(0)
        return httpx2.Response(200, json={"access_token": f"graph-{len(self.assertions)}", "expires_in": 3600})


@dataclass
class Tokens(World):
    """A provider of Graph tokens, and what Entra and the store say."""

    entra: Exchanging

    def provider(self) -> GraphTokenProvider:
        refresher = self.replica()
        exchange = OnBehalfOf(
            refresher.endpoint,
            ("Mail.Send",),
            shared=GraphTokenCache(self.records),
            leases=refresher.leases,
            metrics=refresher.sessions.metrics,
            clock=lambda: self.now,
        )
        return GraphTokenProvider(exchange, refresher)


@asynccontextmanager
async def world(*refusals: httpx2.Response) -> AsyncIterator[Tokens]:
    entra = Exchanging()
    entra.refusals = list(refusals)
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(entra)) as http:
        yield Tokens(entra, http)


def caller(session: Session) -> Caller:
    return Caller(session.person, session.upstream.access_token, session.id)


async def test_upload_has_the_person_of_its_session() -> None:
    """A request without an access token gets person and assertion from the session, refreshed in time."""
    async with world() as one:
        begun, provider = await one.begin(3600), one.provider()
        found = await provider.caller("s1")
        one.now += 3500
        later = await provider.caller("s1")
        await provider.refresher.sessions.end("s1", "by_client")
        with pytest.raises(SignInNeeded):
            await provider.caller("s1")

    assert found == Caller(ADA, token(0), "s1") == caller(begun)
    assert later == Caller(ADA, token(1), "s1")


async def test_session_that_cannot_be_refreshed_has_no_caller() -> None:
    """An expired assertion without a refresh token needs a new sign-in."""
    async with world() as one:
        await one.begin(0, refresh_token=None)
        with pytest.raises(SignInNeeded):
            await one.provider().caller("s1")


async def test_token_is_exchanged_and_a_refused_one_is_replaced() -> None:
    """A token that Graph has refused does not come again."""
    async with world() as one:
        asking, provider = caller(await one.begin(3600)), one.provider()
        first, again = await provider.token(asking), await provider.token(asking)
        other = await provider.token(asking, RejectedTokens((first.value,)))

    assert (first.value, again.value, other.value) == ("graph-1", "graph-1", "graph-2")
    assert one.entra.assertions == [token(0)] * 2


async def test_refused_assertion_is_refreshed_once() -> None:
    """An assertion that expired on the way is renewed, and the exchange is made with the new one."""
    async with world(BAD_ASSERTION) as one:
        provider = one.provider()
        found = await provider.token(caller(await one.begin(3600)), RejectedTokens(("graph-0",)))
        stored = await one.stored()

    assert found.value == "graph-2"
    assert one.entra.assertions == [token(0), token(2)]
    assert stored is not None
    assert stored.upstream.access_token == token(2)


async def test_assertion_that_another_call_has_renewed_is_used() -> None:
    """When the session already has a newer assertion, Entra is not asked for another."""
    async with world(BAD_ASSERTION) as one:
        begun = await one.begin(3600)
        found = await one.provider().token(Caller(ADA, "an older assertion", begun.id))

    assert found.value == "graph-2"
    assert one.entra.assertions == ["an older assertion", token(0)]


async def test_fresh_assertion_that_is_refused_is_an_outage() -> None:
    """Entra has just renewed the sign-in, so a new sign-in would not help, and the session stays."""
    async with world(BAD_ASSERTION, BAD_ASSERTION) as one:
        with pytest.raises(EntraUnavailable):
            await one.provider().token(caller(await one.begin(3600)))

        assert await one.stored() is not None


@pytest.mark.parametrize(("session_id", "sentence"), [("s1", BY_CLIENT), ("nobody", AssertionRefused.sentence)])
async def test_f2_refused_assertion_of_an_ended_session_needs_a_sign_in(session_id: str, sentence: str) -> None:
    """Without a session there is nothing to renew, and the call hears why it has ended, where that is known."""
    async with world(BAD_ASSERTION) as one:
        begun, provider = await one.begin(3600), one.provider()
        await provider.refresher.sessions.end("s1", "by_client")
        with pytest.raises(SignInNeeded) as caught:
            await provider.token(Caller(ADA, begun.upstream.access_token, session_id))

    assert caught.value.sentence == sentence


async def test_f2_call_whose_refresh_is_refused_says_what_the_refresh_was_told() -> None:
    """Entra refuses the assertion and then its refresh: the call and an upload name the number of the refresh."""
    async with world(BAD_ASSERTION) as one:
        begun, provider = await one.begin(3600), one.provider()
        one.entra.answer = lambda: REVOKED
        with pytest.raises(SignInNeeded) as called:
            await provider.token(caller(begun))
        with pytest.raises(SignInNeeded) as uploaded:
            await provider.caller("s1")

    assert called.value.reference == uploaded.value.reference == "AADSTS50173"
    assert called.value.explain() == uploaded.value.explain()


@pytest.mark.parametrize(
    ("answer", "reason", "claims"),
    [(REVOKED, "ended_by_microsoft", None), (STEP_UP_WITH_CLAIMS, "step_up", CLAIMS)],
    ids=["revoked", "more proof"],
)
async def test_sign_in_that_microsoft_has_ended_ends_the_session(
    answer: httpx2.Response, reason: str, claims: str | None
) -> None:
    """The call fails, the next request of the client is a 401, and a challenge waits for the sign-in."""
    async with world(answer) as one:
        provider = one.provider()
        with pytest.raises(SignInNeeded):
            await provider.token(caller(await one.begin(3600)))
        ended = provider.refresher.sessions.metrics.sessions_ended.labels(reason)._value.get()

        assert await one.stored() is None
        assert await provider.refresher.step_ups.take(ADA) == claims
    assert ended == 1


async def test_challenge_of_graph_stands_in_for_the_one_that_entra_does_not_name() -> None:
    """Entra asks for more proof without saying which; Graph has said which, so the next sign-in asks for that."""
    async with world(STEP_UP) as one:
        provider = one.provider()
        with pytest.raises(StepUpNeeded):
            await provider.token(caller(await one.begin(3600)), RejectedTokens(("graph-0",), CLAIMS))

        assert await one.stored() is None
        assert await provider.refresher.step_ups.take(ADA) == CLAIMS


@pytest.mark.parametrize("refused", [None, RejectedTokens(("graph-0",))])
async def test_more_proof_without_a_challenge_ends_nothing(refused: RejectedTokens | None) -> None:
    """A new sign-in would be refused in the same way, so the session stays."""
    async with world(STEP_UP) as one:
        begun = await one.begin(3600)
        with pytest.raises(StepUpNeeded):
            await one.provider().token(caller(begun), refused)

        assert await one.stored() == begun


async def test_refusal_that_is_not_about_the_sign_in_ends_nothing() -> None:
    """Missing consent is told to the person, who stays signed in."""
    async with world(CONSENT) as one:
        begun = await one.begin(3600)
        with pytest.raises(ConsentMissing):
            await one.provider().token(caller(begun))

        assert await one.stored() == begun


async def test_outage_of_the_store_hides_no_refusal() -> None:
    """The session cannot be ended now, and the caller hears why there is no token; an unknown session is no error."""

    class Broken(Sessions):
        async def find(self, session_id: str) -> Session | None:
            raise StorageUnavailable

    async with world() as one:
        begun, provider = await one.begin(3600), one.provider()
        await provider.end_sign_in(Caller(ADA, "", "nobody"), SignInNeeded())
        broken = Broken(one.records, provider.refresher.sessions.metrics, 30.0, lambda: NOW)
        without = GraphTokenProvider(provider.on_behalf_of, replace(provider.refresher, sessions=broken))
        await without.end_sign_in(caller(begun), SignInNeeded())

        assert await one.stored() == begun
