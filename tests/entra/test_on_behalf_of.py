"""The exchange: shared, remembered, renewed in time, and never taken away by somebody who hangs up."""

import asyncio

import httpx2
import pytest

from m365_mcp.entra.client_credential import ClientSecret
from m365_mcp.entra.on_behalf_of import EARLY_SECONDS, MAX_PEOPLE, Caller, OnBehalfOf
from m365_mcp.entra.token_endpoint import TokenEndpoint
from m365_mcp.metrics import Metrics
from m365_mcp.refusals import ConsentMissing

SCOPES = ("https://graph.microsoft.com/Mail.Send", "https://graph.microsoft.com/User.Read")


class Entra:
    """A token endpoint over an in-process transport that counts, and that can be held back."""

    def __init__(self) -> None:
        self.forms: list[str] = []
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.refuse = False
        self.now = 1000.0

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.forms.append(request.content.decode())
        self.asked.set()
        await self.go_on.wait()
        if self.refuse:
            return httpx2.Response(400, json={"error": "invalid_grant", "suberror": "consent_required"})
        return httpx2.Response(200, json={"access_token": f"graph-{len(self.forms)}", "expires_in": 3600})

    def exchanger(self) -> OnBehalfOf:
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(self))
        endpoint = TokenEndpoint("https://login.example.com/token", "app", ClientSecret("secret"), http, Metrics())
        return OnBehalfOf(endpoint, SCOPES, clock=lambda: self.now)


def caller(name: str = "ada", assertion: str = "assertion") -> Caller:
    return Caller("tenant", name, assertion)


async def test_one_exchange_asks_for_both_scopes() -> None:
    """The form is the documented one, with both Graph scopes at once."""
    entra = Entra()

    await entra.exchanger().graph_token(caller())

    [form] = entra.forms
    assert "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer" in form
    assert "requested_token_use=on_behalf_of" in form
    assert "scope=https%3A%2F%2Fgraph.microsoft.com%2FMail.Send+https%3A%2F%2Fgraph.microsoft.com%2FUser.Read" in form


async def test_simultaneous_first_calls_share_one_exchange_and_people_do_not() -> None:
    """Fifty calls of one person cost one exchange; another person has a token of their own."""
    entra = Entra()
    exchanger = entra.exchanger()

    tokens = await asyncio.gather(*(exchanger.graph_token(caller()) for _ in range(50)))
    other = await exchanger.graph_token(caller("grace"))

    assert len(entra.forms) == 2
    assert set(tokens) == {"graph-1"}
    assert other == "graph-2"


async def test_two_clients_of_one_person_share_the_token() -> None:
    """A second assertion of the same person needs no second exchange."""
    entra = Entra()
    exchanger = entra.exchanger()

    first = await exchanger.graph_token(caller(assertion="one"))
    second = await exchanger.graph_token(caller(assertion="two"))

    assert first == second


async def test_token_is_renewed_before_it_ends() -> None:
    """Five minutes before its end a token is replaced."""
    entra = Entra()
    exchanger = entra.exchanger()
    await exchanger.graph_token(caller())

    entra.now += 3600 - EARLY_SECONDS - 1
    assert await exchanger.graph_token(caller()) == "graph-1"
    entra.now += 2
    assert await exchanger.graph_token(caller()) == "graph-2"


async def test_caller_who_hangs_up_does_not_stop_the_others() -> None:
    """Cancelling the first of two waiting calls leaves the exchange to the second."""
    entra = Entra()
    entra.go_on.clear()
    exchanger = entra.exchanger()
    first = asyncio.create_task(exchanger.graph_token(caller()))
    second = asyncio.create_task(exchanger.graph_token(caller()))
    await entra.asked.wait()

    first.cancel()
    entra.go_on.set()

    assert await second == "graph-1"
    assert len(entra.forms) == 1
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_failure_is_told_to_all_and_remembered_by_none() -> None:
    """A refusal reaches every waiting call, and the next call asks again."""
    entra = Entra()
    entra.refuse = True
    exchanger = entra.exchanger()

    results = await asyncio.gather(*(exchanger.graph_token(caller()) for _ in range(3)), return_exceptions=True)
    entra.refuse = False

    assert [type(result) for result in results] == [ConsentMissing] * 3
    assert await exchanger.graph_token(caller()) == "graph-2"


async def test_rejected_token_is_dropped_but_its_successor_is_not() -> None:
    """A late rejection of the old token does not cost the new one."""
    entra = Entra()
    exchanger = entra.exchanger()
    old = await exchanger.graph_token(caller())
    exchanger.forget(caller(), old)
    new = await exchanger.graph_token(caller())

    exchanger.forget(caller(), old)

    assert await exchanger.graph_token(caller()) == new == "graph-2"


async def test_memory_is_bounded_and_forgetting_costs_an_exchange_only() -> None:
    """Of more people than fit, the longest idle one is forgotten and simply exchanged anew."""
    entra = Entra()
    exchanger = entra.exchanger()

    for number in range(MAX_PEOPLE + 1):
        await exchanger.graph_token(caller(str(number)))

    assert await exchanger.graph_token(caller(str(MAX_PEOPLE))) == f"graph-{MAX_PEOPLE + 1}"
    assert await exchanger.graph_token(caller("0")) == f"graph-{MAX_PEOPLE + 2}"


def test_secrets_stay_out_of_representations() -> None:
    """An assertion never shows in a repr, and so in no log or traceback."""
    assert "hush" not in repr(caller(assertion="hush"))
