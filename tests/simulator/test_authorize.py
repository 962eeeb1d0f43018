"""The authorization endpoint: every check, and the way through the pages."""

import json

import httpx2
import pytest

from m365_simulator.app import CLIENT_ID
from m365_simulator.permissions import GRAPH

from .client import AUTHORIZE_PATH, Client, authorization, redirect_query

STEP_UP = json.dumps({"access_token": {"acrs": {"essential": True, "value": "c1"}}})


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_id": None}, 900144),
        ({"client_id": "00000000-0000-4000-8000-000000000000"}, 700016),
        ({"redirect_uri": None}, 900144),
        ({"redirect_uri": "http://localhost:8000/auth/Callback"}, 50011),
        ({"redirect_uri": "http://127.0.0.1:8000/auth/callback"}, 50011),
        ({"redirect_uri": "https://evil.example/auth/callback"}, 50011),
        ({"redirect_uri": "http://localhost@evil.example/auth/callback"}, 50011),
        ({"redirect_uri": "http://localhost:8000@evil.example/auth/callback"}, 50011),
        ({"redirect_uri": "http://localhost:8000\\@evil.example/auth/callback"}, 50011),
        ({"redirect_uri": "http://me@localhost:8000/auth/callback"}, 50011),
        ({"redirect_uri": "http://localhost:8000/auth/callback?" + "x" * 256}, 50011),
    ],
)
async def test_mistake_about_the_client_is_shown_and_not_sent(
    client: Client, changes: dict[str, str], code: int
) -> None:
    """Without a known redirect URI the error is a page."""
    response = await client.authorize(**changes)

    assert response.status_code == 400
    assert f"AADSTS{code}:" in response.text
    assert response.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("segment", "code"), [("common", 50194), ("organizations", 50194), ("fabrikam.example", 90002)]
)
async def test_wrong_tenant_is_shown(client: Client, segment: str, code: int) -> None:
    """A single-tenant app works only under its own tenant."""
    response = await client.microsoft.get(f"/{segment}/oauth2/v2.0/authorize", params=authorization())

    assert f"AADSTS{code}:" in response.text


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        ({"response_type": None}, "invalid_request", 900144),
        ({"response_type": "token"}, "unsupported_response_type", 70005),
        ({"scope": None}, "invalid_request", 900144),
        ({"scope": "mcp-access"}, "invalid_scope", 650053),
        ({"scope": f"api://{CLIENT_ID}/other"}, "invalid_scope", 650053),
        ({"scope": f"api://{CLIENT_ID.upper()}/mcp-access"}, "invalid_resource", 500011),
        ({"scope": f"{GRAPH}/Mail.Fly"}, "invalid_scope", 650053),
        ({"scope": "https://other.example/Read"}, "invalid_resource", 500011),
        ({"scope": 'a"b'}, "invalid_scope", 70011),
        ({"scope": f"{GRAPH}/.default {GRAPH}/Mail.Send"}, "invalid_scope", 70011),
        ({"resource": "https://mcp.contoso.example/mcp"}, "invalid_target", 9010010),
        ({"prompt": "please"}, "invalid_request", 90023),
        ({"login_hint": "ada@contoso.example"}, "invalid_request", 90023),
        ({"response_mode": "web_message"}, "invalid_request", 90023),
        ({"code_challenge": "short"}, "invalid_request", 501491),
        ({"code_challenge": "x" * 44}, "invalid_request", 501491),
        ({"code_challenge": None}, "invalid_request", 50147),
        ({"code_challenge_method": "S512"}, "invalid_request", 90023),
        ({"claims": "{"}, "invalid_request", 9002313),
    ],
)
async def test_mistake_is_sent_to_the_client(client: Client, changes: dict[str, str], error: str, code: int) -> None:
    """Once the redirect URI is known, the client learns what is wrong, with its state."""
    query = redirect_query(await client.authorize(**changes))

    assert query["error"] == error
    assert query["error_description"].startswith(f"AADSTS{code}: ")
    assert query["state"] == "the-state"


async def test_repeated_parameter_is_refused(client: Client) -> None:
    """A parameter that comes twice makes the request malformed."""
    query_string = f"{httpx2.QueryParams(authorization())}&scope=openid"

    query = redirect_query(await client.microsoft.get(AUTHORIZE_PATH, params=query_string))

    assert "AADSTS9002313" in query["error_description"]


async def test_resource_passes_when_the_switch_allows_it(client: Client) -> None:
    """The refusal of `resource` can be turned off."""
    await client.control("PATCH", "switches", {"resource_with_scope_refused": False})

    assert (await client.authorize(resource="https://mcp.contoso.example/mcp")).status_code == 200


async def test_port_of_localhost_does_not_count(client: Client) -> None:
    """A localhost redirect URI may use any port, and the code goes there."""
    response = await client.sign_in(redirect_uri="http://localhost:54321/auth/callback")

    assert response.headers["location"].startswith("http://localhost:54321/auth/callback?code=")


async def test_redirect_uri_without_path_gets_a_slash(client: Client) -> None:
    """A redirect URI that has no path comes back with one."""
    await client.control("PATCH", "app", {"redirect_uris": ["https://mcp.contoso.example"]})

    response = await client.sign_in(redirect_uri="https://mcp.contoso.example")

    assert response.headers["location"].startswith("https://mcp.contoso.example/?code=")
