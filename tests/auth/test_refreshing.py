"""Refreshing Entra's tokens of a session: when, how often, and what an outage or a refusal of Entra means."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import jwt
import pytest
from structlog.testing import capture_logs

from m365_mcp.auth.session import Session, Upstream
from m365_mcp.auth.session_refresher import (
    BUDGET_SECONDS,
    EARLY_SECONDS,
    MAX_PAUSES,
    PAUSE_SECONDS,
    WAIT_SECONDS,
    SessionRefresher,
)
from m365_mcp.auth.sessions import Sessions
from m365_mcp.auth.sign_in_ending import Grant, ends_session
from m365_mcp.auth.step_up import StepUps
from m365_mcp.entra.client_credential import ClientSecret
from m365_mcp.entra.decipher import decipher
from m365_mcp.entra.signing_keys import SigningKeys
from m365_mcp.entra.token_endpoint import TokenEndpoint
from m365_mcp.entra.verifier import EntraTokenVerifier, TokenRequirements
from m365_mcp.errors import (
    AdministratorNeeded,
    AppRegistrationMistake,
    EntraUnavailable,
    M365Error,
    SignInNeeded,
    StorageUnavailable,
)
from m365_mcp.metrics import Metrics
from m365_mcp.person import PersonId
from m365_mcp.storage.leases import Leases
from m365_mcp.storage.records import Versioned
from tests.auth.test_session import GRACE, session
from tests.backends import make_records

ISSUER = "https://login.example.com/t/v2.0"
NOW = 2_000_000_000.0  # of our clock; what Entra has signed is good until long after
CLAIMS = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'


def token(number: int, **changes: Any) -> str:
    """Return a token of this Entra, which gives its keys to nobody: only the claims are looked at."""
    good = {"iss": ISSUER, "aud": "app", "tid": "t", "oid": "ada", "sub": "s", "scp": "mcp-access", "ver": "2.0"}
    times = {"iat": 1_000_000_000, "nbf": 1_000_000_000, "exp": 4_000_000_000, "jti": str(number)}
    return jwt.encode({**good, **times, **changes}, "a key that nobody else has, of 32 bytes", "HS256")


@dataclass
class Entra:
    """A token endpoint that gives the tokens 1, 2, 3, or answers as it is told; it can be held back."""

    answer: Callable[[], httpx2.Response] | None = None

    def __post_init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()
        self.go_on.set()

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/keys"):
            return httpx2.Response(503)
        self.forms.append(dict(parse_qsl(request.content.decode())))
        self.paths.append(request.url.path)
        self.asked.set()
        await self.go_on.wait()
        if self.answer is not None:
            return self.answer()
        number = len(self.forms)
        found = {"access_token": token(number), "refresh_token": f"refresh-{number}", "expires_in": 3600}
        return httpx2.Response(200, json=found)


@dataclass
class World:
    """Replicas that share a store, and one Entra."""

    entra: Entra
    http: httpx2.AsyncClient

    def __post_init__(self) -> None:
        self.records = make_records()
        self.now = NOW

    def replica(self) -> SessionRefresher:
        metrics = Metrics()
        requirements = TokenRequirements("https://login.example.com", ("app",), ("t",), "mcp-access")
        keys = SigningKeys("https://login.example.com/t/discovery/v2.0/keys", self.http)
        return SessionRefresher(
            Sessions(self.records, metrics, GRACE, lambda: self.now),
            Leases(self.records),
            TokenEndpoint("https://login.example.com", "common", "app", ClientSecret("secret"), self.http, metrics),
            EntraTokenVerifier(requirements, keys),
            StepUps(self.records),
            "the-scope",
        )

    async def begin(self, left: float, **changes: Any) -> Session:
        """Begin a session whose assertion is good for so many seconds."""
        upstream = {"access_token": token(0), "refresh_token": "refresh-0", "expires_at": NOW + left, **changes}
        begun = session(upstream=Upstream.model_validate(upstream), started_at=NOW)
        begun = begun.model_copy(update={"pairs": (begun.current.model_copy(update={"at": int(NOW)}),)})
        assert await self.replica().sessions.begin("code", begun) is not None
        return begun

    async def stored(self) -> Session | None:
        return await self.replica().sessions.find("s1")


@asynccontextmanager
async def world(answer: Callable[[], httpx2.Response] | None = None) -> AsyncIterator[World]:
    entra = Entra(answer)
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(entra)) as http:
        yield World(entra, http)


def refusing(status: int, **body: Any) -> Callable[[], httpx2.Response]:
    return lambda: httpx2.Response(status, json=body, headers={"Retry-After": "99"})


DOWN = refusing(503)
ENDED = refusing(400, error="invalid_grant", error_codes=[50173])
STEP_UP = refusing(400, error="interaction_required", error_codes=[50076], claims=CLAIMS)


def test_times_are_the_documented_ones() -> None:
    """Five minutes early, three seconds of waiting, five of pause, and eleven for a whole refresh."""
    assert (EARLY_SECONDS, WAIT_SECONDS, PAUSE_SECONDS, MAX_PAUSES) == (300.0, 3.0, 5.0, 10_000)
    assert BUDGET_SECONDS == 11.0


@pytest.mark.parametrize("left", [EARLY_SECONDS + 1, 3600.0])
async def test_assertion_that_outlasts_a_call_is_kept(left: float) -> None:
    """Nothing is asked while there are more than five minutes left."""
    async with world() as one:
        begun = await one.begin(left)

        assert await one.replica().fresh(begun) == begun
    assert one.entra.forms == []


@pytest.mark.parametrize("left", [EARLY_SECONDS, 1.0, 0.0, -3600.0])
async def test_assertion_is_renewed_in_time(left: float) -> None:
    """The refresh is made at the person's own tenant with our scope, and its tokens are stored."""
    async with world() as one:
        begun = await one.begin(left)
        found = await one.replica().fresh(begun)

        assert (
            found
            == await one.stored()
            == begun.renewed(Upstream(access_token=token(1), refresh_token="refresh-1", expires_at=NOW + 3600))
        )
    assert one.entra.paths == ["/t/oauth2/v2.0/token"]
    [form] = one.entra.forms
    assert (form["grant_type"], form["refresh_token"], form["scope"]) == ("refresh_token", "refresh-0", "the-scope")
    assert (form["client_id"], form["client_secret"]) == ("app", "secret")


@pytest.mark.parametrize(("left", "goes_on"), [(EARLY_SECONDS, True), (1.0, True), (0.0, False), (-1.0, False)])
async def test_session_without_a_refresh_token_lives_as_long_as_its_assertion(left: float, goes_on: bool) -> None:
    """Nothing can be asked of Entra, so the person signs in when the assertion has expired."""
    async with world() as one:
        begun = await one.begin(left, refresh_token=None)
        found = await one.replica().fresh(begun)
        with contextlib.nullcontext() if goes_on else pytest.raises(SignInNeeded):
            assert await one.replica().new_pair("s1", 1) is not None

    assert found == (begun if goes_on else None)
    assert one.entra.forms == []


async def test_entra_may_keep_the_refresh_token() -> None:
    """A reply without a refresh token leaves the one that we have."""
    async with world(lambda: httpx2.Response(200, json={"access_token": token(7), "expires_in": 60})) as one:
        found = await one.replica().fresh(await one.begin(0))

    assert found is not None
    assert found.upstream == Upstream(access_token=token(7), refresh_token="refresh-0", expires_at=NOW + 60)


@pytest.mark.parametrize("left", [60.0, 0.5])
async def test_early_refresh_that_fails_delays_no_call_for_a_while(left: float) -> None:
    """In an outage a call goes on with its assertion, and for five seconds no other call asks Entra."""
    async with world(DOWN) as one:
        begun, replica = await one.begin(left), one.replica()
        found = [await replica.fresh(begun) for _ in range(3)]
        asked = len(one.entra.forms)
        replica._failures.clear()
        one.entra.answer = None
        renewed = await replica.fresh(begun)

    assert found == [begun] * 3
    assert asked == 1
    assert renewed is not None
    assert renewed.upstream.access_token == token(2)


async def test_expired_assertion_waits_for_entra_and_says_why_it_cannot() -> None:
    """Without a valid assertion the outage is an error, also for the next call, which does not ask again."""
    async with world(DOWN) as one:
        begun, replica = await one.begin(0), one.replica()
        errors = []
        for _ in range(2):
            with pytest.raises(EntraUnavailable) as caught:
                await replica.fresh(begun)
            errors.append(caught.value)

    assert len(one.entra.forms) == 1
    assert errors[0] is errors[1]
    assert errors[0].status == 503


@pytest.mark.parametrize("left", [60.0, 0.0])
@pytest.mark.parametrize("answer", [ENDED, STEP_UP])
async def test_sign_in_that_microsoft_has_ended_ends_the_session(
    answer: Callable[[], httpx2.Response], left: float
) -> None:
    """The session is gone for all replicas, and is counted with the reason; a claims challenge waits for the person."""
    async with world(answer) as one:
        begun, replica = await one.begin(left), one.replica()
        found = await replica.fresh(begun)
        claims = await replica.step_ups.take(PersonId("t", "ada"))
        reason = "step_up" if answer is STEP_UP else "ended_by_microsoft"

        assert await one.stored() is None
    assert found is None
    assert claims == (CLAIMS if answer is STEP_UP else None)
    assert replica.sessions.metrics.sessions_ended.labels(reason)._value.get() == 1


@pytest.mark.parametrize("left", [60.0, 0.0])
@pytest.mark.parametrize("number", [50173, 50057, 500341, 50132, 50133, 700082, 70008, 70043, 54005, 50076, 50079])
async def test_f3_refusal_that_a_new_sign_in_changes_ends_the_session_and_says_why(number: int, left: float) -> None:
    """F3: revoked, disabled, deleted, a new password, too old, used, and more proof: the number reaches the client."""
    async with world(refusing(400, error="invalid_grant", error_codes=[number])) as one:
        begun, replica = await one.begin(left), one.replica()
        with capture_logs() as lines, pytest.raises(SignInNeeded) as caught:
            await replica.new_pair("s1", 1)
        called = await replica.fresh(begun)

        assert await one.stored() is None
    assert caught.value.reference == f"AADSTS{number}"
    assert called is None
    assert [(line["event"], line["aadsts"]) for line in lines] == [("session_ended", number)]


# Consent, policies, devices, risk, assignment, guests, the app registration, and numbers that nobody knows.
KEEPING = [65001, 90094, 90095, 53003, 53000, 50097, 530032, 53004, 50105, 50020, 500212, 700016, 7000215, 9999991]


@pytest.mark.parametrize("number", KEEPING)
async def test_f3_refusal_that_no_sign_in_changes_keeps_the_session(number: int) -> None:
    """F3: while the assertion is valid the session goes on with it; the log has the number and what to change."""
    async with world(refusing(400, error="invalid_grant", error_codes=[number])) as one:
        begun, replica = await one.begin(60), one.replica()
        with capture_logs() as lines:
            pair = await replica.new_pair("s1", 1)

        assert await replica.fresh(begun) == begun
        assert (await one.stored()) is not None
    assert pair is not None
    assert pair[0].upstream == begun.upstream
    [line] = lines
    assert (line["event"], line["aadsts"]) == ("refresh_refused", number)
    assert line["advice"]


@pytest.mark.parametrize("number", KEEPING)
@pytest.mark.sample(4)
async def test_f3_refusal_that_no_sign_in_changes_is_named_and_passes_with_its_reason(number: int) -> None:
    """F3: with an expired assertion a call and a refresh hear the number; afterwards the same refresh token works."""
    async with world(refusing(400, error="invalid_grant", error_codes=[number])) as one:
        begun, replica = await one.begin(0), one.replica()
        for work in (lambda: replica.fresh(begun), lambda: replica.new_pair("s1", 1)):
            with pytest.raises(AdministratorNeeded) as caught:
                await work()
            assert caught.value.reference == f"AADSTS{number}"
        assert await one.stored() == begun
        one.entra.answer = None
        replica._failures.clear()

        assert await replica.new_pair("s1", 1) is not None


@pytest.mark.parametrize(
    ("grant", "number", "claims", "ends"),
    [
        ("refresh_token", 50076, None, True),
        ("on_behalf_of", 50076, None, False),
        ("on_behalf_of", 50076, CLAIMS, True),
        *((grant, number, CLAIMS, True) for grant in ("refresh_token", "on_behalf_of") for number in (50173, 50057)),
        *((grant, number, CLAIMS, False) for grant in ("refresh_token", "on_behalf_of") for number in KEEPING),
    ],
)
def test_f3_one_decision_for_refresh_and_exchange(grant: Grant, number: int, claims: str | None, ends: bool) -> None:
    """F3: the two differ only where Graph asks for more proof without a challenge for the next sign-in."""
    refusal = decipher(400, {"error": "invalid_grant", "error_codes": [number], "claims": claims})

    assert ends_session(refusal, grant) is ends


async def test_many_calls_share_one_refresh() -> None:
    """Calls on two replicas at once cost one request, and all have the same tokens; one that leaves disturbs none."""
    async with world() as one:
        begun = await one.begin(0)
        replicas = [one.replica(), one.replica()]
        one.entra.go_on.clear()
        calls = [asyncio.create_task(replica.renew(begun)) for replica in replicas for _ in range(3)]
        await one.entra.asked.wait()
        calls[0].cancel()
        one.entra.go_on.set()
        found = await asyncio.gather(*calls, return_exceptions=True)

    assert len(one.entra.forms) == 1
    assert isinstance(found[0], asyncio.CancelledError)
    assert {one.upstream.access_token for one in found[1:] if isinstance(one, Session)} == {token(1)}
    assert all(isinstance(one, Session) for one in found[1:])
    assert all(replica._running == {} for replica in replicas)


async def test_session_that_is_gone_is_not_refreshed() -> None:
    """A session that ended meanwhile is none, and Entra is not asked."""
    async with world() as one:
        begun = await one.begin(0)
        await one.replica().sessions.end("s1", "by_client")

        assert await one.replica().renew(begun) is None
        assert await one.replica().new_pair("s1", 1) is None
    assert one.entra.forms == []


async def test_newer_assertion_is_used_without_a_refresh() -> None:
    """Only a session that still has the refused assertion is refreshed."""
    async with world() as one:
        begun, replica = await one.begin(3600), one.replica()
        same = await replica.renew_from(begun, "an older one")
        newer = await replica.renew_from(begun, token(0))

    assert same == begun
    assert newer is not None
    assert newer.upstream.access_token == token(1)
    assert len(one.entra.forms) == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"tid": "another"}, "another tenant"), ({"scp": "another"}, "scope missing"), ({"idtyp": "app"}, "an app-only")],
)
async def test_refreshed_token_that_is_not_for_us_is_the_operators_mistake(
    changes: dict[str, str], reason: str
) -> None:
    """The reason is named, the old tokens stay, and the client may try again."""
    wrong = {"access_token": token(1, **changes), "refresh_token": "r", "expires_in": 60}
    async with world(lambda: httpx2.Response(200, json=wrong)) as one:
        begun = await one.begin(0)
        with pytest.raises(AppRegistrationMistake, match=f"Entra ID's token is not valid for this server: {reason}"):
            await one.replica().fresh(begun)

        assert await one.stored() == begun


async def test_pair_is_confirmed_by_entra_and_repeated_without_it() -> None:
    """A new pair comes with a refresh at Entra; the repeat of its request returns the same pair and asks nobody."""
    async with world() as one:
        await one.begin(3600)
        replica = one.replica()
        first, again = await replica.new_pair("s1", 1), await replica.new_pair("s1", 1)
        one.now += GRACE + 1
        late = await replica.new_pair("s1", 1)

        assert await one.stored() is None
    assert first is not None
    assert again is not None
    assert first[1] == again[1]
    assert first[1].number == 2
    assert first[0].upstream == Upstream(access_token=token(1), refresh_token="refresh-1", expires_at=NOW + 3600)
    assert late is None
    assert len(one.entra.forms) == 1
    refreshes = replica.sessions.metrics.refreshes
    assert [refreshes.labels(kind)._value.get() for kind in ("new", "replayed")] == [1, 1]
    assert replica.sessions.metrics.sessions_ended.labels("refresh_token_reused")._value.get() == 1


async def test_client_is_admitted_once_the_session_is_known_to_live() -> None:
    """What the request has to store first is stored before Entra is asked, and for no session that has ended."""
    async with world() as one:
        await one.begin(3600)
        replica, admitted = one.replica(), list[int]()

        async def admit() -> None:
            admitted.append(len(one.entra.forms))

        async def refuse() -> None:
            raise LookupError

        with pytest.raises(LookupError):
            await replica.new_pair("s1", 1, refuse)
        pair = await replica.new_pair("s1", 1, admit)
        assert not await replica.leases.is_held("session.s1")
        await replica.sessions.end("s1", "by_client")

        assert await replica.new_pair("s1", 1, admit) is None
    assert pair is not None
    assert pair[1].number == 2
    assert admitted == [0]
    assert len(one.entra.forms) == 1


@pytest.mark.parametrize("left", [60.0, 0.5])
async def test_outage_refuses_no_pair_while_the_assertion_is_valid(left: float) -> None:
    """Entra cannot confirm, so the valid assertion is enough; calls and pairs then leave Entra alone for a while."""
    async with world(DOWN) as one:
        begun, replica = await one.begin(left), one.replica()
        pairs = [await replica.new_pair("s1", number) for number in (1, 2)]
        called = await replica.fresh(begun)

    assert [pair and (pair[1].number, pair[0].upstream) for pair in pairs] == [(2, begun.upstream), (3, begun.upstream)]
    assert called == begun
    assert len(one.entra.forms) == 1


async def test_outage_gives_no_pair_after_the_assertion_has_expired() -> None:
    """The client hears 503 and may use its token again; the session stays as it is."""
    async with world(DOWN) as one:
        begun, replica = await one.begin(0), one.replica()
        with pytest.raises(EntraUnavailable):
            await replica.new_pair("s1", 1)
        with pytest.raises(EntraUnavailable):
            await replica.new_pair("s1", 1)

        assert await one.stored() == begun
    assert len(one.entra.forms) == 1


@pytest.mark.parametrize("way", ["call", "pair"])
async def test_slow_entra_delays_nobody_whose_assertion_is_valid(way: str) -> None:
    """After the wait the call goes on; the next one does not wait again, and the refresh goes on by itself."""
    async with world() as one:
        begun, replica = await one.begin(60), replace(one.replica(), wait_seconds=0.02)
        one.entra.go_on.clear()
        for number in (1, 2):
            if way == "call":
                assert await replica.fresh(begun) == begun
            else:
                pair = await replica.new_pair("s1", number)
                assert pair is not None
                assert pair[0].upstream == begun.upstream
        async with asyncio.timeout(5):  # shorter than a refresh may take
            with pytest.raises(EntraUnavailable):
                await replica.renew(begun)
        asked = len(one.entra.forms)
        one.entra.go_on.set()

    assert asked == 1


@pytest.mark.parametrize("way", ["call", "pair"])
async def test_slow_entra_is_waited_for_when_the_assertion_has_expired(way: str) -> None:
    """There is nothing to go on with, so the short wait does not count."""
    async with world() as one:
        begun, replica = await one.begin(0), replace(one.replica(), wait_seconds=0.0)
        one.entra.go_on.clear()
        work = replica.fresh(begun) if way == "call" else replica.new_pair("s1", 1)
        waiting = asyncio.ensure_future(work)
        await one.entra.asked.wait()
        await asyncio.sleep(0.02)
        one.entra.go_on.set()

        assert await waiting is not None
        stored = await one.stored()
    assert stored is not None
    assert stored.upstream.access_token == token(1)


async def test_failure_of_a_pair_is_remembered_as_it_is() -> None:
    """The next client of the session hears the same reason, and Entra is not asked again."""
    wrong = {"access_token": token(1, scp="another"), "refresh_token": "r", "expires_in": 60}
    async with world(lambda: httpx2.Response(200, json=wrong)) as one:
        await one.begin(0)
        replica = one.replica()
        for _ in range(2):
            with pytest.raises(AppRegistrationMistake):
                await replica.new_pair("s1", 1)
    assert len(one.entra.forms) == 1


async def test_session_without_a_refresh_token_has_none_to_send() -> None:
    """A refused assertion of such a session is asked for all the same, and Entra's answer decides."""
    async with world(ENDED) as one:
        begun = await one.begin(3600, refresh_token=None)

        assert await one.replica().renew_from(begun, token(0)) is None
    assert "refresh_token" not in one.entra.forms[0]


class Silent(Leases):
    """Leases that another replica never gives back."""

    @asynccontextmanager
    async def hold_record(self, name: str, address: tuple[str, str], wait_seconds: float) -> AsyncIterator[Versioned]:
        self.asked = (name, wait_seconds)
        raise TimeoutError
        yield


async def test_refresh_of_another_replica_that_never_ends_is_an_outage() -> None:
    """Whoever waits in vain for the lease of the session hears 503, and goes on while the assertion is valid."""
    async with world() as one:
        leases = Silent(one.records)
        replica = replace(one.replica(), leases=leases)
        begun = await one.begin(60)
        errors: list[M365Error] = []
        for _ in range(2):
            with pytest.raises(EntraUnavailable) as caught:
                await replica.renew(begun)
            errors.append(caught.value)
        with pytest.raises(EntraUnavailable):
            await replica.new_pair("s1", 1)

        assert await replica.fresh(begun) == begun
    assert errors[0] is errors[1]
    assert leases.asked == ("session.s1", BUDGET_SECONDS)
    assert one.entra.forms == []


async def test_lease_of_the_session_is_held_during_the_refresh() -> None:
    """Both ways to refresh hold the same lease while Entra is asked."""
    async with world() as one:
        begun, replica = await one.begin(0), one.replica()
        held = []
        for work in (replica.renew(begun), replica.new_pair("s1", 1)):
            one.entra.asked.clear()
            one.entra.go_on.clear()
            running = asyncio.ensure_future(work)
            await one.entra.asked.wait()
            held.append(await replica.leases.is_held("session.s1"))
            one.entra.go_on.set()
            await running

        assert not await replica.leases.is_held("session.s1")
    assert held == [True, True]


async def test_store_that_fails_is_an_outage_of_the_refresh() -> None:
    """A store without an answer is an error of its own kind, remembered for the pause."""

    class Broken(Leases):
        @asynccontextmanager
        async def hold_record(
            self, name: str, address: tuple[str, str], wait_seconds: float
        ) -> AsyncIterator[Versioned]:
            raise StorageUnavailable
            yield

    async with world() as one:
        begun = await one.begin(0)
        replica = replace(one.replica(), leases=Broken(one.records))
        for _ in range(2):
            with pytest.raises(StorageUnavailable):
                await replica.renew(begun)
    assert one.entra.forms == []


def test_no_token_shows_in_a_representation() -> None:
    """What runs and what failed stays out of the repr of a refresher."""
    fields = SessionRefresher.__dataclass_fields__

    assert [name for name, field in fields.items() if not field.repr] == ["_running", "_endings", "_failures"]
    assert [name for name, field in fields.items() if not field.init] == ["_running", "_endings", "_failures"]
