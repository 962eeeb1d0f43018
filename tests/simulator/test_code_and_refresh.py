"""The two grants of a sign-in: authorization code and refresh token."""

import jwt
import pytest

from m365_simulator import Simulator
from m365_simulator.app import CLIENT_ID, TENANT_ID

from .client import (
    API_SCOPE,
    MAIL_SEND,
    USER_READ,
    VERIFIER,
    Client,
    Json,
    codes,
    read,
)


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

    assert codes(await client.redeem(good, **changes)) == [code]


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
