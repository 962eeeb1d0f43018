"""The exchange: shared, cached, renewed in time, and independent of calls that are cancelled."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest

from m365_mcp.entra.client_credential import ClientSecret
from m365_mcp.entra.on_behalf_of import EARLY_SECONDS, MAX_PEOPLE, Caller, GraphTokenCache, OnBehalfOf, RejectedTokens
from m365_mcp.entra.token_endpoint import TokenEndpoint
from m365_mcp.errors import AssertionRefused, ConsentMissing, StorageUnavailable
from m365_mcp.metrics import Metrics
from m365_mcp.person import PersonId
from m365_mcp.storage.leases import Leases
from m365_mcp.storage.records import Records
from tests.backends import OneByOne, make_records

SCOPES = ("https://graph.microsoft.com/Mail.Send", "https://graph.microsoft.com/User.Read")


class Entra:
    """A token endpoint over an in-process transport that counts, and that can be held back."""

    def __init__(self) -> None:
        self.forms: list[str] = []
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.refuse = False
        self.dead = ""
        self.now = 1000.0
        self.records = make_records()

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.forms.append(request.content.decode())
        self.asked.set()
        await self.go_on.wait()
        if self.dead and self.dead in request.content.decode():
            return httpx2.Response(400, json={"error": "invalid_grant", "error_codes": [500133]})
        if self.refuse:
            return httpx2.Response(400, json={"error": "invalid_grant", "suberror": "consent_required"})
        return httpx2.Response(200, json={"access_token": f"graph-{len(self.forms)}", "expires_in": 3600})

    def exchanger(self, records: Records | None = None, max_people: int = MAX_PEOPLE) -> Values:
        """Return a replica; all share one store."""
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(self))
        endpoint = TokenEndpoint("https://login.example.com", "t", "app", ClientSecret("secret"), http, Metrics())
        shared = records or self.records
        return Values(
            endpoint,
            SCOPES,
            shared=GraphTokenCache(shared),
            leases=Leases(shared),
            metrics=endpoint.metrics,
            clock=lambda: self.now,
            max_people=max_people,
        )


class Values(OnBehalfOf):
    """An exchange whose tokens are looked at by their value."""

    async def value(self, *asked: Any) -> str:
        return (await self.graph_token(*asked)).value


def caller(name: str = "ada", assertion: str = "assertion") -> Caller:
    return Caller(PersonId("tenant", name), assertion)


async def test_one_exchange_requests_both_scopes() -> None:
    """The form is the documented one, with both Graph scopes at once."""
    entra = Entra()

    await entra.exchanger().value(caller())

    [form] = entra.forms
    assert "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer" in form
    assert "requested_token_use=on_behalf_of" in form
    assert "scope=https%3A%2F%2Fgraph.microsoft.com%2FMail.Send+https%3A%2F%2Fgraph.microsoft.com%2FUser.Read" in form


async def test_simultaneous_first_calls_of_one_person_share_one_exchange() -> None:
    """Fifty calls of one person cost one exchange; another person has a token of their own."""
    entra = Entra()
    exchanger = entra.exchanger()

    tokens = await asyncio.gather(*(exchanger.value(caller()) for _ in range(50)))
    other = await exchanger.value(caller("grace"))

    assert len(entra.forms) == 2
    assert set(tokens) == {"graph-1"}
    assert other == "graph-2"


async def test_two_clients_of_one_person_share_the_token() -> None:
    """A second assertion of the same person needs no second exchange."""
    entra = Entra()
    exchanger = entra.exchanger()

    first = await exchanger.value(caller(assertion="one"))
    second = await exchanger.value(caller(assertion="two"))

    assert first == second


async def test_token_is_renewed_before_it_expires() -> None:
    """A token is renewed five minutes before it expires."""
    entra = Entra()
    exchanger = entra.exchanger()
    await exchanger.value(caller())

    entra.now += 3600 - EARLY_SECONDS - 1
    assert await exchanger.value(caller()) == "graph-1"
    entra.now += 2
    assert await exchanger.value(caller()) == "graph-2"


async def test_cancelled_call_does_not_stop_the_others() -> None:
    """If the first of two waiting calls is cancelled, the second still gets the token."""
    entra = Entra()
    entra.go_on.clear()
    exchanger = entra.exchanger()
    first = asyncio.create_task(exchanger.value(caller()))
    second = asyncio.create_task(exchanger.value(caller()))
    await entra.asked.wait()

    first.cancel()
    entra.go_on.set()

    assert await second == "graph-1"
    assert len(entra.forms) == 1
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_failure_reaches_all_waiting_calls_and_is_not_cached() -> None:
    """A refusal reaches every waiting call, and the next call exchanges again."""
    entra = Entra()
    entra.refuse = True
    exchanger = entra.exchanger()

    results = await asyncio.gather(*(exchanger.value(caller()) for _ in range(3)), return_exceptions=True)
    entra.refuse = False

    assert [type(result) for result in results] == [ConsentMissing] * 3
    assert await exchanger.value(caller()) == "graph-2"


async def test_ended_sign_in_of_one_client_does_not_affect_the_other() -> None:
    """While Entra refuses the assertion of one client of a person, the other client's call gets its token."""
    entra = Entra()
    entra.dead = "assertion-of-one"
    entra.go_on.clear()
    exchanger = entra.exchanger()
    one = asyncio.create_task(exchanger.value(caller(assertion="assertion-of-one")))
    await entra.asked.wait()
    other = asyncio.create_task(exchanger.value(caller(assertion="assertion-of-another")))
    await asyncio.sleep(0)

    entra.go_on.set()

    assert await other == "graph-2"
    with pytest.raises(AssertionRefused):
        await one


async def test_token_that_graph_refused_is_never_returned_again() -> None:
    """A refusal costs one exchange; a late call with the same refusal gets the new token."""
    entra = Entra()
    exchanger = entra.exchanger()
    old = await exchanger.value(caller())

    new = await exchanger.value(caller(), RejectedTokens((old,)))
    late = await exchanger.value(caller(), RejectedTokens((old,)))

    assert new == late == await exchanger.value(caller()) == "graph-2"


async def test_after_two_refusals_an_exchange_is_made() -> None:
    """The token that another replica stored is tried; if Graph refuses it too, it is not returned again."""
    entra = Entra()
    one, two = entra.exchanger(), entra.exchanger()
    old = await one.value(caller())
    entra.now += 3600
    left = await two.value(caller())

    assert await one.value(caller(), RejectedTokens((old,))) == left == "graph-2"
    assert await one.value(caller(), RejectedTokens((old, left))) == "graph-3"


async def test_claims_of_a_challenge_go_into_the_exchange() -> None:
    """The exchange holds Graph's claims and the capability to handle challenges."""
    entra = Entra()
    exchanger = entra.exchanger()
    challenge = '{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}'

    await exchanger.value(caller(), RejectedTokens(("old",), challenge))

    claims = json.loads(parse_qs(entra.forms[0])["claims"][0])
    assert claims == {
        "access_token": {"nbf": {"essential": True, "value": "1604106651"}, "xms_cc": {"values": ["cp1"]}}
    }


async def test_replicas_share_the_token() -> None:
    """Another replica and a restarted one find the encrypted token in the store."""
    entra = Entra()

    first = await entra.exchanger().value(caller())
    others = await asyncio.gather(*(entra.exchanger().value(caller()) for _ in range(3)))

    assert set(others) == {first}
    assert len(entra.forms) == 1


async def test_simultaneous_calls_on_replicas_share_one_exchange() -> None:
    """One person's calls on three cold replicas cost one exchange."""
    entra = Entra()
    replicas = [entra.exchanger() for _ in range(3)]

    tokens = await asyncio.gather(*(replica.value(caller()) for replica in replicas for _ in range(10)))

    assert set(tokens) == {"graph-1"}
    assert len(entra.forms) == 1


async def test_unavailable_store_costs_an_exchange_and_fails_no_call() -> None:
    """Without the store a replica still gets its token, and caches it."""
    entra = Entra()
    exchanger = entra.exchanger(Records(BrokenBackend(), make_records()._cipher))

    assert await exchanger.value(caller()) == await exchanger.value(caller()) == "graph-1"


class BrokenBackend(OneByOne):
    """A store that does not respond."""

    async def get(self, collection: str, key: str) -> str | None:
        raise StorageUnavailable

    async def compare_and_swap(
        self, collection: str, key: str, old: str | None, new: str | None, seconds: float
    ) -> bool:
        raise StorageUnavailable

    async def keys(self, collection: str) -> AsyncIterator[str]:
        raise StorageUnavailable
        yield ""


async def test_memory_is_bounded_and_eviction_costs_a_read_of_the_store() -> None:
    """Beyond the limit, the token of the longest idle person is evicted here and read from the store."""
    entra = Entra()
    exchanger = entra.exchanger(max_people=3)

    for number in range(4):
        await exchanger.value(caller(str(number)))

    assert len(exchanger._tokens) == 3
    assert await exchanger.value(caller("0")) == "graph-1"
    assert len(entra.forms) == 4
    assert entra.exchanger()._tokens.maxsize == MAX_PEOPLE


def test_secrets_stay_out_of_representations() -> None:
    """An assertion never shows in a repr, and so in no log or traceback."""
    assert "hush" not in repr(caller(assertion="hush"))
