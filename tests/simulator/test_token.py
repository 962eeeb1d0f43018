"""The token endpoint: how clients authenticate, and the two grants of a sign-in."""

import base64
from typing import Any

import jwt
import pytest

from m365_simulator import Simulator
from m365_simulator.app import CLIENT_ID, CLIENT_SECRET, TENANT_ID

from .client import (
    API_SCOPE,
    BODY_AUTH,
    MAIL_SEND,
    TOKEN_PATH,
    USER_READ,
    VERIFIER,
    Client,
    Json,
)
from .conftest import START

GUID = "0aa9a0a0-1111-4222-8333-444455556666"


def read(token: str) -> Json:
    """Return the claims of a token without checking it."""
    return dict(jwt.decode(token, options={"verify_signature": False}))


def codes(response: Any) -> list[int]:
    """Return the AADSTS codes of an error."""
    return list(response.json()["error_codes"])


async def refresh_form(client: Client) -> dict[str, str]:
    """Return a good refresh without client authentication."""
    return {"grant_type": "refresh_token", "refresh_token": (await client.tokens())["refresh_token"]}


async def test_secret_in_the_body_is_taken(client: Client) -> None:
    """The client may send id and secret as form fields."""
    response = await client.microsoft.post(TOKEN_PATH, data=BODY_AUTH | await refresh_form(client))

    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store, no-cache"


async def test_basic_is_taken_without_client_id_in_the_body(client: Client) -> None:
    """HTTP Basic alone is enough."""
    form = await refresh_form(client)

    assert (await client.microsoft.post(TOKEN_PATH, data=form, auth=(CLIENT_ID, CLIENT_SECRET))).status_code == 200


async def test_basic_may_need_client_id_in_the_body(client: Client) -> None:
    """With the switch, Basic without `client_id` in the body is refused, and with it is taken."""
    await client.control("PATCH", "switches", {"client_id_required_in_body_with_basic": True})
    form = await refresh_form(client)

    without = await client.microsoft.post(TOKEN_PATH, data=form, auth=(CLIENT_ID, CLIENT_SECRET))
    with_id = await client.microsoft.post(
        TOKEN_PATH, data=form | {"client_id": CLIENT_ID}, auth=(CLIENT_ID, CLIENT_SECRET)
    )

    assert (codes(without), with_id.status_code) == ([900144], 200)


@pytest.mark.parametrize(("decode", "status"), [(True, 200), (False, 401)])
async def test_basic_credentials_are_decoded_by_switch(client: Client, decode: bool, status: int) -> None:
    """Form-encoded Basic credentials work only while the switch says that they are decoded."""
    await client.control("PATCH", "app", {"secrets": [{"value": "a+b%c"}]})
    await client.control("PATCH", "switches", {"url_decode_basic_credentials": decode})
    encoded = base64.b64encode(f"{CLIENT_ID}:a%2Bb%25c".encode()).decode()

    response = await client.microsoft.post(
        TOKEN_PATH,
        data={"grant_type": "refresh_token", "refresh_token": "x"},
        headers={"Authorization": f"Basic {encoded}"},
    )

    assert (response.status_code == 401) == (status == 401)


@pytest.mark.parametrize(
    ("form", "basic", "error", "status", "code"),
    [
        ({"client_id": CLIENT_ID, "client_secret": "wrong"}, None, "invalid_client", 401, 7000215),
        ({}, (CLIENT_ID, "wrong"), "invalid_client", 401, 7000215),
        ({"client_id": CLIENT_ID}, None, "invalid_client", 401, 7000218),
        ({"client_secret": CLIENT_SECRET}, None, "invalid_request", 400, 900144),
        (BODY_AUTH, (CLIENT_ID, CLIENT_SECRET), "invalid_request", 400, 9002313),
        ({"client_id": GUID}, (CLIENT_ID, CLIENT_SECRET), "invalid_request", 400, 9002313),
        ({"client_id": GUID, "client_secret": CLIENT_SECRET}, None, "unauthorized_client", 400, 700016),
        ({"client_id": CLIENT_ID, "client_assertion": "x"}, None, "invalid_client", 401, 700027),
    ],
)
async def test_wrong_client_authentication(
    client: Client, form: dict[str, str], basic: tuple[str, str] | None, error: str, status: int, code: int
) -> None:
    """Wrong, missing and doubled credentials have their own errors."""
    response = await client.microsoft.post(TOKEN_PATH, data=form | await refresh_form(client), auth=basic)

    assert (response.status_code, response.json()["error"], codes(response)) == (status, error, [code])


async def test_malformed_basic_is_an_invalid_request(client: Client) -> None:
    """A Basic header that is no base64 is AADSTS9002313."""
    form = await refresh_form(client)

    response = await client.microsoft.post(TOKEN_PATH, data=form, headers={"Authorization": "Basic %%%"})

    assert codes(response) == [9002313]


async def test_secrets_expire_and_overlap(client: Client) -> None:
    """Of two secrets both work until one expires, which is AADSTS7000222."""
    secrets = [{"value": CLIENT_SECRET, "expires_at": START}, {"value": "second"}]
    await client.control("PATCH", "app", {"secrets": secrets})
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": CLIENT_ID}

    expired = await client.microsoft.post(TOKEN_PATH, data=form | {"client_secret": CLIENT_SECRET})
    good = await client.microsoft.post(TOKEN_PATH, data=form | {"client_secret": "second"})

    assert (expired.status_code, codes(expired)) == (401, [7000222])
    assert codes(good) == [70000]


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, 900144),
        ({"grant_type": "password"}, 70003),
        ({"grant_type": "client_credentials"}, 70003),
        ({"grant_type": "authorization_code"}, 900144),
        ({"grant_type": "authorization_code", "code": "x"}, 900144),
        ({"grant_type": "refresh_token"}, 900144),
    ],
)
async def test_missing_or_unknown_grant(client: Client, form: dict[str, str], code: int) -> None:
    """What is missing is named, and other grants are not offered."""
    assert codes(await client.post_token(form)) == [code]


async def test_other_shapes_of_request_are_refused(client: Client) -> None:
    """GET, JSON, repeated fields, an Origin header and foreign tenants are refused."""
    form = await refresh_form(client)
    body = "grant_type=refresh_token&grant_type=refresh_token"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}

    assert codes(await client.microsoft.get(TOKEN_PATH)) == [900561]
    assert codes(await client.microsoft.post(TOKEN_PATH, json=BODY_AUTH | form)) == [900144]
    assert codes(await client.microsoft.post(TOKEN_PATH, content=body, headers=kind)) == [9002313]
    assert codes(await client.post_token(form, headers={"Origin": "https://contoso.example"})) == [9002326]
    common = await client.microsoft.post("/common/oauth2/v2.0/token", data=BODY_AUTH | form)
    assert codes(common) == [50194]


async def test_resource_beside_scope_is_an_invalid_target(client: Client) -> None:
    """`resource` is refused at the token endpoint as well."""
    form = await refresh_form(client) | {"resource": "https://mcp.contoso.example/mcp", "scope": API_SCOPE}

    response = await client.post_token(form)

    assert (response.json()["error"], codes(response)) == ("invalid_target", [9010010])


async def test_error_has_entras_shape(client: Client) -> None:
    """An error carries the description with its identifiers, and the client's own correlation id."""
    response = await client.post_token({"grant_type": "x"}, headers={"client-request-id": GUID})

    body = response.json()
    lines = body["error_description"].split("\r\n")
    assert lines[0].startswith("AADSTS70003: ")
    assert lines[1:] == [
        f"Trace ID: {body['trace_id']}",
        f"Correlation ID: {GUID}",
        f"Timestamp: {body['timestamp']}",
    ]
    assert body["correlation_id"] == GUID
    assert response.headers["x-ms-request-id"] == body["trace_id"]


async def test_code_can_be_overridden_by_switch(client: Client) -> None:
    """What is unconfirmed about a code can be set: error, suberror and status."""
    override = {"error": "temporarily_unavailable", "suberror": "message_only", "status": 503}
    await client.control("PATCH", "switches", {"aadsts_overrides": {"70003": override}})

    response = await client.post_token({"grant_type": "x"})

    assert response.status_code == 503
    assert (response.json()["error"], response.json()["suberror"]) == ("temporarily_unavailable", "message_only")


async def test_code_gives_tokens_for_our_api(client: Client) -> None:
    """The access token has the claims of v2.0, and there is a refresh token and an ID token."""
    body = await client.tokens()

    claims = read(body["access_token"])
    assert (body["token_type"], body["scope"]) == ("Bearer", API_SCOPE)
    assert body["expires_in"] == claims["exp"] - claims["iat"]
    assert 3600 <= body["expires_in"] <= 5399
    assert (claims["aud"], claims["ver"], claims["azp"], claims["azpacr"]) == (CLIENT_ID, "2.0", CLIENT_ID, "1")
    assert (claims["iss"], claims["tid"]) == (f"https://localhost:8443/{TENANT_ID}/v2.0", TENANT_ID)
    assert (claims["scp"], claims["preferred_username"]) == ("mcp-access", "ada@contoso.example")
    assert {"oid", "sub", "uti", "rh", "aio", "nbf", "name"} <= claims.keys()
    assert "azp" not in read(body["id_token"])


async def test_names_need_the_profile_scope(client: Client) -> None:
    """Each OpenID scope that was not asked for leaves something out: the name, the refresh token, the ID token."""
    response = await client.redeem(await client.code(scope=API_SCOPE), scope=API_SCOPE)

    claims = read(response.json()["access_token"])
    assert {"name", "preferred_username"}.isdisjoint(claims)
    assert {"oid", "tid"} <= claims.keys()
    assert {"refresh_token", "id_token"}.isdisjoint(response.json())


@pytest.mark.parametrize("version", [None, 1])
async def test_unset_token_version_means_v1(client: Client, version: int | None) -> None:
    """A manifest without version 2 makes tokens of the old issuer with the App ID URI as audience."""
    await client.control("PATCH", "app", {"token_version": version})

    token = (await client.tokens())["access_token"]

    claims = read(token)
    assert (claims["ver"], claims["iss"]) == ("1.0", f"https://sts.windows.net/{TENANT_ID}/")
    assert (claims["aud"], claims["appid"]) == (f"api://{CLIENT_ID}", CLIENT_ID)
    assert claims["upn"] == "ada@contoso.example"
    assert "x5t" in jwt.get_unverified_header(token)
    assert (await client.exchange(token)).status_code == 200


async def test_expires_in_can_be_fixed(client: Client) -> None:
    """The life of tokens is set through the control plane."""
    await client.control("PATCH", "app", {"expires_in": 61})

    assert (await client.tokens())["expires_in"] == 61


async def test_code_works_once(client: Client) -> None:
    """The second use of a code is AADSTS54005."""
    code = await client.code()

    first, second = await client.redeem(code), await client.redeem(code)

    assert first.status_code == 200
    assert (second.json()["error"], codes(second)) == ("invalid_grant", [54005])


async def test_code_lives_ten_minutes(client: Client, simulator: Simulator) -> None:
    """An old code is AADSTS70008."""
    code = await client.code()
    simulator.tenant.clock.offset_seconds = 601

    assert codes(await client.redeem(code)) == [70008]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"code": "unknown"}, 70000),
        ({"code_verifier": VERIFIER + "x"}, 501481),
        ({"code_verifier": None}, 501481),
        ({"redirect_uri": "http://localhost:8001/auth/callback"}, 500112),
        ({"scope": None}, 28003),
        ({"scope": "offline_access"}, 28003),
        ({"scope": f"{API_SCOPE} {MAIL_SEND}"}, 28000),
        ({"scope": "https://graph.microsoft.com/People.Read"}, 65001),
    ],
)
async def test_wrong_redemption(client: Client, changes: dict[str, str | None], code: int) -> None:
    """Verifier, redirect URI and scope must fit the authorization request."""
    good = await client.code()

    assert codes(await client.redeem(**({"code": good} | changes))) == [code]


async def test_plain_challenge_and_none(client: Client) -> None:
    """A plain challenge equals its verifier; without a challenge a verifier is refused."""
    plain = await client.code(code_challenge=VERIFIER, code_challenge_method=None)
    none = await client.code(code_challenge=None, code_challenge_method=None)

    assert (await client.redeem(plain)).status_code == 200
    assert codes(await client.redeem(none)) == [501481]
    assert (await client.redeem(none, code_verifier=None)).status_code == 200


async def test_code_may_be_redeemed_for_graph(client: Client) -> None:
    """A code also gives a Graph token, which is in v1.0 format."""
    response = await client.redeem(await client.code(), scope=USER_READ, client_info="1")

    assert read(response.json()["access_token"])["aud"] == "https://graph.microsoft.com"
    assert "client_info" in response.json()


async def test_refresh_gives_a_new_token_and_keeps_the_old_one(client: Client) -> None:
    """Each use gives another refresh token; the old one works again."""
    old = (await client.tokens())["refresh_token"]

    first, second = await client.refresh(old, f"{API_SCOPE} offline_access"), await client.refresh(old)

    assert len({old, first.json()["refresh_token"], second.json()["refresh_token"]}) == 3
    assert read(first.json()["access_token"])["scp"] == "mcp-access"


async def test_strict_rotation_refuses_a_used_token(client: Client) -> None:
    """With the switch, a refresh token works once."""
    await client.control("PATCH", "switches", {"strict_refresh_rotation": True})
    old = (await client.tokens())["refresh_token"]
    new = (await client.refresh(old)).json()["refresh_token"]

    assert codes(await client.refresh(old)) == [70000]
    assert (await client.refresh(new)).status_code == 200


async def test_refresh_for_another_resource(client: Client) -> None:
    """A refresh token may ask for another consented resource, but not for two at once."""
    token = (await client.tokens())["refresh_token"]
    both = f"{USER_READ} {API_SCOPE}"

    graph, refused = await client.refresh(token, USER_READ), await client.refresh(token, both)
    await client.control("PATCH", "switches", {"refresh_several_resources": "first"})
    first = await client.refresh(token, both)

    assert read(graph.json()["access_token"])["scp"] == "User.Read"
    assert codes(refused) == [28000]
    assert first.json()["scope"] == USER_READ


@pytest.mark.parametrize(
    ("person", "code"),
    [({"revoked": True}, 50173), ({"enabled": False}, 50057), ({"sign_in_frequency_seconds": -1.0}, 70043)],
)
async def test_refresh_after_the_account_changed(client: Client, person: Json, code: int) -> None:
    """Revoked sessions, disabled accounts and the sign-in frequency end a refresh token as invalid_grant."""
    token = (await client.tokens())["refresh_token"]
    await client.control("PATCH", "people/ada", person)

    response = await client.refresh(token)

    assert (response.json()["error"], codes(response)) == ("invalid_grant", [code])


async def test_refresh_token_dies_after_ninety_days(client: Client) -> None:
    """A token that was not used for 90 days is AADSTS700082."""
    token = (await client.tokens())["refresh_token"]
    await client.control("PATCH", "clock", {"offset_seconds": 90 * 86400 + 1})

    assert codes(await client.refresh(token)) == [700082]
    assert codes(await client.refresh("unknown")) == [70000]


async def test_refresh_needs_consent_still(client: Client) -> None:
    """When the consent is withdrawn, the refresh is AADSTS65001 with its suberror."""
    token = (await client.tokens())["refresh_token"]
    await client.control("DELETE", "consents", {"person": "ada", "scopes": [API_SCOPE]})

    body = (await client.refresh(token)).json()

    assert (body["error"], body["suberror"], body["error_codes"]) == ("invalid_grant", "consent_required", [65001])


async def test_sign_in_again_after_revocation(client: Client) -> None:
    """A revoked person signs in anew and everything works."""
    await client.tokens()
    await client.control("PATCH", "people/ada", {"revoked": True})

    assert (await client.refresh((await client.tokens())["refresh_token"])).status_code == 200
