"""The OAuth surface and the HTTP edge, as the source documents them and as clients probe them."""

from typing import Any

import httpx2
import pytest
import redis as redis_py

from tests.e2e.person import Assistant
from tests.e2e.programs import Redis, Server, Simulator
from tests.trust import NO_AUTHORITY

EVIL = "https://evil.example"


@pytest.fixture
def http(server: Server) -> Any:
    """A plain HTTP client for the server, following nothing."""
    with httpx2.Client(base_url=server.url, verify=NO_AUTHORITY, trust_env=False) as client:
        yield client


def register(http: httpx2.Client, *redirect_uris: str) -> httpx2.Response:
    return http.post("/register", json={"redirect_uris": list(redirect_uris), "client_name": "Test"})


def authorize(http: httpx2.Client, **changes: str) -> httpx2.Response:
    query = {
        "response_type": "code",
        "redirect_uri": "http://localhost:9/callback",
        "code_challenge": "x" * 43,
        "code_challenge_method": "S256",
        "scope": "mcp-access",
        "state": "s",
        **changes,
    }
    if "client_id" not in query:
        query["client_id"] = register(http, "http://localhost:9/callback").json()["client_id"]
    return http.get("/authorize", params={name: value for name, value in query.items() if value})


def test_health_check_of_the_source_answers_exactly_this(http: httpx2.Client, server: Server) -> None:
    """The protected resource metadata is byte for byte the documented reply."""
    expected = (
        f'{{"resource":"{server.url}/mcp","authorization_servers":["{server.url}/"],'
        '"scopes_supported":["mcp-access"],"bearer_methods_supported":["header"]}'
    )

    for path in ("/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"):
        assert http.get(path).text == expected


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/mcp",
        "/.well-known/openid-configuration",
        "/.well-known/openid-configuration/mcp",
        "/mcp/.well-known/openid-configuration",
        "/mcp/.well-known/oauth-authorization-server",
    ],
)
def test_authorization_server_metadata_is_where_clients_look(http: httpx2.Client, server: Server, path: str) -> None:
    """Every path that a client asks for answers with the same document."""
    document = http.get(path).json()

    assert document["issuer"] == f"{server.url}/"
    assert document["authorization_endpoint"] == f"{server.url}/authorize"
    assert document["token_endpoint"] == f"{server.url}/token"
    assert document["registration_endpoint"] == f"{server.url}/register"
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["client_id_metadata_document_supported"] is True
    assert "none" in document["token_endpoint_auth_methods_supported"]
    assert document["authorization_response_iss_parameter_supported"] is True


def test_unknown_metadata_path_is_a_json_404(http: httpx2.Client) -> None:
    """Clients parse the body of a failed discovery, so it is JSON."""
    reply = http.get("/.well-known/something-else")

    assert (reply.status_code, reply.json()["error"]) == (404, "not_found")


def test_mcp_without_a_token_is_challenged(http: httpx2.Client, server: Server) -> None:
    """POST names the metadata, HEAD and GET are 405, a slash too many changes nothing."""
    for path in ("/mcp", "/mcp/"):
        challenge = http.post(path, json={})
        assert challenge.status_code == 401
        metadata = f'resource_metadata="{server.url}/.well-known/oauth-protected-resource/mcp"'
        assert metadata in challenge.headers["WWW-Authenticate"]
        assert "error=" not in challenge.headers["WWW-Authenticate"]
        assert http.head(path).status_code == 405
        assert http.get(path).status_code == 405


def test_bad_token_is_a_401_with_the_reason(http: httpx2.Client) -> None:
    """A token that is not ours is invalid_token."""
    reply = http.post("/mcp", json={}, headers={"Authorization": "Bearer garbage"})

    assert reply.status_code == 401
    assert 'error="invalid_token"' in reply.headers["WWW-Authenticate"]


def test_registration_gives_a_public_client(http: httpx2.Client) -> None:
    """DCR answers 201 with an id and no secret."""
    reply = register(http, "https://claude.ai/api/mcp/auth_callback")

    assert reply.status_code == 201
    assert reply.json()["token_endpoint_auth_method"] == "none"
    assert not reply.json().get("client_secret")


@pytest.mark.parametrize("uri", [f"{EVIL}/cb", "https://claude.ai.evil.example/api/mcp/auth_callback", "myapp://cb"])
def test_foreign_redirect_uri_cannot_be_registered(http: httpx2.Client, uri: str) -> None:
    """A client with nothing but wrong redirect URIs is refused; beside a good one, a wrong one is left out."""
    own = "https://claude.ai/api/mcp/auth_callback"
    refused, partly = register(http, uri), register(http, own, uri)

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_redirect_uri")
    assert uri in refused.json()["error_description"]
    assert "MCP_ALLOWED_REDIRECT_URIS" in refused.json()["error_description"]
    assert (partly.status_code, partly.json()["redirect_uris"]) == (201, [own])
    assert authorize(http, client_id=partly.json()["client_id"], redirect_uri=uri).status_code == 400


@pytest.mark.parametrize(
    "uri",
    [
        f"{EVIL}/cb",
        "http://127.0.0.1:9/callback",
        "http://localhost:9/other",
        "http://localhost:9/callback?next=https://evil.example",
        "https://claude.ai/api/mcp/auth_callback",
    ],
)
def test_sign_in_goes_back_only_where_the_client_registered(http: httpx2.Client, uri: str) -> None:
    """A redirect URI that is not the client's own is answered here and never redirected to."""
    reply = authorize(http, redirect_uri=uri)

    assert reply.status_code == 400
    assert "Location" not in reply.headers


def test_loopback_port_may_differ(http: httpx2.Client) -> None:
    """RFC 8252: a native client chooses its port at every sign-in."""
    assert authorize(http, redirect_uri="http://localhost:12345/callback").status_code == 302


def test_a17_app_id_of_entra_is_no_way_around_the_redirect_rules(http: httpx2.Client, simulator: Simulator) -> None:
    """Sending the public app id as client_id does not allow a foreign redirect URI."""
    reply = authorize(http, client_id=simulator.ready["client_id"], redirect_uri=f"{EVIL}/cb")

    assert reply.status_code == 400


def test_a19_foreign_resource_is_refused_at_authorize(http: httpx2.Client) -> None:
    """RFC 8707: a resource that is not this server is invalid_target; ours is welcome in both spellings."""
    refused = authorize(http, resource=f"{EVIL}/mcp")

    assert refused.status_code == 302
    assert "error=invalid_target" in refused.headers["Location"]
    assert refused.headers["Location"].startswith("http://localhost:9/callback")


def test_own_resource_is_accepted(http: httpx2.Client, server: Server) -> None:
    """The resource the metadata names leads to the consent page."""
    for resource in (f"{server.url}/mcp", f"{server.url}/mcp/"):
        assert authorize(http, resource=resource).headers["Location"].startswith(f"{server.url}/consent")


def test_a19_foreign_resource_is_refused_at_token(http: httpx2.Client) -> None:
    """The token endpoint looks at the resource before anything else."""
    form = {"grant_type": "authorization_code", "code": "x", "client_id": "x", "resource": f"{EVIL}/mcp"}

    reply = http.post("/token", data=form)

    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_target")


def test_resource_cannot_be_smuggled_in(http: httpx2.Client, server: Server) -> None:
    """Two resources, a fragment, or a form of another kind are not looked past."""
    form = {"grant_type": "authorization_code", "code": "x", "client_id": "x", "resource": f"{EVIL}/mcp"}
    multipart = http.post("/token", files={name: (None, value) for name, value in form.items()})
    own, foreign = f"{server.url}/mcp", f"{EVIL}/mcp"
    twice = http.get("/authorize", params=[("client_id", "x"), ("resource", foreign), ("resource", own)])

    assert (multipart.status_code, multipart.json()["error"]) == (400, "invalid_request")
    assert (twice.status_code, twice.json()["error"]) == (400, "invalid_target")
    assert "error=invalid_target" in authorize(http, resource=f"{own}#x").headers["Location"]
    assert authorize(http, resource=own.upper().replace("/MCP", "/mcp")).headers["Location"].startswith(server.url)


def test_a7_pkce_is_required_and_only_s256(http: httpx2.Client) -> None:
    """No challenge and `plain` are refused."""
    for changes in ({"code_challenge": ""}, {"code_challenge_method": "plain"}):
        reply = authorize(http, **changes)
        assert "error=invalid_request" in reply.headers.get("Location", "") or reply.status_code == 400


def test_unknown_client_is_told_to_register(http: httpx2.Client) -> None:
    """authorize says 400, token says invalid_client, on which clients register anew."""
    assert authorize(http, client_id="nobody").status_code == 400
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": "nobody"}
    reply = http.post("/token", data=form)
    assert (reply.status_code, reply.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("client_id", ["https://127.0.0.1/client.json", "https://localhost/client.json"])
def test_metadata_document_on_this_machine_is_not_fetched(http: httpx2.Client, client_id: str) -> None:
    """A CIMD client id that points inwards is no client (no request leaves the server)."""
    assert authorize(http, client_id=client_id).status_code == 400


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "localhost.evil.example"}, 421),
        ({"Host": ""}, 421),
        ({"Origin": EVIL}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Host": "127.0.0.1"}, 401),
        ({"Origin": "http://localhost:6274"}, 401),
        ({}, 401),
    ],
)
def test_c13_host_and_origin_are_checked(http: httpx2.Client, headers: dict[str, str], status: int) -> None:
    """A foreign Host is misdirected, a foreign Origin forbidden; our own and this machine's pass."""
    reply = http.post("/mcp", json={}, headers=headers)

    assert reply.status_code == status
    if status in (403, 421):
        assert reply.json()["error_description"]


def test_pages_of_known_origins_may_call_mcp(http: httpx2.Client) -> None:
    """A preflight of a local page is answered, the challenge can be read; a foreign page gets neither."""
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,mcp-name"}
    known, foreign = {"Origin": "http://localhost:6274"}, {"Origin": EVIL}

    preflight = http.options("/mcp", headers=asked | known)
    challenge = http.post("/mcp", json={}, headers=known)
    refused = http.options("/mcp", headers=asked | foreign)

    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == "http://localhost:6274"
    assert "WWW-Authenticate" in challenge.headers["Access-Control-Expose-Headers"]
    assert refused.status_code == 403
    assert "Access-Control-Allow-Origin" not in refused.headers


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/.well-known/oauth-protected-resource/mcp"])
def test_c13_probes_by_address_get_an_answer(http: httpx2.Client, path: str) -> None:
    """A kubelet calls by pod address; health and public metadata answer all the same."""
    assert http.get(path, headers={"Host": "10.20.30.40:8000"}).status_code == 200


@pytest.mark.parametrize("path", ["/register", "/token", "/consent"])
def test_large_bodies_do_not_reach_the_oauth_endpoints(http: httpx2.Client, path: str) -> None:
    """A body above 64 KB is refused there."""
    assert http.post(path, content=b"x" * 70_000).status_code == 413


async def test_token_of_entra_is_no_token_of_ours(ada: Assistant, server: Server) -> None:
    """Only tokens this server issued are accepted, unaltered."""
    assert not (await ada.call("get_my_profile")).is_error
    token = await ada.token()
    head, body, signature = token.split(".")
    async with httpx2.AsyncClient(verify=NO_AUTHORITY, trust_env=False) as http:
        for forged in (f"{head}.{body}.{signature[::-1]}", f"eyJhbGciOiJub25lIn0.{body}.", f"{head}.{body}."):
            reply = await http.post(f"{server.url}/mcp", json={}, headers={"Authorization": f"Bearer {forged}"})
            assert reply.status_code == 401
        in_query = await http.post(f"{server.url}/mcp?access_token={token}", json={})
    assert in_query.status_code == 401


async def test_our_token_carries_no_personal_data(ada: Assistant) -> None:
    """The token a client keeps is a reference: no name, no address, no groups."""
    import base64
    import json

    assert not (await ada.call("get_my_profile")).is_error
    body = (await ada.token()).split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))

    assert set(claims) == {"iss", "aud", "client_id", "scope", "exp", "iat", "jti", "token_use"}
    assert claims["exp"] - claims["iat"] == 168 * 3600


def test_b4_registrations_end_some_day(http: httpx2.Client, shared_redis: Redis) -> None:
    """A registration is kept for a week until somebody signs in with it, not for ever."""
    client_id = register(http, "http://localhost:9/callback").json()["client_id"]

    with redis_py.Redis.from_url(shared_redis.url, decode_responses=True) as redis:
        seconds = redis.ttl(f"mcp-oauth-proxy-clients::{client_id}")

    assert 6 * 24 * 3600 < seconds <= 7 * 24 * 3600


def test_a3_pages_cannot_be_framed_or_kept(http: httpx2.Client) -> None:
    """Consent and error pages carry the headers that the MCP security guidance asks for."""
    consent = http.get(authorize(http).headers["Location"])
    dead_end = http.get("/auth/callback", params={"code": "x", "state": "unknown"})

    assert (consent.status_code, dead_end.status_code) == (200, 400)
    for page in (consent, dead_end):
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
        assert page.headers["X-Frame-Options"] == "DENY"
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Referrer-Policy"] == "same-origin"


def test_person_who_opens_the_address_is_told_what_it_is(http: httpx2.Client, server: Server) -> None:
    """The root shows the address to add to a client."""
    page = http.get("/")

    assert page.status_code == 200
    assert f"{server.url}/mcp" in page.text
