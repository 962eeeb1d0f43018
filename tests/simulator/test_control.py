"""The control plane: what it shows, what it changes, what it refuses."""

from typing import Any

import pytest

from m365_simulator import Simulator
from m365_simulator.app import CLIENT_ID, CLIENT_SECRET, TENANT_ID
from m365_simulator.sign_ins import Consent

from .client import API_SCOPE, MAIL_SEND, REDIRECT_URI, VERIFIER, Client, mail


async def test_state_shows_the_tenant(client: Client) -> None:
    """The state names people, app, consents, switches, keys and clock, and no secret."""
    await client.tokens()

    response = await client.tester.get("/_control/state")

    state = response.json()
    assert [person["name"] for person in state["people"]] == ["ada", "grace", "linus", "marie"]
    assert (state["app"]["client_id"], state["app"]["scope"]) == (CLIENT_ID, API_SCOPE)
    assert {"person": "ada", "tenant_id": TENANT_ID, "admin": False, "scope": MAIL_SEND} in state["consents"]
    assert state["switches"]["unlicensed_status"] == 404
    assert state["clock"] == {"offset_seconds": 0.0, "now": 1_800_000_000.0}
    assert CLIENT_SECRET not in response.text


async def test_request_log_tells_names_and_no_secrets(client: Client) -> None:
    """Each request is noted with grant, person, way of authentication and field names; secrets and tokens are not."""
    code = await client.code()
    tokens = (await client.redeem(code)).json()
    graph = (await client.exchange(tokens["access_token"])).json()["access_token"]
    await client.send({"Authorization": f"Bearer {graph}"})
    await client.microsoft.post("/x", data={"grant_type": "a"}, auth=("b", "c"))

    response = await client.tester.get("/_control/requests")

    records = response.json()
    redeemed, exchanged, sent, odd = records[-4:]
    assert (redeemed["grant_type"], redeemed["person"], redeemed["client_auth"]) == (
        "authorization_code",
        "ada",
        "body",
    )
    assert set(redeemed["fields"]) > {"code", "code_verifier", "scope"}
    assert (exchanged["person"], exchanged["status"]) == ("ada", 200)
    assert (sent["method"], sent["path"], sent["status"]) == ("POST", "/v1.0/me/sendMail", 202)
    assert sent["client_auth"] == "bearer"
    assert sent["user_agent"].startswith("python-httpx2/")
    assert odd["client_auth"] == "basic"
    for hidden in (code, VERIFIER, CLIENT_SECRET, tokens["access_token"], tokens["refresh_token"], graph):
        assert hidden not in response.text


async def test_request_log_can_be_cleared(client: Client) -> None:
    """Deleting forgets the requests so far."""
    await client.authorize(resource="https://mcp.contoso.example/mcp")
    (record,) = await client.control("GET", "requests")

    await client.control("DELETE", "requests")

    assert record["resource"] == "https://mcp.contoso.example/mcp"
    assert record["status"] == 302
    assert await client.control("GET", "requests") == []


async def test_struck_requests_name_the_fault(client: Client) -> None:
    """The log shows the status that the client saw, and which fault it was."""
    fault = await client.control("POST", "faults", {"what": {"status": 503}})

    await client.authorize()

    (record,) = await client.control("GET", "requests")
    assert (record["status"], record["fault"]) == (503, fault["id"])


async def test_consents_of_a_person_and_of_the_administrator(client: Client, simulator: Simulator) -> None:
    """Both kinds are granted and withdrawn separately."""
    both = {"scopes": [MAIL_SEND]}
    await client.control("POST", "consents", both | {"admin": True})
    await client.control("POST", "consents", both | {"person": "ada"})

    await client.control("DELETE", "consents", both | {"admin": True})

    assert simulator.tenant.sign_ins.consents == {Consent(TENANT_ID, MAIL_SEND, "ada")}
    assert simulator.tenant.sign_ins.missing_consents(simulator.tenant.people["grace"], (MAIL_SEND,)) == (MAIL_SEND,)


async def test_people_can_be_changed(client: Client) -> None:
    """A licence given to Linus lets him send."""
    await client.control("PATCH", "people/linus", {"licensed": True, "mail": "linus@contoso.example"})

    assert (await client.send(await client.graph_headers("linus@contoso.example"))).status_code == 202


async def test_people_can_be_added_until_the_reset(client: Client) -> None:
    """A new person signs in and sends; the same name twice is refused; a reset forgets it."""
    eve = await client.control("POST", "people", {"name": "eve"})

    sent = await client.send(await client.graph_headers("eve@contoso.example"))
    again = await client.tester.post("/_control/people", json={"name": "eve"})
    state = await client.control("POST", "reset")

    assert (eve["display_name"], eve["mail"], sent.status_code) == ("Eve", "eve@contoso.example", 202)
    assert (again.status_code, again.json()["code"]) == (400, "person_exists")
    assert "eve" not in [person["name"] for person in state["people"]]


async def test_people_answer_to_all_their_names(client: Client, simulator: Simulator) -> None:
    """The control plane takes a sign-in name wherever it takes a handle."""
    await client.control("PATCH", "people/grace@contoso.example", {"enabled": False})
    fault = await client.control(
        "POST", "faults", {"where": {"person": "ada@contoso.example"}, "what": {"status": 500}}
    )

    assert simulator.tenant.people["grace"].enabled is False
    assert fault["fault"]["where"]["person"] == "ada"


async def test_app_can_be_changed(client: Client) -> None:
    """Redirect URIs and scope name are replaced as a whole."""
    app = await client.control(
        "PATCH", "app", {"redirect_uris": ["https://mcp.contoso.example/cb"], "scope_name": "use"}
    )

    assert app["redirect_uris"] == ["https://mcp.contoso.example/cb"]
    assert app["scope"] == f"api://{CLIENT_ID}/use"
    assert "AADSTS50011" in (await client.authorize(redirect_uri=REDIRECT_URI)).text


async def test_clock_is_set(client: Client, simulator: Simulator) -> None:
    """The offset moves the time of tokens and mail."""
    answer = await client.control("PATCH", "clock", {"offset_seconds": -3600})

    assert answer == {"offset_seconds": -3600.0, "now": 1_799_996_400.0}
    assert simulator.tenant.clock.now() == 1_799_996_400.0


async def test_reset_puts_everything_back(client: Client) -> None:
    """After a reset nobody is signed in, nothing was sent, and every change is undone."""
    headers = await client.graph_headers()
    await client.send(headers)
    await client.control("PATCH", "people/ada", {"licensed": False})
    await client.control("PATCH", "app", {"token_version": 1})
    await client.control("PATCH", "clock", {"offset_seconds": 5})
    await client.control("PATCH", "switches", {"send_seconds": 1})
    await client.control("POST", "send-as", {"person": "ada", "address": "team@contoso.example"})
    draft = await client.draft(await client.mail_headers("grace@contoso.example"))
    await client.control("POST", "faults", {"what": {"status": 500}})

    state = await client.control("POST", "reset")

    assert await client.outbox() == []
    assert await client.control("GET", "faults") == []
    assert (state["consents"], state["clock"]["offset_seconds"], state["app"]["token_version"]) == ([], 0.0, 2)
    assert (state["people"][0]["licensed"], state["switches"]["send_seconds"]) == (True, 0.0)
    assert (state["send_as"], state["upload_sessions"]) == ([], 0)
    grace = await client.mail_headers("grace@contoso.example")
    assert (await client.graph("GET", f"me/messages/{draft['id']}", grace)).status_code == 404
    assert (await client.send(headers)).status_code == 401


async def test_reset_can_keep_saved_sign_ins(client: Client) -> None:
    """A token of a saved sign-in works after such a reset; a later revocation, and mail, are undone."""
    headers = await client.graph_headers()
    await client.control("POST", "sign-ins", {"name": "ada"})
    await client.send(headers)
    await client.control("PATCH", "people/ada", {"revoked": True})
    assert (await client.send(headers)).status_code == 401

    await client.control("POST", "reset?sign_ins=ada")

    assert await client.outbox() == []
    assert (await client.send(headers)).status_code == 202


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "status"),
    [
        ("POST", "reset?sign_ins=nobody", {}, "unknown_sign_ins", 404),
        ("PATCH", "people/charles", {}, "unknown_person", 404),
        ("PATCH", "people/ada", {"licence": True}, "bad_change", 400),
        ("PATCH", "people/ada", {"licensed": "yes"}, "bad_change", 400),
        ("PATCH", "app", {"token_version": 3}, "bad_change", 400),
        ("PATCH", "app", {"expires_in": 0}, "bad_change", 400),
        ("PATCH", "app", {"redirect_uris": ["http://mcp.contoso.example/cb"]}, "bad_change", 400),
        ("PATCH", "app", {"redirect_uris": ["https://[::1]/cb"]}, "bad_change", 400),
        ("PATCH", "app", {"redirect_uris": ["/cb"]}, "bad_change", 400),
        ("PATCH", "app", {"redirect_uris": ["https://contoso.example/" + "x" * 256]}, "bad_change", 400),
        ("PATCH", "switches", {"nonsense": True}, "unknown_switch", 400),
        ("PATCH", "switches", {"unlicensed_status": 500}, "bad_change", 400),
        ("POST", "consents", {"scopes": [MAIL_SEND]}, "bad_change", 400),
        ("POST", "consents", {"scopes": [MAIL_SEND], "person": "ada", "admin": True}, "bad_change", 400),
        ("POST", "consents", {"scopes": [MAIL_SEND], "person": "ada", "domain": "contoso.example"}, "bad_change", 400),
        ("POST", "consents", {"scopes": [MAIL_SEND], "admin": True, "domain": "x.example"}, "unknown_tenant", 404),
        ("POST", "consents", {"scopes": ["api://x/y"], "person": "ada"}, "unknown_scope", 400),
        ("POST", "consents", {"scopes": [MAIL_SEND], "person": "charles"}, "unknown_person", 404),
        ("PATCH", "clock", {}, "bad_change", 400),
        ("POST", "people", {"name": "Eve Smith"}, "bad_change", 400),
        ("POST", "people", {"name": "eve", "domain": "nowhere.example"}, "unknown_tenant", 404),
        ("POST", "tenants", {"domain": "fabrikam.example"}, "tenant_exists", 400),
        ("POST", "tenants", {"domain": "Fabrikam"}, "bad_change", 400),
        ("POST", "keys/roll", {"now": True}, "bad_change", 400),
        ("PATCH", "people/ada", [], "bad_change", 400),
    ],
)
async def test_wrong_change_is_refused_with_advice(
    client: Client, method: str, path: str, body: Any, code: str, status: int
) -> None:
    """What is misspelt or impossible changes nothing and says what to do."""
    before = await client.control("GET", "state")

    response = await client.tester.request(method, f"/_control/{path}", json=body)

    answer = response.json()
    assert (response.status_code, answer["code"]) == (status, code)
    assert answer["sentence"]
    assert answer["advice"]
    assert await client.control("GET", "state") == before


async def test_body_that_is_no_json_is_refused(client: Client) -> None:
    """A text that is no JSON is named as such."""
    response = await client.tester.patch("/_control/clock", content=b"{")

    assert (response.status_code, response.json()["code"]) == (400, "not_json")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "127.0.0.1:8444"}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "[::1]:8444"}, 200),
        ({"Host": "evil.example:8444"}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "http://127.0.0.1:8444"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
async def test_foreign_pages_are_kept_out(client: Client, headers: dict[str, str], status: int) -> None:
    """Other host names (DNS rebinding) and other origins are refused."""
    assert (await client.tester.get("/_control/state", headers=headers)).status_code == status


async def test_outbox_is_newest_last(client: Client) -> None:
    """Messages are listed in the order in which they were sent."""
    headers = await client.graph_headers()
    for subject in ("first", "second"):
        await client.send(headers, mail(subject=subject))

    assert [message["subject"] for message in await client.outbox()] == ["first", "second"]
