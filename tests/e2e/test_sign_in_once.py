"""Codes and callbacks count once, whatever fails in between; several tenants; secrets that rotate."""

import asyncio
import base64
import hashlib
import secrets
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import redis as redis_py

from tests.e2e.grants import (
    KEYS,
    Grant,
    assistant_at,
    call_tool,
    grant_of,
    post_mcp,
    post_token,
    refresh,
    signed_in,
    start_replicas,
    start_server,
)
from tests.e2e.person import PersonAtBrowser, SignInFailed, direct_client, text_of
from tests.e2e.programs import Redis, Server, Simulator, make_redis

pytestmark = pytest.mark.full

CALLBACK = "http://localhost:1/callback"


async def code_form(server: Server, simulator: Simulator, name: str = "ada@contoso.example") -> dict[str, str]:
    """Register a client, sign a person in, and return what redeems the code."""
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    async with direct_client() as http:
        client = {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}
        client_id = (await http.post(f"{server.url}/register", json=client)).json()["client_id"]
    query = {"client_id": client_id, "redirect_uri": CALLBACK, "response_type": "code", "state": "s"}
    query |= {"code_challenge": challenge, "code_challenge_method": "S256"}
    back = await PersonAtBrowser(simulator.ready["ca_file"], name).sign_in(f"{server.url}/authorize?{urlencode(query)}")
    code = dict(parse_qsl(urlsplit(back).query))["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "client_id": client_id}
    return {**form, "code_verifier": verifier}


async def test_a5_two_replicas_never_both_redeem_a_code(
    tmp_path: Path, simulator: Simulator, shared_redis: Redis
) -> None:
    """A5: the same code at once on both replicas, ten codes: one answer has tokens, the others are invalid_grant."""
    replicas = start_replicas(tmp_path, simulator, shared_redis.url)
    for _ in range(10):
        form = await code_form(replicas[0], simulator)
        replies = await asyncio.gather(*(post_token(replicas[n % 2].url, form) for n in range(6)))

        assert sorted(reply.status_code for reply in replies) == [200, 401, 401, 401, 401, 401]
        assert {reply.json()["error"] for reply in replies if reply.status_code == 401} == {"invalid_grant"}
        good = next(reply for reply in replies if reply.status_code == 200)
        assert (await post_mcp(replicas[1].url, good.json()["access_token"])).status_code == 200


async def test_a6_code_that_comes_again_later_ends_its_session(
    tmp_path: Path, simulator: Simulator, shared_redis: Redis
) -> None:
    """A6: RFC 6749 section 4.1.2: a code redeemed again after the grace time was stolen, and ends the session."""
    server = start_server(tmp_path, simulator, REDIS_URL=shared_redis.url, MCP_REFRESH_GRACE_SECONDS="0")
    form = await code_form(server, simulator)
    tokens = (await post_token(server.url, form)).json()

    again = await post_token(server.url, form)
    dead = await post_mcp(server.url, tokens["access_token"])
    server.program.end()

    assert again.json()["error"] == "invalid_grant"
    assert dead.status_code == 401


async def test_e7_s7_full_store_burns_neither_code_nor_sign_in(tmp_path: Path, simulator: Simulator) -> None:
    """E7/S7: with Redis out of memory reads go on, writes are 503; then the same code and refresh token work."""
    redis = make_redis(tmp_path)
    redis.start()
    server = start_server(tmp_path, simulator, REDIS_URL=redis.url)
    grant = await signed_in(server, simulator)
    form = await code_form(server, simulator)
    with redis_py.Redis.from_url(redis.url) as client:
        client.config_set("maxmemory", "1")
        full = {
            "code": (await post_token(server.url, form)).status_code,
            "refresh": (await refresh(server.url, grant)).status_code,
            "call": (await post_mcp(server.url, grant.access)).status_code,
        }
        client.config_set("maxmemory", "0")

    redeemed, refreshed = await post_token(server.url, form), await refresh(server.url, grant)
    server.program.end()
    redis.program.end()

    assert full == {"code": 503, "refresh": 503, "call": 200}
    assert (redeemed.status_code, refreshed.status_code) == (200, 200)


@pytest.mark.full
async def test_a4_browser_that_comes_back_twice_counts_once(server: Server, simulator: Simulator) -> None:
    """A4: three returns with one state at once: one goes on to the client, the others see a page that says so."""
    person = PersonAtBrowser(simulator.ready["ca_file"])
    returns = ReturnsThrice(person)
    assistant = assistant_at(server, simulator)
    assistant.person = returns

    result = await assistant.call("get_my_profile")

    assert not result.is_error
    assert sorted(returns.statuses) == [302, 400, 400]
    assert "sign_in_already_done" in returns.told


class ReturnsThrice(PersonAtBrowser):
    """A person whose browser loads the address after the sign-in three times at once."""

    def __init__(self, person: PersonAtBrowser) -> None:
        self.__dict__.update(person.__dict__)
        self.statuses: list[int] = []
        self.told = ""

    async def sign_in(self, url: str) -> str:
        async with self.open() as http:
            page = await http.get(url)
            while True:
                target = page.headers.get("Location", "")
                if urlsplit(target).path == "/auth/callback":
                    pages = await asyncio.gather(*(http.get(target) for _ in range(3)))
                    self.statuses = [page.status_code for page in pages]
                    self.told = "".join(page.text for page in pages if page.status_code == 400)
                    return str(next(page for page in pages if page.status_code == 302).headers["Location"])
                page = await http.get(target) if target else await self._fill_in(http, page)


async def test_people_of_the_listed_tenants_may_come_and_others_may_not(tmp_path: Path, simulator: Simulator) -> None:
    """Multi-tenant: two tenants work through sign-in, exchange and refresh; a third is told who can let it in."""
    simulator.control("PATCH", "app", multi_tenant=True)
    northwind = simulator.control("POST", "tenants", domain="northwind.example")["id"]
    simulator.control("POST", "people", name="nora", domain="northwind.example")
    allowed = f"{simulator.ready['tenant_id']},{simulator.ready['other_tenant_id']}"
    server = start_server(tmp_path, simulator, AZURE_TENANT_ID="organizations", AZURE_ALLOWED_TENANTS=allowed, **KEYS)
    for name in ("ada@contoso.example", "marie@fabrikam.example"):
        assistant = assistant_at(server, simulator, name)
        assert name in text_of(await assistant.call("get_my_profile"))
        refreshed = await refresh(server.url, await grant_of(assistant))
        assert refreshed.status_code == 200
    with pytest.raises(SignInFailed) as refused:
        await code_form(server, simulator, "nora@northwind.example")
    server.program.end()

    assert "person_not_allowed" in refused.value.page.text
    assert "AZURE_ALLOWED_TENANTS" in refused.value.page.text
    assert northwind not in allowed


async def test_k4_each_secret_rotates_without_a_sign_in(
    tmp_path: Path, simulator: Simulator, shared_redis: Redis
) -> None:
    """K4: a new Entra secret, signing key and encryption key, one at a time, then without the old: one sign-in."""
    new_jwt, new_storage = "another-signing-key-of-enough-characters", base64.urlsafe_b64encode(b"n" * 32).decode()
    old_jwt, old_storage = KEYS["JWT_SIGNING_KEY"], KEYS["STORAGE_ENCRYPTION_KEY"]
    old_secret = simulator.ready["client_secret"]
    simulator.control("PATCH", "app", secrets=[{"value": old_secret}, {"value": "a-new-client-secret"}])
    steps: list[dict[str, str]] = [
        {},
        {"AZURE_CLIENT_SECRET": "a-new-client-secret"},
        {"JWT_SIGNING_KEY": f"{new_jwt},{old_jwt}"},
        {"JWT_SIGNING_KEY": new_jwt},
        {"STORAGE_ENCRYPTION_KEY": f"{new_storage},{old_storage}"},
        {"STORAGE_ENCRYPTION_KEY": new_storage},
    ]
    settings = {**KEYS, "AZURE_CLIENT_SECRET": old_secret, "REDIS_URL": shared_redis.url}
    grant: Grant | None = None
    for step in steps:
        settings |= step
        server = start_server(tmp_path, simulator, **settings)
        settings |= {"MCP_SERVER_BASE_URL": server.url, "MCP_PORT": server.url.rpartition(":")[2]}
        if grant is None:
            grant = await signed_in(server, simulator)
        called = await call_tool(server.url, grant.access)
        # Whoever uses the server within the rotation gets tokens and a record made with the new keys.
        grant = grant.after(await refresh(server.url, grant))
        server.program.end()
        assert called.status_code == 200, step
        assert not called.json()["result"].get("isError"), step


async def test_naming_a_signing_key_for_the_first_time_signs_nobody_out(
    tmp_path: Path, simulator: Simulator, shared_redis: Redis
) -> None:
    """K4: keys derived from the client secret are still accepted once keys of their own are set."""
    first = start_server(tmp_path, simulator, REDIS_URL=shared_redis.url)
    place = {"MCP_SERVER_BASE_URL": first.url, "MCP_PORT": first.url.rpartition(":")[2]}
    grant = await signed_in(first, simulator)
    first.program.end()
    second = start_server(tmp_path, simulator, REDIS_URL=shared_redis.url, **place, **KEYS)

    works = await call_tool(second.url, grant.access)
    second.program.end()

    assert works.status_code == 200
    assert not works.json()["result"].get("isError")
