"""The line that every sign-in leaves in the log, with real requests against a server and the simulator."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.e2e.grants import grant_of, post_mcp, refresh, start_server
from tests.e2e.person import Assistant, PersonAtBrowser, direct_client
from tests.e2e.programs import Server, Simulator
from tests.e2e.test_refusals import entra_error, fail_exchange, failed_sign_in, refused_send

pytestmark = pytest.mark.full

CLIENT_URI = "http://127.0.0.1:7777/callback"
# Kinds of refusals at the callback: Entra's `error`, the AADSTS number, our code.
CALLBACKS = [
    ("access_denied", 50105, "person_not_allowed"),
    ("interaction_required", 50158, "step_up_needed"),
    ("access_denied", 53003, "person_not_allowed"),
    ("access_denied", 53000, "person_not_allowed"),
    ("interaction_required", 50076, "step_up_needed"),
    ("access_denied", 50079, "step_up_needed"),
    ("consent_required", 65001, "consent_missing"),
    ("access_denied", 65001, "consent_missing"),
    ("access_denied", 65004, "person_declined"),
    ("access_denied", None, "person_declined"),
    ("access_denied", 90094, "consent_missing"),
    ("access_denied", 90093, "consent_missing"),
    ("access_denied", 90095, "consent_missing"),
    ("invalid_target", 9010010, "microsoft_refused"),
    ("unauthorized_client", 700016, "app_registration_mistake"),
    ("invalid_client", 650053, "app_registration_mistake"),
    ("invalid_client", 650052, "app_registration_mistake"),
    ("access_denied", 650056, "app_registration_mistake"),
    ("invalid_request", 50011, "app_registration_mistake"),
    ("access_denied", 500113, "app_registration_mistake"),
    ("access_denied", 50020, "person_not_allowed"),
    ("access_denied", 50034, "person_not_allowed"),
    ("login_required", 50058, "sign_in_needed"),
    ("server_error", 50000, "entra_unavailable"),
    ("temporarily_unavailable", 90033, "entra_unavailable"),
    ("invalid_client", 9999999, "microsoft_refused"),
    ("teapot", None, "microsoft_refused"),
]


def lines_of(server: Server) -> list[dict[str, Any]]:
    """Return the events of sign-ins in the log of a server."""
    found = [json.loads(line) for line in server.log.splitlines() if '"sign_in"' in line]
    return [line for line in found if line["event"] == "sign_in"]


async def register(http: httpx2.AsyncClient, server: Server, *uris: str, **more: Any) -> httpx2.Response:
    body = {"client_name": "Test client", "token_endpoint_auth_method": "none", "redirect_uris": list(uris), **more}
    return await http.post(f"{server.url}/register", json=body)


async def authorize(http: httpx2.AsyncClient, server: Server, client_id: str, **changes: str) -> httpx2.Response:
    query = {
        "client_id": client_id,
        "redirect_uri": CLIENT_URI,
        "response_type": "code",
        "code_challenge": "x" * 43,
        "code_challenge_method": "S256",
        "state": "c4n4ry-state",
        **changes,
    }
    return await http.get(f"{server.url}/authorize", params=query)


@pytest.fixture
def own_server(tmp_path: Path, simulator: Simulator) -> Server:
    """A server whose log no other test writes to."""
    return start_server(tmp_path, simulator, MCP_LOG_LEVEL="debug")


async def test_f5_begin_and_completion_belong_together(own_server: Server, simulator: Simulator) -> None:
    """F5: a whole sign-in leaves two lines with one reference, the client, its host and how long it took."""
    ada = Assistant(own_server.url, PersonAtBrowser(simulator.ready["ca_file"]))

    assert not (await ada.call("get_my_profile")).is_error
    grant = await grant_of(ada)
    await refresh(own_server.url, grant)

    begun, completed = lines_of(own_server)
    assert (begun["outcome"], begun["step"]) == ("begun", "authorize")
    assert (completed["outcome"], completed["step"]) == ("completed", "token")
    assert begun["sign_in"] == completed["sign_in"]
    assert begun["client_id"] == completed["client_id"] == grant.client_id
    assert begun["client_name"] == completed["client_name"]
    assert begun["redirect_host"] == completed["redirect_host"]
    assert 0 <= completed["seconds"] < 600
    assert not {"@contoso.example", "ada", "code=", "state=", grant.access} & set(own_server.log.split('"'))


async def test_f5_every_refused_callback_is_one_line(own_server: Server) -> None:
    """F5 and F3: each refusal of Entra goes back to the client in our words, and leaves our code and its number."""
    async with direct_client() as http:
        client_id = (await register(http, own_server, CLIENT_URI)).json()["client_id"]
        for error, number, code in CALLBACKS:
            begin = await authorize(http, own_server, client_id)
            transaction = parse_qs(urlsplit(begin.headers["Location"]).query)["txn_id"][0]
            said = "c4n4ry ada@contoso.example" if number is None else f"AADSTS{number}: c4n4ry ada@contoso.example"
            query = {"error": error, "error_description": said, "state": transaction}

            back = await http.get(f"{own_server.url}/auth/callback", params=query)

            told = {name: values[0] for name, values in parse_qs(urlsplit(back.headers["Location"]).query).items()}
            begun, refused = lines_of(own_server)[-2:]
            assert told["error_description"].startswith(f"{code}: ")
            assert told["state"] == "c4n4ry-state"
            assert (begun["outcome"], refused["outcome"]) == ("begun", "refused")
            assert (refused["step"], refused["code"], refused.get("aadsts")) == ("callback", code, number)
            assert refused["sign_in"] == begun["sign_in"]
            assert refused["client_id"] == client_id
            assert (refused["client_name"], refused["redirect_host"]) == ("Test client", "127.0.0.1")
            assert refused["seconds"] >= 0
            assert transaction not in own_server.log

    assert len(lines_of(own_server)) == 2 * len(CALLBACKS)
    assert "c4n4ry" not in own_server.log


@pytest.mark.parametrize(
    ("status", "error", "number", "code"),
    [
        (401, "invalid_client", 7000222, "client_secret_expired"),
        (400, "invalid_client", 650053, "app_registration_mistake"),
        (400, "access_denied", 90094, "consent_missing"),
        (400, "invalid_grant", 65004, "person_declined"),
        (400, "invalid_grant", 9999999, "microsoft_refused"),
    ],
)
@pytest.mark.sample(2)
async def test_f5_refused_redemption_is_one_line(
    own_server: Server, simulator: Simulator, status: int, error: str, number: int, code: str
) -> None:
    """F5 and F3: what Entra refuses at the redemption of its code is told on a page and in one line."""
    what = {"status": status, "body": entra_error(number, error)}
    simulator.control("POST", "faults", where={"grant_type": "authorization_code"}, what=what, times=None)

    page = await failed_sign_in(Assistant(own_server.url, PersonAtBrowser(simulator.ready["ca_file"])))

    assert code in page.text
    assert f"AADSTS{number}" in page.text
    begun, refused = lines_of(own_server)
    assert (refused["code"], refused["aadsts"], refused["sign_in"]) == (code, number, begun["sign_in"])


async def test_f5_refused_registrations_and_authorizations_name_host_and_cause(own_server: Server) -> None:
    """F5: the line tells whether the operator's list or the client's registration refused the redirect URI."""
    async with direct_client() as http:
        client_id = (await register(http, own_server, CLIENT_URI)).json()["client_id"]
        refusals = [
            await register(http, own_server, "https://evil.example/cb?secret=1"),
            await register(http, own_server, CLIENT_URI, grant_types=["client_credentials"]),
            await authorize(http, own_server, client_id, redirect_uri="https://other.example/cb"),
            await authorize(http, own_server, client_id, redirect_uri="http://localhost:7777/callback"),
            await authorize(http, own_server, "no-such-client"),
            await authorize(http, own_server, client_id, resource="https://other.example/mcp"),
        ]

    assert [reply.status_code for reply in refusals] == [400, 400, 400, 400, 400, 302]
    found = [
        (line["step"], line["code"], line.get("cause"), line.get("redirect_host")) for line in lines_of(own_server)
    ]
    assert found == [
        ("register", "invalid_redirect_uri", "not_allowed", "evil.example"),
        ("register", "invalid_client_metadata", None, "127.0.0.1"),
        ("authorize", "redirect_not_allowed", "not_allowed", "other.example"),
        ("authorize", "redirect_not_registered", "not_registered", "localhost"),
        ("authorize", "client_unknown", None, "127.0.0.1"),
        ("authorize", "invalid_target", None, "127.0.0.1"),
    ]
    assert "secret=1" not in own_server.log


@pytest.mark.parametrize(
    ("number", "error", "code"),
    [
        (90094, "invalid_grant", "consent_missing"),
        (650053, "invalid_client", "app_registration_mistake"),
        (53003, "interaction_required", "person_not_allowed"),
        (50105, "invalid_grant", "person_not_allowed"),
        (9999999, "invalid_grant", "microsoft_refused"),
        (9999999, "teapot", "microsoft_refused"),
    ],
)
@pytest.mark.sample(2)
async def test_f3_refused_exchange_ends_no_session_that_a_sign_in_cannot_mend(
    ada: Assistant, server: Server, simulator: Simulator, number: int, error: str, code: str
) -> None:
    """F3: the tool says who must act, and the client's tokens still work."""
    assert not (await ada.call("get_my_profile")).is_error
    fail_exchange(simulator, 400, entra_error(number, error))
    simulator.control("POST", "keys/roll", emergency=True)  # the Graph token in hand no longer counts

    said = await refused_send(ada)

    assert said.startswith(f"{code}: ")
    assert f"AADSTS{number}" in said
    assert (await post_mcp(server.url, (await grant_of(ada)).access)).status_code == 200
    assert simulator.outbox == []


async def test_f3_refresh_that_is_refused_with_an_unknown_number_keeps_the_sign_in(
    ada: Assistant, server: Server, simulator: Simulator
) -> None:
    """F3: while Entra's last token is good the client gets new tokens of ours; the log names the number."""
    assert not (await ada.call("get_my_profile")).is_error
    where = {"grant_type": "refresh_token"}
    what = {"status": 400, "body": entra_error(9999999, "invalid_grant")}
    simulator.control("POST", "faults", where=where, what=what, times=None)

    before = server.log.count("refresh_refused")
    refreshed = await refresh(server.url, await grant_of(ada))

    assert refreshed.status_code == 200, refreshed.text
    assert server.log.count("refresh_refused") == before + 1
    assert '"aadsts": 9999999' in server.log
