"""What MCP clients send that is not what FastMCP and the MCP SDK expect, and every client by its name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
import redis as redis_py

from m365_mcp.auth.client_secrets import hash_secret
from m365_mcp.clients import CLIENTS
from tests.e2e.hand_client import CALLBACK, VERIFIER, HandClient
from tests.e2e.person import PersonAtBrowser, direct_client
from tests.e2e.programs import Redis, Server, Simulator, make_server

COPILOT = "https://global.consent.azure-apim.net/redirect/tool-5f1"
SPELLED = "https://bücher.example/callback"
SCOPES = ["mcp-access offline_access", "openid profile email", "", "  ", " mcp-access ", "Mail.Send", "api://x/y"]

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


@pytest.fixture
def client(server: Server, simulator: Simulator) -> HandClient:
    return HandClient(server.url, PersonAtBrowser(simulator.ready["ca_file"]))


@pytest.fixture(scope="module")
def server_of_every_client(tmp_path_factory: pytest.TempPathFactory, shared_simulator: Simulator) -> Iterator[Server]:
    """A server that allows every client it knows, and one app with a scheme of its own."""
    server = make_server(
        tmp_path_factory.mktemp("every-client"),
        shared_simulator,
        REDIS_URL="memory://",
        MCP_CLIENTS=",".join(CLIENTS),
        MCP_ALLOWED_REDIRECT_URIS="com.example.app:/callback,https://BÜCHER.example:443/callback",
    )
    server.program.shared = True
    server.start()
    yield server
    assert server.program.end() == 0


@pytest.fixture
def every_client(server_of_every_client: Server, simulator: Simulator) -> HandClient:
    return HandClient(server_of_every_client.url, PersonAtBrowser(simulator.ready["ca_file"]))


async def signed_in(client: HandClient, **metadata: Any) -> dict[str, Any]:
    """Register, sign in and return the token response."""
    assert (await client.register(**metadata)).status_code == 201
    reply = await client.redeem(await client.sign_in())
    assert reply.status_code == 200, reply.text
    tokens: dict[str, Any] = reply.json()
    return tokens


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.sample(3)
async def test_a20_f2_any_scope_is_registered_authorized_and_refreshed_as_the_one_scope(
    client: HandClient, scope: str
) -> None:
    """Whatever a client asks for, it gets `mcp-access` and is told so; nothing else reaches Entra."""
    registered = await client.register(scope=scope)
    tokens = (await client.redeem(await client.sign_in(scope=scope), scope=scope)).json()
    refreshed = await client.refresh(tokens["refresh_token"], scope=scope)

    assert registered.json()["scope"] == tokens["scope"] == refreshed.json()["scope"] == "mcp-access"
    assert refreshed.status_code == 200


async def test_f2_empty_parameters_count_as_left_out(client: HandClient) -> None:
    """RFC 6749 section 3.1, for every optional parameter of each endpoint."""
    await client.register(scope="", token_endpoint_auth_method="", client_uri="")
    code = await client.sign_in(redirect_uri="", code_challenge_method="", resource="", state="", scope="")
    tokens = await client.redeem(code, resource="", client_secret="", scope="")
    refreshed = await client.refresh(tokens.json()["refresh_token"], resource="", scope="", client_secret="")

    assert (tokens.status_code, refreshed.status_code) == (200, 200)
    assert "state" not in client.answered


@pytest.mark.parametrize("state", ["a+b/c=", "%25&x", "über", "line\nbreak", "x" * 4000])
@pytest.mark.sample(2)
async def test_f17_state_comes_back_exactly_and_only_where_it_was_sent(client: HandClient, state: str) -> None:
    """A client without `state` finds none in the redirect; one with it finds the same bytes."""
    await client.register()
    await client.sign_in()
    without = client.answered
    await client.sign_in(state=state)

    assert set(without) == {"code", "iss"}
    assert client.answered["state"] == state


async def test_f15_refresh_token_goes_only_to_clients_that_may_use_it(client: HandClient) -> None:
    """A client that registers for codes only gets no refresh token; one that says nothing does."""
    assert "refresh_token" not in await signed_in(client, grant_types=["authorization_code"])
    assert "refresh_token" in await signed_in(client, grant_types=None)
    assert "refresh_token" in await signed_in(client)


async def test_f12_media_types_have_no_case(client: HandClient) -> None:
    """The token endpoint, the revocation endpoint and /mcp read a media type in any case."""
    form = "Application/X-WWW-Form-URLEncoded; charset=UTF-8"
    await client.register()
    reply = await client.redeem(await client.sign_in(), media_type=form)
    token = reply.json()["access_token"]
    async with direct_client() as http:
        called = await http.post(
            f"{client.url}/mcp",
            json=INITIALIZE,
            headers={"Authorization": f"Bearer {token}", "Content-Type": "APPLICATION/JSON", "Accept": "*/*"},
        )
    revoked = await client.post("/revoke", token=token, media_type=form)

    assert (reply.status_code, called.status_code, revoked.status_code) == (200, 200, 200)
    assert called.json()["result"]["protocolVersion"] == "2025-11-25"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("APPLICATION/JSON;q=0.9, Text/Event-Stream", "application/json"),
        ("text/event-stream", "text/event-stream"),
        ("application/json;q=0, text/event-stream", "text/event-stream"),
        ("text/html", None),
        ("application/json;q=0", None),
    ],
)
@pytest.mark.sample(3)
async def test_f12_answer_has_a_form_that_the_client_reads(
    client: HandClient, accept: str | None, media_type: str | None
) -> None:
    """JSON without a preference, a stream of one event for who reads only streams, 406 for who reads neither."""
    token = (await signed_in(client))["access_token"]
    async with httpx2.AsyncClient(trust_env=False) as http:
        request = http.build_request(
            "POST", f"{client.url}/mcp", json=INITIALIZE, headers={"Authorization": f"Bearer {token}"}
        )
        del request.headers["Accept"]
        if accept is not None:
            request.headers["Accept"] = accept
        reply = await http.send(request)

    assert reply.status_code == (406 if media_type is None else 200)
    if media_type is not None:
        assert reply.headers["Content-Type"].startswith(media_type)
    if media_type == "text/event-stream":
        assert reply.text.startswith("event: message\ndata: {")
        assert reply.text.endswith("\n\n")


@pytest.mark.parametrize("scheme", ["Bearer  ", "bearer ", "BEARER    "])
async def test_f20_several_blanks_may_follow_bearer(client: HandClient, scheme: str) -> None:
    """RFC 6750 section 2.1."""
    token = (await signed_in(client))["access_token"]
    async with direct_client() as http:
        headers = {"Authorization": f"{scheme}{token}", "Accept": "application/json"}
        reply = await http.post(f"{client.url}/mcp", json=INITIALIZE, headers=headers)

    assert reply.status_code == 200


@pytest.mark.parametrize("name", [name for name in CLIENTS if name != "loopback"])
@pytest.mark.sample(5)
async def test_f4_every_uri_of_a_client_is_registered_and_leads_to_the_consent_page(
    every_client: HandClient, name: str
) -> None:
    """The whole list in one body, then each URI at /authorize."""
    uris = [uri.replace(":*", ":4711").replace("/*", "/one") for uri in CLIENTS[name].redirect_uris]
    reply = await every_client.register(redirect_uris=uris)
    secret = {"token_endpoint_auth_method": "client_secret_post"} if CLIENTS[name].needs_secret else {}

    assert reply.json()["redirect_uris"] == uris
    assert reply.json()["token_endpoint_auth_method"] == secret.get("token_endpoint_auth_method", "none")
    for uri in uris:
        page = await every_client.authorize(redirect_uri=uri)
        assert "/consent?" in page.headers["Location"]


async def test_f4_allowed_uris_of_a_longer_list_are_registered(client: HandClient) -> None:
    """VS Code on default settings: its web pages are left out, its loopback addresses are registered."""
    local = ["http://127.0.0.1/", "http://127.0.0.1:33418/"]
    web = ["https://insiders.vscode.dev/redirect", "https://vscode.dev/redirect"]
    reply = await client.register(redirect_uris=[*web, *local])
    refused = await client.authorize(redirect_uri=web[1])

    assert (reply.status_code, reply.json()["redirect_uris"]) == (201, local)
    assert "/consent?" in (await client.authorize(redirect_uri="http://127.0.0.1:50000/")).headers["Location"]
    assert refused.status_code == 400
    assert f"{web[1]} is not on this server's list" in refused.json()["error_description"]


async def test_f4_refusal_names_the_uri_and_which_cause_it_was(client: HandClient) -> None:
    """Not on the server's list: ask the operator. Not registered by this client: register again. Else: no remedy."""
    unlisted = await client.register(redirect_uris=["https://app.example.com/cb"])
    await client.register()
    foreign = await client.authorize(redirect_uri="https://app.example.com/cb")
    other = await client.authorize(redirect_uri="http://127.0.0.1:9/callback")
    unusable = await client.register(redirect_uris=["http://localhost:3000/cb#f"])

    for reply, expected in (
        (unlisted, "https://app.example.com/cb is not on this server's list"),
        (foreign, "https://app.example.com/cb is not on this server's list"),
        (other, "http://127.0.0.1:9/callback is not one that this client registered"),
        (unusable, "no setting changes that: it has a fragment (#)."),
    ):
        assert reply.status_code == 400
        assert expected in reply.json()["error_description"]
    assert "MCP_CLIENTS" in unlisted.json()["error_description"]
    assert "MCP_CLIENTS" not in other.json()["error_description"]


async def test_f6_redirect_uri_may_have_another_spelling_than_the_setting(every_client: HandClient) -> None:
    """What is registered is answered, authorized and redirected to; the setting has the host in letters, and a port."""
    registered = await every_client.register(redirect_uris=[SPELLED])
    every_client.redirect_uri = "https://xn--bcher-kva.example/callback"
    target = await every_client.person.sign_in(every_client.authorize_url())
    redeemed = await every_client.redeem(dict(parse_qsl(urlsplit(target).query))["code"])

    assert (registered.status_code, registered.json()["redirect_uris"]) == (201, [every_client.redirect_uri])
    assert target.startswith(f"{every_client.redirect_uri}?code=")
    assert redeemed.status_code == 200


async def test_f19_private_use_redirect_uri_without_authority_signs_in(every_client: HandClient) -> None:
    """RFC 8252 section 7.1: the browser hands `com.example.app:/callback` to the app."""
    every_client.redirect_uri = "com.example.app:/callback"

    assert (await signed_in(every_client))["token_type"] == "Bearer"


@pytest.mark.parametrize("method", ["client_secret_post", "client_secret_basic"])
async def test_f7_secret_is_issued_when_it_is_asked_for_and_then_checked(client: HandClient, method: str) -> None:
    """At the token endpoint and the revocation endpoint, in the form or in the header, but not two different ones."""
    registered = (await client.register(token_endpoint_auth_method=method)).json()
    code = await client.sign_in()
    good, bad = (client.client_id, client.secret), (client.client_id, "wrong")
    refused = [
        await client.redeem(code),
        await client.redeem(code, client_secret="wrong"),
        await client.redeem(code, basic=bad),
        await client.post("/revoke", token="x"),
        await client.post("/revoke", token="x", basic=bad),
    ]
    form = {"client_id": client.client_id, "code": code, "code_verifier": VERIFIER, "grant_type": "authorization_code"}
    two = [
        await client.post("/token", basic=bad, client_secret=client.secret, **form),
        await client.post("/token", basic=good, client_secret="wrong", **form),
        await client.post("/revoke", basic=bad, token="x", client_id=client.client_id, client_secret=client.secret),
    ]
    same = await client.post("/revoke", basic=good, token="x", client_id=good[0], client_secret=client.secret)
    tokens = await client.redeem(code, basic=good)
    refreshed = await client.refresh(tokens.json()["refresh_token"], client_secret=client.secret)
    access = refreshed.json()["access_token"]
    revoked = await client.post("/revoke", token=access, basic=good)
    ended = await client.refresh(refreshed.json()["refresh_token"], basic=good)

    assert registered["token_endpoint_auth_method"] == method
    assert registered["client_secret_expires_at"] == 0
    assert [(reply.status_code, reply.json()["error"]) for reply in refused] == [(401, "invalid_client")] * 5
    assert [(reply.status_code, reply.json()["error"]) for reply in two] == [(400, "invalid_request")] * 3
    assert same.status_code == 200
    assert [reply.status_code for reply in (tokens, refreshed, revoked)] == [200, 200, 200]
    assert ended.json()["error"] == "invalid_grant"


async def test_f7_secret_is_not_in_the_store_and_its_hash_is_no_secret(client: HandClient, shared_redis: Redis) -> None:
    """What the store has does not authenticate."""
    await client.register(token_endpoint_auth_method="client_secret_post")
    code = await client.sign_in()
    with redis_py.Redis.from_url(shared_redis.url) as store:
        values = b"".join(bytes(store.dump(key) or b"") for key in store.scan_iter("*"))
    stolen = await client.redeem(code, client_secret=hash_secret(client.secret))

    assert client.secret.encode() not in values
    assert stolen.status_code == 401


@pytest.mark.parametrize(
    ("uris", "asked", "method"),
    [
        ([COPILOT], None, "client_secret_post"),
        ([COPILOT], "client_secret_basic", "client_secret_basic"),
        ([COPILOT], "none", "none"),
        ([COPILOT, CALLBACK], None, "none"),
        ([COPILOT, "https://app.example.com/cb"], None, "client_secret_post"),
        ([COPILOT.replace("https://global", "https://GLOBAL")], None, "client_secret_post"),
        ([CALLBACK], None, "none"),
        (["https://claude.ai/api/mcp/auth_callback"], "", "none"),
    ],
)
async def test_f7_copilot_studio_gets_a_secret_without_asking(
    every_client: HandClient, uris: list[str], asked: str | None, method: str
) -> None:
    """A client that says nothing is public, unless all its redirect URIs that are registered are Copilot Studio's."""
    named = {} if asked is None else {"token_endpoint_auth_method": asked}
    registered = (await every_client.register(redirect_uris=uris, **named)).json()

    assert registered["token_endpoint_auth_method"] == method
    assert bool(registered.get("client_secret")) is (method != "none")


async def test_f14_public_client_may_send_its_id_in_the_header(client: HandClient) -> None:
    """At both endpoints, as the metadata says of them."""
    await client.register()
    tokens = await client.redeem(await client.sign_in(), basic=(client.client_id, ""))
    revoked = await client.post("/revoke", token=tokens.json()["access_token"], basic=(client.client_id, ""))
    ended = await client.refresh(tokens.json()["refresh_token"])

    assert (tokens.status_code, revoked.status_code) == (200, 200)
    assert ended.json()["error"] == "invalid_grant"


async def test_f14_f16_metadata_says_what_works(client: HandClient) -> None:
    """Both endpoints take the same methods; the OpenID Connect document is a whole one, and its keys are there."""
    async with direct_client() as http:
        server = (await http.get(f"{client.url}/.well-known/oauth-authorization-server/mcp")).json()
        openid = (await http.get(f"{client.url}/.well-known/openid-configuration")).json()
        keys = await http.get(openid["jwks_uri"])

    methods = ["none", "client_secret_post", "client_secret_basic", "private_key_jwt"]
    assert server["token_endpoint_auth_methods_supported"] == methods
    assert server["revocation_endpoint_auth_methods_supported"] == methods
    assert "jwks_uri" not in server
    assert openid | server == openid
    assert openid["subject_types_supported"] == ["public"]
    assert openid["id_token_signing_alg_values_supported"] == ["RS256"]
    assert (keys.status_code, keys.json()) == (200, {"keys": []})
