"""The On-Behalf-Of grant: what may be exchanged, and for what."""

import base64
import json
from typing import Any

import jwt
import pytest

from m365_simulator import Simulator
from m365_simulator.app import CLIENT_ID
from m365_simulator.permissions import GRAPH
from m365_simulator.tokens import sign

from .client import BODY_AUTH, CAE, MAIL_SEND, ON_BEHALF_OF, USER_READ, Client, Json, read
from .conftest import START


async def assertion(client: Client) -> str:
    """Return an access token of Ada for our API."""
    return str((await client.tokens())["access_token"])


async def test_exchange_gives_a_graph_token_in_v1_format(client: Client) -> None:
    """The new token is for Graph, carries the scopes asked for and names the app and the person."""
    first = await assertion(client)

    body = (await client.exchange(first, client_info="1")).json()

    claims = read(body["access_token"])
    assert (claims["aud"], claims["ver"], claims["appid"]) == (GRAPH, "1.0", CLIENT_ID)
    assert (claims["scp"], claims["oid"]) == ("Mail.Send User.Read", read(first)["oid"])
    assert claims["sub"] != read(first)["sub"]
    assert body["scope"] == f"{MAIL_SEND} {USER_READ}"
    assert "client_info" in body
    assert "refresh_token" not in body


async def test_default_scope_stands_for_all_consented(client: Client) -> None:
    """`.default` gives every Graph scope the person agreed to."""
    body = (await client.exchange(await assertion(client), f"{GRAPH}/.default")).json()

    assert read(body["access_token"])["scp"] == "Mail.Read Mail.Send User.Read"


async def test_default_scope_without_any_consent_is_refused(client: Client) -> None:
    """`.default` needs at least one consented Graph scope."""
    response = await client.redeem(await client.code(scope=f"api://{CLIENT_ID}/mcp-access"))

    refused = await client.exchange(response.json()["access_token"], f"{GRAPH}/.default")

    assert refused.json()["error_codes"] == [65001]


async def test_offline_access_adds_a_refresh_token_for_graph(client: Client) -> None:
    """With `offline_access` the exchange gives a refresh token that renews the Graph token."""
    body = (await client.exchange(await assertion(client), f"{MAIL_SEND} offline_access openid profile")).json()

    again = (await client.refresh(body["refresh_token"])).json()

    assert read(again["access_token"])["aud"] == GRAPH


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": "api://99999999-0000-4000-8000-000000000000"}, 500131),
        ({"aud": f"api://{CLIENT_ID.upper()}"}, 500131),
        ({"aud": GRAPH}, 500131),
        ({"exp": 1}, 500133),
        ({"nbf": 4_000_000_000}, 500133),
        ({"scp": None}, 7000114),
        ({"idtyp": "app"}, 7000114),
        ({"azp": None}, 240002),
        ({"sid": None}, 50173),
    ],
)
async def test_assertion_that_does_not_fit(client: Client, simulator: Simulator, changes: Json, code: int) -> None:
    """Audience, time and kind of the assertion are checked."""
    claims = {name: value for name, value in (read(await assertion(client)) | changes).items() if value is not None}

    response = await client.exchange(sign(simulator.tenant, claims))

    assert (response.status_code, response.json()["error_codes"]) == (400, [code])


async def test_id_token_and_graph_token_cannot_be_exchanged(client: Client) -> None:
    """An ID token is AADSTS240002, a Graph token has the wrong audience."""
    tokens = await client.tokens()
    graph = (await client.exchange(tokens["access_token"])).json()["access_token"]

    assert (await client.exchange(tokens["id_token"])).json()["error_codes"] == [240002]
    assert (await client.exchange(graph)).json()["error_codes"] == [500131]


async def test_forged_and_malformed_assertions(client: Client) -> None:
    """A signature that does not fit is AADSTS50013, and what is no token at all AADSTS50027."""
    good = await assertion(client)
    header, payload, _ = good.split(".")
    unsigned = jwt.encode(read(good), "", algorithm="none")
    shared = jwt.encode(
        read(good), "k" * 32, algorithm="HS256", headers={"kid": jwt.get_unverified_header(good)["kid"]}
    )

    for forged in (f"{header}.{payload}.{'A' * 342}", unsigned, shared):
        assert (await client.exchange(forged)).json()["error_codes"] == [50013]
    assert (await client.exchange("nonsense")).json()["error_codes"] == [50027]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"assertion": ""}, 900144),
        ({"requested_token_use": ""}, 900144),
        ({"requested_token_use": "something"}, 90023),
        ({"scope": ""}, 900144),
        ({"scope": "openid"}, 28003),
        ({"scope": f"{MAIL_SEND} api://{CLIENT_ID}/mcp-access"}, 28000),
        ({"scope": f"{GRAPH}/Mail.Fly"}, 650053),
        ({"claims": "[]"}, 9002313),
        ({"claims": '{"access_token": {"xms_cc": {"values": 1}}}'}, 9002313),
    ],
)
async def test_wrong_request(client: Client, changes: dict[str, str], code: int) -> None:
    """The parameters of the grant are checked."""
    good = {"assertion": await assertion(client), "requested_token_use": "on_behalf_of", "scope": MAIL_SEND}

    response = await client.post_token({"grant_type": ON_BEHALF_OF} | good | changes)

    assert response.json()["error_codes"] == [code]


@pytest.mark.parametrize(("segment", "code"), [("common", 9001023), ("consumers", 9001023), ("organizations", 50194)])
async def test_shared_endpoints_are_refused(client: Client, segment: str, code: int) -> None:
    """The grant is not offered on /common and /consumers."""
    form = BODY_AUTH | {"grant_type": ON_BEHALF_OF}

    response = await client.microsoft.post(f"/{segment}/oauth2/v2.0/token", data=form)

    assert response.json()["error_codes"] == [code]


async def test_missing_consent_then_granted(client: Client) -> None:
    """A scope nobody agreed to is AADSTS65001 with `consent_required`, until an administrator grants it."""
    first = await assertion(client)
    scope = f"{GRAPH}/People.Read"

    refused = (await client.exchange(first, scope)).json()
    await client.control("POST", "consents", {"admin": True, "scopes": [scope]})

    assert (refused["error"], refused["suberror"], refused["error_codes"]) == (
        "invalid_grant",
        "consent_required",
        [65001],
    )
    assert (await client.exchange(first, scope)).status_code == 200


async def test_mfa_is_demanded_with_claims_and_satisfied_by_a_step_up(client: Client) -> None:
    """AADSTS50076 carries claims; signing in with them makes the next exchange succeed."""
    first = await assertion(client)
    await client.control("PATCH", "people/ada", {"must_do_mfa": True})

    refused = (await client.exchange(first)).json()
    proven = (await client.tokens(claims=refused["claims"]))["access_token"]

    assert (refused["error"], refused["error_codes"]) == ("interaction_required", [50076])
    assert json.loads(refused["claims"])["access_token"]["acrs"]["essential"] is True
    assert (await client.exchange(proven)).status_code == 200


@pytest.mark.parametrize(("person", "code"), [({"revoked": True}, 50173), ({"enabled": False}, 50057)])
async def test_account_that_changed(client: Client, person: Json, code: int) -> None:
    """Revocation and disabling reach the exchange."""
    first = await assertion(client)
    await client.control("PATCH", "people/ada", person)

    assert (await client.exchange(first)).json()["error_codes"] == [code]


async def test_client_capability_is_written_into_the_token(client: Client) -> None:
    """A client that handles claims challenges gets a token that says so."""
    first = await assertion(client)

    capable: Any = (await client.exchange(first, claims=CAE)).json()
    plain: Any = (await client.exchange(first)).json()

    assert read(capable["access_token"])["xms_cc"] == ["CP1"]
    assert "xms_cc" not in read(plain["access_token"])


async def test_token_that_can_be_challenged_lives_long(client: Client) -> None:
    """It lives 20 to 28 hours instead of about one, unless the app fixes the life of its tokens."""
    first = await assertion(client)

    capable: Any = (await client.exchange(first, claims=CAE)).json()
    plain: Any = (await client.exchange(first)).json()
    await client.control("PATCH", "app", {"expires_in": 61})
    fixed: Any = (await client.exchange(first, claims=CAE)).json()

    claims = read(capable["access_token"])
    assert 20 * 3600 <= capable["expires_in"] == claims["exp"] - claims["iat"] <= 28 * 3600
    assert plain["expires_in"] < 5400
    assert fixed["expires_in"] == 61


async def test_challenge_is_answered_for_a_live_session(client: Client) -> None:
    """After a new sign-in, an exchange with `nbf` and the client's capability gives a token that Graph takes."""
    await client.tokens()
    await client.control("PATCH", "people/ada", {"revoked": True})
    challenge = {
        "access_token": {"nbf": {"essential": True, "value": str(int(START) + 60)}, "xms_cc": {"values": ["cp1"]}}
    }

    response = await client.exchange(await assertion(client), claims=json.dumps(challenge))

    token = response.json()["access_token"]
    assert read(token)["xms_cc"] == ["CP1"]
    assert (await client.microsoft.get("/v1.0/me", headers={"Authorization": f"Bearer {token}"})).status_code == 200


async def test_challenge_cannot_be_answered_for_a_revoked_session(client: Client) -> None:
    """Graph's own challenge, sent back in an exchange, is AADSTS50173: the person has to sign in again."""
    first = await assertion(client)
    token = (await client.exchange(first, claims=CAE)).json()["access_token"]
    await client.control("PATCH", "people/ada", {"revoked": True})
    challenged = await client.microsoft.get("/v1.0/me", headers={"Authorization": f"Bearer {token}"})
    encoded = challenged.headers["www-authenticate"].partition('claims="')[2].rstrip('"')
    challenge = json.loads(base64.b64decode(encoded))
    challenge["access_token"] |= json.loads(CAE)["access_token"]

    refused = await client.exchange(first, claims=json.dumps(challenge))

    assert challenged.status_code == 401
    assert {"nbf", "xms_cc"} == challenge["access_token"].keys()
    assert (refused.json()["error"], refused.json()["error_codes"]) == ("invalid_grant", [50173])
