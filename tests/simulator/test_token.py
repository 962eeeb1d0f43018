"""The token endpoint: how clients authenticate, and what it refuses before any grant."""

import base64

import httpx2
import jwt
import pytest

from m365_simulator.app import CLIENT_ID, CLIENT_SECRET
from m365_simulator.permissions import GRAPH

from .client import (
    API_SCOPE,
    BODY_AUTH,
    TOKEN_PATH,
    Client,
    codes,
)
from .conftest import START

GUID = "0aa9a0a0-1111-4222-8333-444455556666"


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
        ({"client_id": CLIENT_ID, "client_assertion": "x"}, None, "invalid_request", 400, 900144),
        (BODY_AUTH | {"client_assertion": "x"}, None, "invalid_request", 400, 9002313),
    ],
)
async def test_wrong_client_authentication(
    client: Client, form: dict[str, str], basic: tuple[str, str] | None, error: str, status: int, code: int
) -> None:
    """Wrong, missing and doubled credentials have their own errors."""
    response = await client.microsoft.post(
        TOKEN_PATH, data=form | await refresh_form(client), auth=basic or httpx2.USE_CLIENT_DEFAULT
    )

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
        ({"grant_type": "client_credentials"}, 900144),
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


@pytest.mark.parametrize(
    ("scope", "code"),
    [
        (f"{GRAPH}/Mail.Send", 1002012),
        ("openid", 1002012),
        (f"api://{CLIENT_ID}/mcp-access", 1002012),
        ("api://another/.default", 500011),
        (f"{GRAPH}/.default api://{CLIENT_ID}/.default", 28000),
    ],
)
async def test_application_gets_a_token_for_one_resource_only(client: Client, scope: str, code: int) -> None:
    """A token of the application itself is for `<resource>/.default`, and has no person in it."""
    form = {"grant_type": "client_credentials"}

    good = await client.post_token({**form, "scope": f"{GRAPH}/.default"})
    refused = await client.post_token({**form, "scope": scope})

    claims = jwt.decode(good.json()["access_token"], options={"verify_signature": False})
    assert (claims["idtyp"], claims["aud"], "scp" in claims) == ("app", GRAPH, False)
    assert "refresh_token" not in good.json()
    assert codes(refused) == [code]


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
