"""What FastMCP, the MCP SDK, uvicorn and py-key-value do without our seams (docs/architecture.md, "Seams").

A test that fails after `make lock` says that upstream has changed: the seam it names may go, or must be looked at.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import fastmcp
import httpx2
import pytest
import uvicorn
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from fastmcp import Client, Context, FastMCP
from fastmcp.client.oauth_callback import OAuthCallbackResult, create_oauth_callback_server
from fastmcp.dependencies import Depends
from fastmcp.exceptions import ToolError
from fastmcp.server.auth import AccessToken
from fastmcp.server.auth.cimd import (
    CIMDAssertionValidator,
    CIMDClientManager,
    CIMDDocument,
    CIMDFetcher,
    CIMDFetchError,
)
from fastmcp.server.auth.providers.azure import AzureProvider
from fastmcp.server.auth.providers.jwt import JWTVerifier, RSAKeyPair, StaticTokenVerifier
from fastmcp.server.auth.redirect_validation import matches_allowed_pattern
from fastmcp.server.auth.ssrf import is_ip_allowed
from fastmcp.server.dependencies import get_access_token, get_http_request
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.telemetry import error_span_attributes, extract_trace_context
from fastmcp.tools import Tool
from jwt.algorithms import RSAAlgorithm
from key_value.aio.stores.memory import MemoryStore
from key_value.aio.stores.redis import RedisStore
from key_value.aio.wrappers.encryption import FernetEncryptionWrapper
from key_value.aio.wrappers.prefix_keys import PrefixKeysWrapper
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.settings import RevocationOptions
from mcp.shared.exceptions import MCPError, UrlElicitationRequiredError
from mcp_types import CLIENT_CAPABILITIES_META_KEY, PROTOCOL_VERSION_META_KEY, ElicitRequestURLParams
from opentelemetry import trace
from redis.asyncio import BlockingConnectionPool
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

BASE = "http://localhost:9000"
OWN = "http://localhost:9/callback"
OTHERS = "https://claude.ai/api/mcp/auth_callback"
EVIL = "https://evil.example"


class Store(PrefixKeysWrapper):
    """A store that can be away, and that counts what is read of each collection."""

    is_away = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.reads: Counter[str] = Counter()

    async def get(self, key: str, *, collection: str | None = None) -> Any:
        if self.is_away:
            raise ConnectionError
        self.reads[str(collection)] += 1
        return await super().get(key, collection=collection)


@pytest.fixture
def store() -> Store:
    return Store(MemoryStore(), "upstream")


@pytest.fixture
def auth(store: Store) -> AzureProvider:
    provider = AzureProvider(
        client_id="app",
        client_secret="a secret of thirty-odd characters",
        tenant_id="11111111-1111-1111-1111-111111111111",
        required_scopes=["mcp-access"],
        base_url=BASE,
        allowed_client_redirect_uris=[OTHERS, "http://localhost:*"],
        client_storage=store,
        jwt_signing_key="k" * 32,
    )
    provider.revocation_options = RevocationOptions(enabled=True)
    return provider


@pytest.fixture
async def http(auth: AzureProvider) -> AsyncIterator[httpx2.AsyncClient]:
    app = FastMCP("plain", auth=auth).http_app(path="/mcp", stateless_http=True, json_response=True)
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=BASE) as client:
        yield client  # without the lifespan: no request here comes as far as the MCP sessions


async def register(http: httpx2.AsyncClient, name: str = "Test") -> str:
    response = await http.post("/register", json={"redirect_uris": [OWN], "client_name": name})
    client_id: str = response.json()["client_id"]
    return client_id


async def authorize(http: httpx2.AsyncClient, **changes: str) -> httpx2.Response:
    challenge = {"code_challenge": "x" * 43, "code_challenge_method": "S256"}
    query = {"response_type": "code", "redirect_uri": OWN, "state": "s", **challenge, **changes}
    return await http.get("/authorize", params={"client_id": await register(http), **query})


async def test_store_that_is_away_looks_like_a_bad_token(
    http: httpx2.AsyncClient, auth: AzureProvider, store: Store
) -> None:
    """`web.error_override`, `errors.request_error`, `load_access_token`: 401 at /mcp, and a bare 500 at /token."""
    client_id = await register(http)
    token = auth.jwt_issuer.issue_access_token(client_id, ["mcp-access"], "jti", 1000)
    store.is_away = True

    called = await http.post("/mcp", json={}, headers={"Authorization": f"Bearer {token}"})
    refreshed = await http.post(
        "/token", data={"grant_type": "refresh_token", "client_id": client_id, "refresh_token": "x"}
    )

    assert (called.status_code, called.json()["error"]) == (401, "invalid_token")
    assert (refreshed.status_code, refreshed.text) == (500, "Internal Server Error")


async def test_one_request_reads_the_client_twice_and_looks_for_a_registration_of_a_document(
    http: httpx2.AsyncClient, auth: AzureProvider, store: Store
) -> None:
    """`storage.request_memo`, `EntraProxy.get_client`: each is a request to the store that says nothing new."""
    assert isinstance(auth._cimd_manager, CIMDClientManager)
    auth._cimd_manager._fetcher = Away()
    client_id, reads = await register(http), []
    for sent in (client_id, "https://client.example.com/client.json"):
        store.reads.clear()
        await http.post("/token", data={"grant_type": "refresh_token", "client_id": sent, "refresh_token": "x"})
        reads.append(store.reads["mcp-oauth-proxy-clients"])

    assert reads == [2, 1]


def test_redirect_uris_are_compared_by_their_spelling() -> None:
    """`EntraProxy` passes no list of redirect URIs on: an entry matches neither its host in ASCII nor an escape."""
    pairs = [("https://bücher.example/cb", "https://xn--bcher-kva.example/cb"), ("https://a/~cb", "https://a/%7Ecb")]

    assert [matches_allowed_pattern(uri, entry) for entry, uri in pairs] == [False, False]


async def test_oauth_routes_take_bodies_of_any_size(http: httpx2.AsyncClient) -> None:
    """`OAuthRequests`: a registration of 8 MB is stored."""
    assert await register(http, "x" * 8_000_000)


async def test_consent_page_is_fastmcps_with_the_form_that_ours_sends(http: httpx2.AsyncClient) -> None:
    """`EntraProxy._show_consent_page`, `auth.consent`: one form with these hidden fields, in a page of FastMCP's."""
    page = await http.get((await authorize(http)).headers["Location"])
    inputs = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]+)"', page.text)
    answers = re.findall(r'<button type="submit" name="action" value="(\w+)"', page.text)

    assert "gofastmcp.com" in page.text
    assert [name for name, _ in inputs] == ["txn_id", "csrf_token", "submit"]
    assert answers == ["approve", "deny"]
    assert any("CONSENT_STATE" in name for name in page.cookies)


async def test_consent_form_counts_once(http: httpx2.AsyncClient) -> None:
    """`EntraProxy._submit_consent`: the second of two equal forms is refused, whatever the first one led to."""
    page = await http.get((await authorize(http)).headers["Location"])
    form = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))

    answers = [await http.post("/consent", data={**form, "action": "approve"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [302, 400]


async def test_redirect_uri_is_registered_without_its_control_characters(http: httpx2.AsyncClient) -> None:
    """`web.redirect_uris`: what is stored, and answered, is another URI than the one that was sent."""
    body = {"redirect_uris": ["http://local\nhost:9/cb\r\nX: y"], "token_endpoint_auth_method": "none"}

    answer = await http.post("/register", json=body)

    assert answer.json()["redirect_uris"] == ["http://localhost:9/cbX:%20y"]


async def test_refusals_of_a_browser_are_fastmcps_pages_or_json(http: httpx2.AsyncClient) -> None:
    """`web.error_override`: a bare sentence, a page with a picture of gofastmcp.com, or JSON; and how they differ."""
    browser = {"Accept": "text/html"}
    expired = await http.get("/consent?txn_id=gone", headers=browser)
    foreign = await http.get("/auth/callback?code=x&state=gone", headers=browser)
    challenge = {"response_type": "code", "code_challenge": "x" * 43, "redirect_uri": OWN}
    unknown = await http.get("/authorize", params={"client_id": "nobody", **challenge}, headers=browser)
    refused = await authorize(http, redirect_uri=EVIL)

    assert (expired.status_code, expired.text) == (400, "<h1>Error</h1><p>Invalid or expired transaction</p>")
    assert (foreign.status_code, "gofastmcp.com" in foreign.text) == (400, True)
    assert (unknown.status_code, "/register>" in unknown.headers["Link"]) == (400, True)
    assert (refused.status_code, "link" in refused.headers) == (400, False)
    assert refused.json()["error"] == "invalid_request"


async def test_messages_end_at_4_mib() -> None:
    """`_allow_large_messages`: http_app offers no max_request_body_size."""
    app = FastMCP("open").http_app(path="/mcp", stateless_http=True)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=BASE) as client,
    ):
        assert (await client.post("/mcp", content=b" " * (4 * 1024 * 1024 + 1))).status_code == 413


async def test_protocol_version_is_the_headers() -> None:
    """`web.protocol_version`: a request of 2026-07-28 under an older header is answered in the older form."""
    app = FastMCP("open").http_app(path="/mcp", stateless_http=True, json_response=True)
    meta = {PROTOCOL_VERSION_META_KEY: "2026-07-28", CLIENT_CAPABILITIES_META_KEY: {}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    headers = {"Accept": "application/json", "MCP-Protocol-Version": "2025-11-25"}
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=BASE, headers=headers) as client,
    ):
        assert (await client.post("/mcp", json=body)).json()["result"] == {"tools": []}


async def test_public_clients_cannot_revoke(http: httpx2.AsyncClient) -> None:
    """`Revocation`: the endpoint insists on a client_secret."""
    response = await http.post("/revoke", data={"client_id": await register(http), "token": "t"})

    assert "client_secret" in response.json()["error_description"]


async def test_foreign_resource_is_not_noticed(http: httpx2.AsyncClient) -> None:
    """`EntraProxy.authorize`: the sign-in goes on."""
    assert (await authorize(http, resource=f"{EVIL}/mcp")).status_code == 302


@pytest.mark.parametrize("uri", [OTHERS, "http://localhost:9/other", f"{OWN}?next={EVIL}"])
async def test_client_may_use_redirect_uris_it_never_registered(http: httpx2.AsyncClient, uri: str) -> None:
    """`StrictClient`: any allowed redirect URI will do."""
    assert (await authorize(http, redirect_uri=uri)).status_code == 302


@pytest.mark.parametrize(
    ("uri", "pattern"),
    [
        ("https://claude.ai/cb?x=1", "https://claude.ai/cb"),
        ("https://claude.ai/cb#fragment", "https://claude.ai/cb"),
        ("https://claude.ai/anything", "https://claude.ai"),
        ("https://claude.ai/a\x00b", "https://claude.ai/*"),
    ],
)
def test_redirect_patterns_are_loose(uri: str, pattern: str) -> None:
    """`redirects`: query, fragment, path and control characters are not looked at."""
    assert matches_allowed_pattern(uri, pattern)


async def test_slash_too_many_is_redirected_to_whatever_host_says(http: httpx2.AsyncClient) -> None:
    """`redirect_slashes = False`: the Location is the caller's Host."""
    response = await http.post("/mcp/", headers={"Host": "evil.example"})

    assert response.headers["Location"] == "http://evil.example/mcp"


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-authorization-server/mcp",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-protected-resource",
    ],
)
async def test_metadata_is_at_one_path_only(http: httpx2.AsyncClient, path: str) -> None:
    """`Discovery`: other paths are a plain-text 404."""
    response = await http.get(path)

    assert (response.status_code, response.text) == (404, "Not Found")


async def test_mcp_endpoint_answers_no_preflight(http: httpx2.AsyncClient) -> None:
    """`McpCors`: OPTIONS is 405."""
    asked = {"Origin": "http://localhost:6274", "Access-Control-Request-Method": "POST"}

    assert (await http.options("/mcp", headers=asked)).status_code == 405


async def test_registrations_never_end(http: httpx2.AsyncClient, auth: AzureProvider) -> None:
    """`_keep_registration`: a client is stored without an expiry."""
    client, seconds = await auth._client_store.ttl(key=await register(http))

    assert client is not None
    assert seconds is None


async def test_signing_keys_are_dropped_when_they_cannot_be_renewed() -> None:
    """`SigningKeys`, `EntraTokenVerifier`: the last good keys are not used; app-only tokens are accepted."""
    pair, replies = RSAKeyPair.generate(), [200, 503]
    public = load_pem_public_key(pair.public_key.encode())
    assert isinstance(public, RSAPublicKey)
    key = {**RSAAlgorithm.to_jwk(public, as_dict=True), "kid": "k1"}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(replies.pop(0), json={"keys": [key]}))
    async with httpx2.AsyncClient(transport=transport) as client:
        verifier = JWTVerifier(jwks_uri="https://keys.example/", issuer="i", audience="a", http_client=client)
        token = pair.create_token(issuer="i", audience="a", kid="k1", additional_claims={"idtyp": "app"})

        assert await verifier.verify_token(token) is not None
        verifier._cache_ttl = 0  # an hour has passed
        assert await verifier.verify_token(token) is None


async def test_published_schema_is_not_what_a_call_is_validated_against() -> None:
    """`tools.published`: the published schema may lack an argument that the function has."""
    server: FastMCP[Any] = FastMCP("plain")

    def plain(hidden: str = "") -> str:
        """Return the argument."""
        return hidden

    closed = {"type": "object", "properties": {}, "additionalProperties": False}
    server.add_tool(Tool.from_function(plain).model_copy(update={"parameters": closed}))

    async with Client(server) as client:
        [tool] = await client.list_tools()
        result = await client.call_tool("plain", {"hidden": "given"})

    assert tool.input_schema == closed
    assert result.data == "given"


async def test_errors_of_dependencies_are_masked() -> None:
    """`explained`, `tools.caller`: what is raised does not reach the caller, and is logged with a traceback."""
    server: FastMCP[Any] = FastMCP("plain", mask_error_details=True)

    def fail() -> None:
        raise LookupError("the reason")

    @server.tool
    def needy(made: None = Depends(fail)) -> None:
        """Need something."""

    async with Client(server) as client:
        result = await client.call_tool("needy", {}, raise_on_error=False)

    assert result.content[0].text == "Error calling tool 'needy'"


class Replaced(Middleware):
    """Has the request be that of somebody else."""

    async def on_call_tool(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        other = AccessToken(token="other", client_id="other", scopes=[])
        get_http_request().scope["user"] = AuthenticatedUser(other)
        return await call_next(context)


async def test_tool_sees_whom_the_scope_names() -> None:
    """`tools.session_check`: `get_access_token` asks the scope of the request before the SDK's context variable."""
    auth = StaticTokenVerifier({"first": {"client_id": "first", "scopes": []}})
    server: FastMCP[Any] = FastMCP("plain", auth=auth, middleware=[Replaced()])

    @server.tool
    def who() -> str:
        """Tell who calls."""
        access = get_access_token()
        return access.client_id if access else ""

    app = server.http_app(path="/mcp", stateless_http=True, json_response=True)
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "who", "arguments": {}}}
    headers = {"Authorization": "Bearer first", "Accept": "application/json, text/event-stream"}
    async with app.lifespan(app), httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=BASE) as http:
        reply = await http.post("/mcp", json=message, headers=headers)

    assert reply.json()["result"]["content"][0]["text"] == "other"


class Upstream:
    """An upstream client that redeems a code only when two callers redeem it."""

    def __init__(self) -> None:
        self._both = asyncio.Barrier(2)

    async def fetch_token(self, **_: Any) -> dict[str, Any]:
        async with asyncio.timeout(10):
            await self._both.wait()
        return {"access_token": "t", "expires_in": 3600}

    async def aclose(self) -> None:
        """Close nothing."""


async def test_one_return_of_a_browser_is_redeemed_twice(
    http: httpx2.AsyncClient, auth: AzureProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`EntraProxy._handle_idp_callback`: two requests with one state both redeem Entra's code, and both get a code."""
    upstream = Upstream()
    monkeypatch.setattr(auth, "_create_upstream_oauth_client", lambda: upstream)
    monkeypatch.setattr(auth, "_require_authorization_consent", False)
    at_entra = (await authorize(http)).headers["Location"]
    back = {"code": "one", "state": parse_qs(urlsplit(at_entra).query)["state"][0]}

    answers = await asyncio.gather(*(http.get("/auth/callback", params=back) for _ in range(2)))

    codes = {parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0] for answer in answers}
    assert len(codes) == 2


async def test_arguments_of_a_tool_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """`logs`: at DEBUG the log holds the arguments of a call."""
    server: FastMCP[Any] = FastMCP("plain")

    @server.tool
    def echo(text: str) -> str:
        """Return the text."""
        return text

    caplog.set_level(logging.DEBUG)
    for name in [name for name in logging.root.manager.loggerDict if name.split(".")[0] in ("fastmcp", "mcp")]:
        caplog.set_level(logging.DEBUG, name)
    async with Client(server) as client:
        await client.call_tool("echo", {"text": "a-subject-of-a-mail"})

    assert "a-subject-of-a-mail" in caplog.text


def test_sigterm_ends_the_acceptance_of_connections_at_once() -> None:
    """`web.serving.Server.handle_exit`: uvicorn begins to close its socket with the signal."""
    server = uvicorn.Server(uvicorn.Config("nothing:nothing", log_config=None))

    server.handle_exit(signal.SIGTERM, None)

    assert server.should_exit


async def test_uvicorn_serves_without_sockets_and_makes_its_protocols_so() -> None:
    """`web.worker`: an empty list of sockets opens none, and the protocol of a connection takes these arguments."""
    config = uvicorn.Config(lambda *_: None, log_config=None, http="httptools", lifespan="off")
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[])
    arguments = list(inspect.signature(HttpToolsProtocol.__init__).parameters)

    assert server.servers == []
    assert arguments == ["self", "config", "server_state", "app_state", "_loop"]


async def test_uvicorn_limits_no_head_and_no_time() -> None:
    """`web.bounded_http`: a request of 1 MB of header fields is served, and no setting limits its size or its time."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    config, state = uvicorn.Config(application, log_config=None, http="httptools", lifespan="off"), ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: HttpToolsProtocol(config, state, {}), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        head = [b"GET / HTTP/1.1", b"Host: a", b"Host: b", b"Connection: close", b"X: " + b"a" * 1_000_000]
        writer.write(b"\r\n".join(head) + b"\r\n\r\n")
        answer = await reader.read()
        writer.close()
    settings = inspect.signature(uvicorn.Config).parameters

    assert answer.startswith(b"HTTP/1.1 204 ")
    assert {name for name in settings if name.startswith(("timeout", "limit", "h11_max", "max"))} == {
        "timeout_keep_alive",
        "timeout_notify",
        "timeout_graceful_shutdown",
        "timeout_worker_healthcheck",
        "limit_concurrency",
        "limit_max_requests",
        "limit_max_requests_jitter",
        "h11_max_incomplete_event_size",
    }


def test_redis_store_waits_for_no_connection_and_decodes_no_password() -> None:
    """`storage.redis_client`: the pool fails when it is used up, and a percent-encoded password is taken literally."""
    pool = RedisStore(url="redis://user:p%40ss@localhost:6379/0")._client.connection_pool

    assert not isinstance(pool, BlockingConnectionPool)
    assert pool.connection_kwargs["password"] == "p%40ss"


async def test_encryption_accepts_plain_and_copied_records() -> None:
    """`storage.encryption`: a record that is not encrypted is read, and so is one copied from another key."""
    plain = MemoryStore()
    encrypted = FernetEncryptionWrapper(plain, fernet=Fernet(Fernet.generate_key()))
    await plain.put("forged", {"person": "eve"})
    await encrypted.put("ada", {"person": "ada"})
    await plain.put("eve", await plain.get("ada") or {})

    assert await encrypted.get("forged") == {"person": "eve"}
    assert await encrypted.get("eve") == {"person": "ada"}


class Away(CIMDFetcher):
    """A fetcher whose host is away."""

    async def fetch(self, client_id_url: str) -> CIMDDocument:
        raise CIMDFetchError("away")


async def test_metadata_document_that_cannot_be_fetched_is_no_client(auth: AzureProvider) -> None:
    """`auth.client_metadata`: an outage is an unknown client, which signs people out; Azure's host may be asked."""
    manager = auth._cimd_manager
    assert isinstance(manager, CIMDClientManager)
    manager._fetcher = Away()

    assert await auth.get_client("https://client.example.com/client.json") is None
    assert is_ip_allowed("168.63.129.16")


async def test_assertion_counts_once_in_each_process() -> None:
    """`auth.client_metadata.assertions`: what one validator has seen, another does not know."""
    pair, url = RSAKeyPair.generate(), "https://client.example.com/client.json"
    public = load_pem_public_key(pair.public_key.encode())
    assert isinstance(public, RSAPublicKey)
    key = {**RSAAlgorithm.to_jwk(public, as_dict=True), "kid": "k1"}
    document = CIMDDocument(client_id=url, redirect_uris=["http://localhost/callback"], jwks={"keys": [key]})
    text = pair.create_token(
        subject=url, issuer=url, audience="a", kid="k1", expires_in_seconds=60, additional_claims={"jti": "one"}
    )

    for _ in range(2):
        validator = CIMDAssertionValidator()  # type: ignore[no-untyped-call]
        assert await validator.validate_assertion(text, url, "a", document)


@pytest.mark.parametrize("scope", ["", "mcp-access offline_access"])
async def test_foreign_scopes_are_refused(http: httpx2.AsyncClient, scope: str) -> None:
    """`OAuthParameters`: an empty scope, and a word of OpenID Connect, end the sign-in."""
    assert "error=invalid_scope" in (await authorize(http, scope=scope)).headers["Location"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Content-Type": "APPLICATION/JSON"}, 415), ({"Accept": "text/event-stream"}, 406), ({"Accept": ""}, 406)],
)
async def test_headers_are_read_by_the_letter(headers: dict[str, str], status: int) -> None:
    """`RequestHeaders`: media types have a case, and a client has to name JSON."""
    app = FastMCP("open").http_app(path="/mcp", stateless_http=True, json_response=True)
    body = b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}'
    usual = {"Content-Type": "application/json", "Accept": "application/json"}
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=BASE) as client,
    ):
        assert (await client.post("/mcp", content=body, headers={**usual, **headers})).status_code == status


async def test_sentences_have_line_breaks(http: httpx2.AsyncClient) -> None:
    """`ErrorDescriptions`: each mistake is a line, and one of the whole body has no name before its colon."""
    broken = await http.post("/register", content=b"{", headers={"Content-Type": "application/json"})
    query = {"client_id": "x", "response_type": "token", "redirect_uri": "x"}
    several = await http.get("/authorize", params=query)

    assert broken.json()["error_description"].startswith(": ")
    assert "\n" in several.json()["error_description"]


async def test_metadata_leaves_out_public_clients_at_revoke(http: httpx2.AsyncClient) -> None:
    """`server_metadata`: the revocation endpoint is said to need a secret."""
    document = (await http.get("/.well-known/oauth-authorization-server")).json()

    assert document["token_endpoint_auth_methods_supported"] == ["none", "private_key_jwt"]
    assert document["revocation_endpoint_auth_methods_supported"] == ["client_secret_post", "client_secret_basic"]


async def test_error_that_asks_for_a_url_survives_in_a_middleware_only() -> None:
    """`tools.url_elicitation`: -32042 of a tool becomes an unnamed failure; a middleware's reaches the client."""
    asked = [ElicitRequestURLParams(message="Look", url=f"{BASE}/page", elicitation_id="1")]

    class Asking(Middleware):
        async def on_call_tool(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
            result = await call_next(context)
            if context.message.name == "told":
                raise UrlElicitationRequiredError(asked)
            return result

    server: FastMCP[Any] = FastMCP("plain", middleware=[Asking()])

    @server.tool
    def asks() -> None:
        """Ask."""
        raise UrlElicitationRequiredError(asked)

    @server.tool
    def told() -> None:
        """Do nothing."""

    async with Client(server) as client:
        masked = await client.call_tool("asks", {}, raise_on_error=False)
        with pytest.raises(MCPError) as caught:
            await client.call_tool("told", {})

    assert masked.is_error
    assert UrlElicitationRequiredError.from_error(caught.value.error).elicitations == asked


async def test_stateless_server_forgets_what_a_client_declared() -> None:
    """`web.mcp_sessions`: after `initialize` nothing is known of the client; a session id is ignored."""
    server: FastMCP[Any] = FastMCP("open")

    @server.tool
    async def declared(context: Context) -> bool:
        """Return whether the capabilities are known."""
        return context.session.client_capabilities is not None

    app = server.http_app(path="/mcp", stateless_http=True, json_response=True)
    elicitation = {"capabilities": {"elicitation": {"url": {}}}, "clientInfo": {"name": "x", "version": "1"}}
    first = {"method": "initialize", "params": {"protocolVersion": "2025-11-25", **elicitation}}
    second = {"method": "tools/call", "params": {"name": "declared", "arguments": {}}}
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=BASE, headers=headers) as client,
    ):
        begun = await client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, **first})
        client.headers["Mcp-Session-Id"] = "any"
        called = await client.post("/mcp", json={"jsonrpc": "2.0", "id": 2, **second})
        listened, ended = await client.get("/mcp"), await client.delete("/mcp")

    assert "Mcp-Session-Id" not in begun.headers
    assert called.json()["result"]["structuredContent"] == {"result": False}
    assert (listened.status_code, ended.status_code) == (405, 405)


def test_docstring_of_a_tool_is_parsed() -> None:
    """`tools.published`: FastMCP takes the description apart, with griffe, which a server without docstrings spares."""

    async def send(to: str) -> str:
        """Send a mail.

        Args:
            to: who gets it.
        """
        return to

    tool = Tool.from_function(send)

    assert (tool.description or "").strip() == "Send a mail."
    assert tool.parameters["properties"]["to"]["description"] == "who gets it."
    assert "griffe" in sys.modules


def test_store_checks_types_while_it_runs() -> None:
    """`settings.skip_type_checks`: py-key-value compiles a check for each method, and only warns."""
    words: Any = "many"
    with pytest.warns(UserWarning, match="violates type hint"):
        MemoryStore(max_entries_per_collection=words)


async def test_callback_of_a_client_forgets_why_it_was_refused() -> None:
    """FastMCP 4.2: of `access_denied` the description is lost; else the doctor could use this callback server."""
    found, ready = OAuthCallbackResult(), cast("Any", asyncio.Event())
    server = create_oauth_callback_server(9, result_container=found, result_ready=ready)
    query = {"error": "access_denied", "error_description": "consent_missing: x", "state": "s"}

    app: Any = server.config.app
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url=BASE) as http:
        await http.get("/callback", params=query)

    assert "consent_missing" not in str(found.error)


def test_trace_of_a_message_gives_way_to_that_of_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """`tracing.below`: FastMCP reads `traceparent` in `_meta` only where no header has named a trace."""
    monkeypatch.setattr(fastmcp.settings, "telemetry_mode", "native")
    meta = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
    ambient = trace.SpanContext(3, 4, is_remote=True)

    with trace.use_span(trace.NonRecordingSpan(ambient)):
        found = trace.get_current_span(extract_trace_context(meta)).get_span_context()

    assert found == ambient
    assert trace.get_current_span(extract_trace_context(meta)).get_span_context().trace_id == int("1" * 32, 16)


def test_error_of_a_span_is_the_name_of_its_exception() -> None:
    """`tracing.ERROR_CODE`: FastMCP writes `error.type` after our middleware, so the code needs a name of its own."""
    assert error_span_attributes(ToolError("mailbox_missing: x"))["error.type"] == "tool_error"
