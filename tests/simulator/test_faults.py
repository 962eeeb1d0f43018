"""Faults in-process: where they strike, how often, what the client sees, and what became of the request."""

import asyncio
import time
from typing import Any

import pytest

from m365_simulator import Simulator
from m365_simulator.app import TENANT_ID

from .client import ON_BEHALF_OF, Client, Json, until

SEND = {"method": "POST", "path": "/v1.0/me/sendMail"}


async def arm(client: Client, what: Json, **fault: Any) -> Json:
    """Arm a fault for sendMail, or for what `where` says."""
    return dict(await client.control("POST", "faults", {"where": SEND, "what": what} | fault))


@pytest.mark.parametrize(("when", "sent"), [("before", 0), ("after", 1)])
async def test_fault_says_whether_the_mail_was_sent(client: Client, when: str, sent: int) -> None:
    """The client sees the same failure; only the outbox tells the two cases apart."""
    headers = await client.graph_headers()
    await arm(client, {"status": 504}, when=when)

    response = await client.send(headers)

    assert (response.status_code, response.content) == (504, b"")
    assert len(await client.outbox()) == sent


async def test_scripted_answer_is_sent_as_told(client: Client) -> None:
    """Status, headers and JSON body are those of the fault."""
    headers = await client.graph_headers()
    body = {"error": {"code": "serviceNotAvailable", "message": "Later."}}
    await arm(client, {"status": 503, "headers": {"Retry-After": "3600"}, "body": body})

    response = await client.send(headers)

    assert (response.status_code, response.headers["retry-after"], response.json()) == (503, "3600", body)
    assert response.headers["content-type"].startswith("application/json")


async def test_html_text_and_zipped_answers(client: Client) -> None:
    """A fault may answer with a gateway's page, with a text, and compressed."""
    headers = await client.graph_headers()
    await arm(client, {"status": 200, "html": True})
    await arm(client, {"status": 502, "html": True, "body": "<p>own</p>"})
    await arm(client, {"status": 500, "body": "text", "gzip": True})

    page, own, text = [await client.send(headers) for _ in range(3)]

    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "Bad Gateway" in page.text
    assert own.text == "<p>own</p>"
    assert (text.text, text.headers["content-encoding"]) == ("text", "gzip")


async def test_real_answer_with_a_header_added(client: Client) -> None:
    """Without a status the real answer comes, for instance 202 with Retry-After."""
    headers = await client.graph_headers()
    await arm(client, {"headers": {"Retry-After": "5"}})

    response = await client.send(headers)

    assert (response.status_code, response.headers["retry-after"]) == (202, "5")
    assert len(await client.outbox()) == 1


async def test_skip_and_times(client: Client) -> None:
    """A fault lets some requests pass, strikes some times and is spent."""
    headers = await client.graph_headers()
    await arm(client, {"status": 500}, skip=1, times=2)

    statuses = [(await client.send(headers)).status_code for _ in range(4)]

    assert statuses == [202, 500, 500, 202]
    (view,) = await client.control("GET", "faults")
    assert (view["struck"], view["times_left"], view["skip_left"]) == (2, 0, 0)


async def test_fault_for_ever_until_disarmed(client: Client) -> None:
    """`times: null` strikes until the faults are deleted."""
    headers = await client.graph_headers()
    await arm(client, {"status": 500}, times=None)

    struck = [(await client.send(headers)).status_code for _ in range(3)]
    await client.control("DELETE", "faults")

    assert struck == [500, 500, 500]
    assert (await client.send(headers)).status_code == 202


async def test_fault_for_one_person(client: Client) -> None:
    """A fault may strike one person at every kind of request."""
    ada, grace = await client.graph_headers(), await client.graph_headers("grace@contoso.example")
    tokens = await client.tokens()
    await arm(client, {"status": 500}, where={"person": "ada"}, times=None)

    code = await client.code("grace@contoso.example")

    assert (await client.send(ada)).status_code == 500
    assert (await client.exchange(tokens["access_token"])).status_code == 500
    assert (await client.refresh(tokens["refresh_token"])).status_code == 500
    assert (await client.send(grace)).status_code == 202
    assert (await client.redeem(code)).status_code == 200


async def test_fault_for_one_grant(client: Client) -> None:
    """A fault may strike one grant and leave the others alone."""
    tokens = await client.tokens()
    await arm(client, {"status": 429, "headers": {"Retry-After": "1"}}, where={"grant_type": ON_BEHALF_OF})

    assert (await client.refresh(tokens["refresh_token"])).status_code == 200
    assert (await client.exchange(tokens["access_token"])).status_code == 429
    assert (await client.exchange(tokens["access_token"])).status_code == 200


async def test_fault_on_the_key_set(client: Client) -> None:
    """The path is a glob over the whole Microsoft side."""
    await arm(client, {"status": 503}, where={"path": "*/keys"})

    assert (await client.microsoft.get(f"/{TENANT_ID}/discovery/v2.0/keys")).status_code == 503


async def test_refresh_fault_after_the_effect_keeps_the_new_token_back(client: Client, simulator: Simulator) -> None:
    """After the effect a refresh token exists that the client never saw."""
    old = (await client.tokens())["refresh_token"]
    await arm(client, {"status": 500}, where={"grant_type": "refresh_token"}, when="after")

    await client.refresh(old)

    assert len(simulator.tenant.sign_ins.refresh_tokens) == 2


async def test_delay_waits_and_then_answers(client: Client) -> None:
    """A delay alone leaves the answer as it is."""
    headers = await client.graph_headers()
    await arm(client, {"delay_seconds": 0.2})
    start = time.monotonic()

    response = await client.send(headers)

    assert response.status_code == 202
    assert time.monotonic() - start >= 0.2


@pytest.mark.parametrize(("what", "status"), [({"delay_seconds": 60.0}, 202), ({"stall": True, "status": 200}, 200)])
async def test_stopping_ends_delays_and_stalls(client: Client, simulator: Simulator, what: Json, status: int) -> None:
    """Nothing that a fault holds up outlives the simulator."""
    headers = await client.graph_headers()
    await arm(client, what)

    sending = asyncio.create_task(client.send(headers))
    await until(lambda: simulator.tenant.faults.armed[0].struck == 1)
    simulator.close()

    if "stall" in what:
        with pytest.raises(AssertionError):  # the in-process transport insists on a whole body
            await sending
    else:
        assert (await sending).status_code == status


@pytest.mark.parametrize(("when", "sent"), [("before", 0), ("after", 1)])
async def test_reset_in_process_is_an_error_of_the_transport(client: Client, when: str, sent: int) -> None:
    """Without a socket the reset is raised to the caller."""
    headers = await client.graph_headers()
    await arm(client, {"reset": True}, when=when)

    with pytest.raises(ConnectionResetError):
        await client.send(headers)

    assert len(await client.outbox()) == sent
    assert (await client.control("GET", "requests"))[-1]["status"] is None


@pytest.mark.parametrize(
    "fault",
    [
        {},
        {"what": {"statuss": 500}},
        {"what": {"status": "x"}},
        {"what": {"status": 500}, "when": "during"},
        {"what": {"status": 500}, "where": {"pfad": "*"}},
        {"what": {"status": 500}, "nth": 2},
    ],
)
async def test_misspelt_fault_is_refused(client: Client, fault: Json) -> None:
    """A fault that would not do what its author thinks is refused with advice."""
    response = await client.tester.post("/_control/faults", json=fault)

    assert response.status_code == 400
    assert response.json().keys() == {"code", "sentence", "advice"}
    assert await client.control("GET", "faults") == []


async def test_fault_for_an_unknown_person_is_refused(client: Client) -> None:
    """A person must exist to be struck."""
    response = await client.tester.post(
        "/_control/faults", json={"where": {"person": "charles"}, "what": {"status": 500}}
    )

    assert (response.status_code, response.json()["code"]) == (404, "unknown_person")
