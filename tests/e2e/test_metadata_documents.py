"""Clients that bring a metadata document (CIMD) instead of registering: two replicas and a real https host."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from jwt.algorithms import ECAlgorithm

from m365_mcp.auth.client_metadata.clients import CLIENT_METADATA
from m365_mcp.storage import redis_client
from m365_mcp.storage.backends import RedisBackend
from m365_mcp.storage.encryption import make_cipher
from m365_mcp.storage.guard import Guard
from m365_mcp.storage.records import Records
from tests.backends import one_node
from tests.document_host import Answer, DocumentHost, document, running_host, write_authorities
from tests.e2e.grants import (
    KEYS,
    Grant,
    call_tool,
    grant_of,
    post_mcp,
    post_token,
    refresh,
    start_replicas,
    start_server,
)
from tests.e2e.person import Assistant, PersonAtBrowser, PersonOAuth, direct_client
from tests.e2e.programs import Redis, Server, Simulator
from tests.e2e.typescript import NEEDS_TYPESCRIPT, run_typescript
from tests.simulator.client import VERIFIER, challenge

pytestmark = pytest.mark.full

HOURS = 3600.0


@dataclass
class Place:
    """The host of a client's document, and two replicas that may fetch from it."""

    host: DocumentHost
    replicas: list[Server]
    simulator: Simulator
    redis: Redis

    @property
    def client_id(self) -> str:
        return self.host.url()

    async def sign_in(self) -> tuple[Grant, PersonAtBrowser]:
        """Sign Ada in at the first replica with the metadata document; return her tokens and her browser."""
        assistant = Assistant(self.replicas[0].url, PersonAtBrowser(self.simulator.ready["ca_file"]))
        oauth = DocumentOAuth(assistant.person, assistant.storage, self.client_id)
        transport = StreamableHttpTransport(assistant.endpoint, auth=oauth, httpx_client_factory=direct_client)
        async with Client(transport) as client:
            result = await client.call_tool("get_my_profile")
        assert result.structured_content is not None
        assert result.structured_content["displayName"] == "Ada Lovelace"
        return await grant_of(assistant), assistant.person

    async def age(self, seconds: float) -> None:
        """Let time pass for the stored document."""
        async with redis_client.connect(self.redis.url) as client:
            cipher = make_cipher([KEYS["STORAGE_ENCRYPTION_KEY"]], (KEYS["JWT_SIGNING_KEY"],))
            records = Records(RedisBackend(one_node(client), Guard()), cipher)
            key = hashlib.sha256(self.client_id.encode()).hexdigest()
            stored = await records.read(CLIENT_METADATA.name, key)
            assert stored.value is not None
            times = {
                name: value - seconds for name, value in stored.value.items() if isinstance(value, float) and value
            }
            aged = {**stored.value, **times}
            assert await records.compare_and_swap(CLIENT_METADATA.name, key, stored, aged, 1000)

    async def forget_documents(self) -> None:
        """Delete every document from the store."""
        async with redis_client.connect(self.redis.url) as client:
            found = [key async for key in client.scan_iter(match=f"*{CLIENT_METADATA.name}*")]
            assert found
            await client.delete(*found)

    def restart(self) -> None:
        """Restart both replicas."""
        for replica in self.replicas:
            replica.program.end()
            replica.start()


class DocumentOAuth(PersonOAuth):
    """The OAuth client of the Python MCP SDK, as FastMCP uses it, with a metadata document."""

    def __init__(self, person: PersonAtBrowser, storage: object, client_id: str) -> None:
        super().__init__(person, storage)
        self._client_metadata_url = client_id


@pytest.fixture
async def place(tmp_path: Path, simulator: Simulator, shared_redis: Redis) -> AsyncIterator[Place]:
    authority = trustme.CA()
    trusted = write_authorities(tmp_path / "authorities.pem", authority, simulator.ready["ca_file"])
    async with running_host(authority) as host:
        host.answers["/client.json"] = document(host.url())
        settings = {"SSL_CERT_FILE": str(trusted), "MCP_CIMD_ALLOWED_HOSTS": host.netloc}
        settings["MCP_SESSION_CACHE_SECONDS"] = "0"  # reads what another replica has ended
        replicas = start_replicas(tmp_path, simulator, shared_redis.url, 2, **settings)
        yield Place(host, replicas, simulator, shared_redis)


async def authorize(url: str, client_id: str, accept: str = "application/json", **changes: str) -> httpx2.Response:
    query = {
        "client_id": client_id,
        "redirect_uri": "http://localhost:9/callback",
        "response_type": "code",
        "code_challenge": "x" * 43,
        "code_challenge_method": "S256",
        **changes,
    }
    async with direct_client(headers={"Accept": accept}) as http:
        return await http.get(f"{url}/authorize", params=query)


async def revoke(url: str, grant: Grant) -> httpx2.Response:
    async with direct_client() as http:
        return await http.post(f"{url}/revoke", data={"token": grant.refresh, "client_id": grant.client_id})


async def test_client_with_a_metadata_document_signs_in(place: Place) -> None:
    """No registration is made; consent shows the document's host, and the tools work."""
    grant, person = await place.sign_in()

    assert grant.client_id == place.client_id
    consent = person.pages[1].text
    assert "localhost" in consent
    assert "Document client" in consent
    assert len(place.host.requests) == 1


@pytest.mark.parametrize("uri", ["https://evil.example/callback", "http://localhost:9/other"])
async def test_document_cannot_allow_what_the_operator_does_not(place: Place, uri: str) -> None:
    """A redirect URI must be in the document and on the operator's list."""
    assert (await authorize(place.replicas[0].url, place.client_id, redirect_uri=uri)).status_code == 400


async def test_f4_uri_that_the_document_does_not_list_is_for_its_maker_to_list(place: Place) -> None:
    """There is no registration to repeat: program, page and log name the document."""
    url = place.replicas[0].url
    refused = await authorize(url, place.client_id, redirect_uri="http://localhost:9/other")
    page = await authorize(url, place.client_id, "text/html", redirect_uri="http://localhost:9/other")

    told = refused.json()["error_description"]
    assert "http://localhost:9/other is not one that this client's metadata document lists" in told
    assert "register" not in told
    assert "<h1>Your assistant asks for an address that its maker does not list</h1>" in page.text
    assert "http://localhost:9/other" in page.text
    assert place.replicas[0].log.count('"cause": "not_in_document"') == 2


OUTAGES = {
    "forbidden": Answer(403),
    "missing": Answer(404),
    "failing": Answer(500),
    "page": Answer(200, b"<html>Are you a robot?", {"Content-Type": "text/html"}),
    "moved": Answer(302, headers={"Location": "https://localhost/"}),
    "nonsense": Answer(200, b"[" * 5000),
    "silent": Answer(silent=True),
    "away": None,
}


@pytest.mark.full
async def test_f1_document_out_of_reach_signs_nobody_out(place: Place) -> None:
    """Whatever happens to the document's host, and after a restart: refresh, tools, authorize and revoke go on."""
    grant, _ = await place.sign_in()
    for name, answer in OUTAGES.items():
        await place.age(2 * HOURS)
        place.host.requests.clear()
        if answer is None:
            await place.host.stop()
        else:
            place.host.answers["/client.json"] = answer
        place.restart()

        for replica in place.replicas:
            grant = grant.after(await refresh(replica.url, grant))
            assert (await call_tool(replica.url, grant.access)).status_code == 200, name
            assert (await authorize(replica.url, place.client_id)).status_code == 302, name
        assert len(place.host.requests) == (0 if answer is None else 2), name

    assert (await revoke(place.replicas[1].url, grant)).status_code == 200
    assert (await post_mcp(place.replicas[0].url, grant.access)).status_code == 401


@NEEDS_TYPESCRIPT
async def test_f1_typescript_sdk_goes_on_while_its_document_is_out_of_reach(place: Place) -> None:
    """It signs in with the document; then the host ends and the replicas restart; its refresh and its tools work."""
    person = PersonAtBrowser(place.simulator.ready["ca_file"])

    async def take_away() -> None:
        await place.age(2 * HOURS)
        await place.host.stop()
        place.restart()

    metadata = {"client_name": "TypeScript", "redirect_uris": ["http://localhost:9/callback"]}
    found = await run_typescript(place.replicas[0].url, person, metadata, place.client_id, take_away)

    assert (found["clientId"], found["refreshed"]) == (place.client_id, True)
    assert "send_mail" in found["tools"]


async def test_f1_document_that_stays_missing_is_gone(place: Place) -> None:
    """404 twice, an hour apart, ends the client; once does not."""
    grant, _ = await place.sign_in()
    place.host.answers["/client.json"] = Answer(410)
    await place.age(2 * HOURS)
    grant = grant.after(await refresh(place.replicas[0].url, grant))
    await place.age(0.9 * HOURS)
    grant = grant.after(await refresh(place.replicas[1].url, grant))

    await place.age(0.2 * HOURS)
    place.restart()

    for replica in place.replicas:
        reply = await refresh(replica.url, grant)
        assert (reply.status_code, reply.json()["error"]) == (401, "invalid_client")


async def test_f1_unknown_document_out_of_reach_is_an_outage(place: Place) -> None:
    """Without an earlier document a program reads 503 and when to come back, and a browser reads which host it is."""
    await place.host.stop()
    url = place.replicas[0].url
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": place.client_id}

    replies = [
        await post_token(url, form),
        await authorize(url, place.client_id),
        await revoke(url, Grant(place.client_id, "x", "x")),
    ]
    page = await authorize(url, place.client_id, "text/html")

    for reply in replies:
        assert (reply.status_code, reply.json()["error"]) == (503, "temporarily_unavailable")
        assert int(reply.headers["Retry-After"]) > 0
    assert page.status_code == 503
    assert page.headers["Content-Type"].startswith("text/html")
    assert place.host.netloc in page.text


async def test_h12_odd_document_is_a_mistake_of_the_client(place: Place) -> None:
    """A document that is none is a 400 with a sentence on every endpoint, and never a 500."""
    for number, body in enumerate((b"[" * 5000, b"null", b'{"client_id": 1}', b"{" + b" " * 6000 + b"}")):
        place.host.answers[f"/odd-{number}.json"] = Answer(200, body)
        client_id = place.host.url(f"/odd-{number}.json")
        url = place.replicas[0].url
        form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": client_id}

        replies = [
            await post_token(url, form),
            await authorize(url, client_id),
            await revoke(url, Grant(client_id, "x", "x")),
        ]
        page = await authorize(url, client_id, "text/html")

        for reply in replies:
            assert (reply.status_code, reply.json()["error"]) == (400, "invalid_client"), body[:20]
            assert "client_metadata_invalid" in reply.json()["error_description"]
        assert page.status_code == 400
        assert place.host.netloc in page.text
    assert "Traceback" not in place.replicas[0].log


async def test_h12_host_that_the_operator_does_not_name_is_not_asked(place: Place) -> None:
    """Another address, another port, or a cloud's own address is refused without a request."""
    port = place.host.port
    for netloc in (f"127.0.0.1:{port}", f"localhost:{port % 10_000 + 1}", "168.63.129.16", "169.254.169.254"):
        reply = await authorize(place.replicas[0].url, f"https://{netloc}/client.json")

        assert reply.status_code == 400, netloc
    assert place.host.requests == []


KEY = ec.generate_private_key(ec.SECP256R1())
JWK: dict[str, Any] = {**ECAlgorithm(ECAlgorithm.SHA256).to_jwk(KEY.public_key(), as_dict=True), "kid": "one"}


def assertion(client_id: str, audience: str, **changes: Any) -> str:
    now = int(time.time())
    claims = {"iss": client_id, "sub": client_id, "aud": audience, "jti": uuid.uuid4().hex, "iat": now, "exp": now + 60}
    return jwt.encode({**claims, **changes}, KEY, "ES256", {"kid": "one"})


async def error_with(url: str, client_id: str, text: str) -> str:
    """Return what /token says to an assertion together with a refresh token that is none."""
    form = {
        "grant_type": "refresh_token",
        "refresh_token": "x",
        "client_id": client_id,
        **signed(text),
    }
    return str((await post_token(url, form)).json()["error"])


def signed(text: str) -> dict[str, str]:
    """Return the fields with an assertion."""
    return {
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": text,
    }


async def grant_with_key(place: Place, audience: str) -> Grant:
    """Sign Ada in and redeem the code with an assertion; the Python SDK's client signs none."""
    redirect_uri = "http://localhost:9/callback"
    begun = await authorize(place.replicas[0].url, place.client_id, code_challenge=challenge())
    back = await PersonAtBrowser(place.simulator.ready["ca_file"]).sign_in(begun.headers["Location"])
    form = {"grant_type": "authorization_code", "code": httpx2.URL(back).params["code"], "redirect_uri": redirect_uri}
    form |= {"client_id": place.client_id, "code_verifier": VERIFIER}
    reply = await post_token(place.replicas[0].url, form | signed(assertion(place.client_id, audience)))
    return Grant(place.client_id, "", "").after(reply)


@pytest.mark.parametrize("inside", [True, False], ids=["jwks", "jwks_uri"])
async def test_b14_h19_assertion_counts_once_over_all_replicas(place: Place, inside: bool) -> None:
    """A client that proves itself with a key refreshes once with each assertion, wherever its keys are."""
    keys = {"jwks": {"keys": [JWK]}} if inside else {"jwks_uri": place.host.url("/keys")}
    signing = document(place.client_id, token_endpoint_auth_method="private_key_jwt", **keys)
    place.host.answers["/client.json"] = signing
    place.host.answers["/keys"] = document(place.client_id, keys=[JWK])
    one, two = (replica.url for replica in place.replicas)
    audience = f"{one}/token"
    grant = await grant_with_key(place, audience)
    text = assertion(place.client_id, audience)

    replies = [await post_token(url, grant.refresh_form | signed(text)) for url in (one, one, two, two)]
    fresh = await post_token(two, grant.refresh_form | signed(assertion(place.client_id, audience)))

    assert [reply.status_code for reply in replies] == [200, 401, 401, 401]
    assert {reply.json()["error"] for reply in replies[1:]} == {"invalid_client"}
    assert fresh.status_code == 200


ODD_CLAIMS: list[dict[str, Any]] = [
    {"jti": ["a"]},
    {"jti": ""},
    {"jti": "x" * 600},
    {"exp": "soon"},
    {"exp": True},
    {"iat": "x"},
    {"sub": 1},
]


async def test_h19_odd_assertion_is_refused(place: Place) -> None:
    """A claim of another form is an assertion that is not valid, and no fault of the server."""
    place.host.answers["/client.json"] = document(
        place.client_id, token_endpoint_auth_method="private_key_jwt", jwks={"keys": [JWK, 1]}
    )
    url = place.replicas[0].url
    header = {"kid": "one"}
    now = int(time.time())
    base = {"iss": place.client_id, "sub": place.client_id, "aud": f"{url}/token", "jti": "a", "exp": now + 60}
    for claims in ODD_CLAIMS:
        text = jwt.api_jws.encode(json.dumps({**base, **claims}).encode(), KEY, "ES256", header)

        assert await error_with(url, place.client_id, text) == "invalid_client", claims


ODD_KEYS: list[dict[str, Any]] = [{"keys": [1]}, {"keys": "x"}, {"keys": [{"kty": "EC"}]}, {"keys": [{"kty": []}]}, {}]


async def test_h19_odd_keys_are_refused(place: Place) -> None:
    """Keys of another form are a client that cannot prove itself, and no fault of the server."""
    url = place.replicas[0].url
    for number, keys in enumerate(ODD_KEYS):
        client_id = place.host.url(f"/odd-{number}.json")
        place.host.answers[f"/odd-{number}.json"] = document(
            client_id, token_endpoint_auth_method="private_key_jwt", jwks=keys
        )

        assert await error_with(url, client_id, assertion(client_id, f"{url}/token")) == "invalid_client", keys


AUDIENCES: list[tuple[str | list[str], str]] = [
    ("{0}", "invalid_grant"),
    ("{0}/", "invalid_grant"),
    ("{0}/token", "invalid_grant"),
    (["{0}/"], "invalid_grant"),
    (["{0}/", "https://evil.example"], "invalid_client"),
    ("{0}/mcp", "invalid_client"),
    ("{0}//", "invalid_client"),
    ("https://evil.example/", "invalid_client"),
    ("", "invalid_client"),
]


async def test_f14_assertion_is_for_the_issuer_or_the_token_endpoint(place: Place) -> None:
    """F14: the audience of the MCP SDKs, our issuer, is accepted at /token and /revoke, and nobody else's is."""
    place.host.answers["/client.json"] = document(
        place.client_id, token_endpoint_auth_method="private_key_jwt", jwks={"keys": [JWK]}
    )
    url = place.replicas[0].url
    for audience, error in AUDIENCES:
        named = audience.format(url) if isinstance(audience, str) else [one.format(url) for one in audience]
        form = {
            "token": "x",
            "client_id": place.client_id,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion(place.client_id, url, aud=named),
        }
        async with direct_client() as http:
            revoked = await http.post(f"{url}/revoke", data=form)

        assert await error_with(url, place.client_id, assertion(place.client_id, url, aud=named)) == error, named
        assert revoked.status_code == (200 if error == "invalid_grant" else 401), named


async def test_f1_sign_in_goes_on_at_another_replica_while_the_host_is_away(place: Place) -> None:
    """F1: the consent page of the other replica has the client's name, and /token there knows the client."""
    begun = await authorize(place.replicas[0].url, place.client_id)
    await place.host.stop()
    consent = begun.headers["Location"].replace(place.replicas[0].url, place.replicas[1].url)
    async with direct_client(headers={"Accept": "text/html"}) as http:
        page = await http.get(consent)
        token = await post_token(
            place.replicas[1].url, {"grant_type": "refresh_token", "refresh_token": "x", "client_id": place.client_id}
        )

    assert page.status_code == 200
    assert "Document client" in page.text
    assert (token.status_code, token.json()["error"]) == (401, "invalid_grant")


async def test_f1_consent_to_nobody_is_not_asked_for(place: Place) -> None:
    """F1: when no replica has the document any more, the page says so instead of asking for an app without a name."""
    begun = await authorize(place.replicas[0].url, place.client_id)
    await place.host.stop()
    await place.forget_documents()
    place.restart()
    async with direct_client(headers={"Accept": "text/html"}) as http:
        page = await http.get(begun.headers["Location"])

    assert page.status_code == 503
    assert place.host.netloc in page.text


async def test_metadata_documents_can_be_switched_off(tmp_path: Path, simulator: Simulator) -> None:
    """With MCP_CIMD=off nothing is advertised, and a URL is an unknown client id."""
    url = start_server(tmp_path, simulator, MCP_CIMD="off").url
    async with direct_client() as http:
        metadata = (await http.get(f"{url}/.well-known/oauth-authorization-server")).json()
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": "https://claude.ai/client.json"}
    reply = await post_token(url, form)

    assert not metadata.get("client_id_metadata_document_supported")
    assert "private_key_jwt" not in metadata["token_endpoint_auth_methods_supported"]
    assert (reply.status_code, reply.json()["error"]) == (401, "invalid_client")
