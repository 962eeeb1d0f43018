"""The metadata documents and the key sets."""

import jwt

from m365_simulator import Simulator
from m365_simulator.app import TENANT_ID

from .client import Client


async def test_metadata_names_the_endpoints_and_the_v2_issuer(client: Client) -> None:
    """The v2.0 document carries the issuer of v2.0 tokens and addresses on the same authority."""
    document = (await client.microsoft.get(f"/{TENANT_ID}/v2.0/.well-known/openid-configuration")).json()

    assert document["issuer"] == f"https://localhost:8443/{TENANT_ID}/v2.0"
    assert document["jwks_uri"] == f"https://localhost:8443/{TENANT_ID}/discovery/v2.0/keys"
    assert "code_challenge_methods_supported" not in document
    assert "registration_endpoint" not in document


async def test_v1_metadata_names_the_sts_issuer(client: Client) -> None:
    """The v1.0 document carries the issuer of v1.0 tokens."""
    document = (await client.microsoft.get(f"/{TENANT_ID}/.well-known/openid-configuration")).json()

    assert document["issuer"] == f"https://sts.windows.net/{TENANT_ID}/"


async def test_metadata_of_an_unknown_tenant_is_refused(client: Client) -> None:
    """A foreign tenant is answered 400 with AADSTS90002."""
    response = await client.microsoft.get("/fabrikam.example/v2.0/.well-known/openid-configuration")

    assert response.status_code == 400
    assert response.json()["error_codes"] == [90002]


async def test_metadata_does_not_ask_browsers_for_https_only(client: Client) -> None:
    """HSTS would make every other port of localhost unreachable over http."""
    response = await client.microsoft.get(f"/{TENANT_ID}/v2.0/.well-known/openid-configuration")

    assert "strict-transport-security" not in response.headers
    assert response.headers["cache-control"] == "max-age=86400, private"


async def test_key_set_verifies_tokens(client: Client) -> None:
    """A token verifies with the key that its header names, on both addresses of the key set."""
    token = (await client.tokens())["access_token"]
    for path in ("discovery/v2.0/keys", "discovery/keys"):
        keys = jwt.PyJWKSet.from_dict((await client.microsoft.get(f"/{TENANT_ID}/{path}")).json())

        key = keys[jwt.get_unverified_header(token)["kid"]]

        assert jwt.PyJWS().decode(token, key, algorithms=["RS256"])


async def test_rolled_key_was_published_before_and_old_one_stays(client: Client, simulator: Simulator) -> None:
    """After a roll the announced key signs, and tokens of the old key are still taken."""
    old = (await client.tokens())["access_token"]
    before = await client.control("GET", "state")

    after = await client.control("POST", "keys/roll", {})

    assert after["current"] == before["keys"]["next"]
    assert after["retired"] == [before["keys"]["current"]]
    assert (await client.exchange(old)).status_code == 200
    assert jwt.get_unverified_header((await client.tokens())["access_token"])["kid"] == after["current"]
    assert simulator.tenant.keys.find(before["keys"]["current"]) is not None


async def test_dropped_key_no_longer_verifies(client: Client) -> None:
    """After the old key is dropped its tokens fail with AADSTS50013."""
    old = (await client.tokens())["access_token"]
    await client.control("POST", "keys/roll", {})

    await client.control("POST", "keys/drop")

    assert (await client.exchange(old)).json()["error_codes"] == [50013]


async def test_emergency_roll_uses_a_key_nobody_has_seen(client: Client) -> None:
    """An emergency roll signs with an unpublished key and withdraws all others."""
    before = (await client.control("GET", "state"))["keys"]

    after = await client.control("POST", "keys/roll", {"emergency": True})

    assert after["current"] not in (before["current"], before["next"])
    assert (after["next"], after["retired"]) == (None, [])
    assert len((await client.microsoft.get(f"/{TENANT_ID}/discovery/v2.0/keys")).json()["keys"]) == 1


async def test_publish_announces_the_next_key_once(client: Client) -> None:
    """Publishing makes a next key when there is none, and changes nothing when there is one."""
    await client.control("POST", "keys/roll", {})

    first = await client.control("POST", "keys/publish")

    assert first["next"] is not None
    assert await client.control("POST", "keys/publish") == first


async def test_instance_discovery_answers_the_tenants_document(client: Client) -> None:
    """MSAL's question about an unknown host is answered, and refused without an endpoint."""
    path = "/common/discovery/instance"

    answer = await client.microsoft.get(path, params={"authorization_endpoint": "https://localhost:8443/x"})

    assert answer.json()["tenant_discovery_endpoint"].endswith("/v2.0/.well-known/openid-configuration")
    assert (await client.microsoft.get(path)).json()["error"] == "invalid_instance"
