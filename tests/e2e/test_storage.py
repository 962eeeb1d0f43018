"""Sign-ins outlive restarts, are unreadable where they are stored, and an outage is never a sign-out."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis as redis_py
from cryptography.fernet import Fernet

from tests.e2e.person import Assistant, PersonAtBrowser, direct_client
from tests.e2e.programs import Redis, Server, Simulator, make_redis, make_server
from tests.trust import NO_AUTHORITY

pytestmark = pytest.mark.full

CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}


ASKS = {"MCP_SESSION_CACHE_SECONDS": "0"}  # every call asks the store, whose trouble these tests make


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A Redis of one test, which may be killed and frozen."""
    redis = make_redis(tmp_path)
    redis.start()
    yield redis
    redis.program.end(signal.SIGKILL)


def assistant_for(server: Server, simulator: Simulator) -> Assistant:
    return Assistant(server.url, PersonAtBrowser(simulator.ready["ca_file"]))


async def list_tools(assistant: Assistant) -> httpx2.Response:
    """Call /mcp by hand with the assistant's token."""
    token = await assistant.token()
    async with direct_client(headers={**HEADERS, "Authorization": f"Bearer {token}"}) as http:
        return await http.post(assistant.endpoint, json=CALL)


async def test_restarts_and_a_redis_outage_need_no_new_sign_in(
    simulator: Simulator, redis: Redis, tmp_path: Path
) -> None:
    """Redis is killed, the server restarted, Redis comes back with its data: the same client simply goes on."""
    server = make_server(tmp_path, simulator, REDIS_URL=redis.url, **ASKS)
    server.start()
    ada = assistant_for(server, simulator)
    assert not (await ada.call("get_my_profile")).is_error

    redis.program.end(signal.SIGKILL)
    away = await list_tools(ada)
    server.program.end()
    server.start(ready=False)
    still_away = await list_tools(ada)
    redis.start()
    result = await ada.call("get_my_profile")

    server.program.end()
    for reply in (away, still_away):
        assert reply.status_code == 503
        assert int(reply.headers["Retry-After"]) > 0
        assert reply.json()["error"] == "temporarily_unavailable"
    assert not result.is_error
    assert ada.sign_ins == 1


@pytest.mark.full
async def test_frozen_redis_is_an_answer_within_seconds_everywhere(
    simulator: Simulator, redis: Redis, tmp_path: Path
) -> None:
    """While Redis hangs, every endpoint that needs it says 503 with Retry-After; a bad token is still just bad."""
    server = make_server(tmp_path, simulator, REDIS_URL=redis.url, **ASKS)
    server.start()
    ada = assistant_for(server, simulator)
    assert not (await ada.call("get_my_profile")).is_error

    redis.program.send(signal.SIGSTOP)
    try:
        replies = await _ask_everywhere(server, await ada.token())
    finally:
        redis.program.send(signal.SIGCONT)
    after = await list_tools(ada)

    server.program.end()
    assert {name: reply.status_code for name, reply in replies.items()} == {
        "mcp": 503,
        "bad token": 401,
        "register": 503,
        "authorize": 503,
        "consent": 503,
        "callback": 503,
        "token": 503,
        "readyz": 200,  # this replica is not to blame, and answers better than a proxy without any
        "livez": 200,
        "metadata": 200,
    }
    assert all("Retry-After" in reply.headers for name, reply in replies.items() if name not in _NO_RETRY)
    assert "<html" in replies["consent"].text
    assert replies["readyz"].json()["status"] == "degraded"
    assert replies["readyz"].json()["checks"]["storage"] == "storage_unavailable"
    assert after.status_code == 200


_NO_RETRY = ("bad token", "readyz", "livez", "metadata")


async def _ask_everywhere(server: Server, token: str) -> dict[str, httpx2.Response]:
    registration = {"redirect_uris": ["http://localhost:1/callback"], "token_endpoint_auth_method": "none"}
    refresh = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": "x"}
    authorize = "client_id=x&redirect_uri=http://localhost:1/callback&response_type=code&code_challenge=x"
    # 10 seconds: each endpoint makes up to two reads of at most 2.5 seconds.
    async with direct_client(headers=HEADERS, timeout=httpx2.Timeout(10)) as http:
        good, bad = {"Authorization": f"Bearer {token}"}, {"Authorization": "Bearer garbage"}
        return {
            "mcp": await http.post(f"{server.url}/mcp", json=CALL, headers=good),
            "bad token": await http.post(f"{server.url}/mcp", json=CALL, headers=bad),
            "register": await http.post(f"{server.url}/register", json=registration),
            "authorize": await http.get(f"{server.url}/authorize?{authorize}"),
            "consent": await http.get(f"{server.url}/consent?txn_id=x"),
            "callback": await http.get(f"{server.url}/auth/callback?code=x&state=x"),
            "token": await http.post(f"{server.url}/token", data=refresh),
            "readyz": await http.get(f"{server.url}/readyz"),
            "livez": await http.get(f"{server.url}/livez"),
            "metadata": await http.get(f"{server.url}/.well-known/oauth-protected-resource/mcp"),
        }


@pytest.mark.full
async def test_two_hundred_simultaneous_calls_lose_none(ada: Assistant, server: Server) -> None:
    """Twice as many calls at once as a default Redis pool has connections all get through."""
    assert not (await ada.call("get_my_profile")).is_error
    token = await ada.token()
    limits = httpx2.Limits(max_connections=None)
    headers = {**HEADERS, "Authorization": f"Bearer {token}"}

    async with httpx2.AsyncClient(
        headers=headers, limits=limits, verify=NO_AUTHORITY, trust_env=False, timeout=60
    ) as http:
        replies = await asyncio.gather(*(http.post(f"{server.url}/mcp", json=CALL) for _ in range(200)))

    assert {reply.status_code for reply in replies} == {200}


async def test_k3_nothing_readable_is_stored_in_redis(simulator: Simulator, redis: Redis, tmp_path: Path) -> None:
    """No value in Redis holds a token, an address, a client's name or a redirect URI in the clear."""
    server = make_server(tmp_path, simulator, REDIS_URL=redis.url)
    server.start()
    ada = assistant_for(server, simulator)
    assert not (await ada.call("get_my_profile")).is_error
    server.program.end()

    raw = _everything_in(redis)

    assert len(raw) >= 4
    text = "\n".join(raw.values())
    for secret in ("eyJhbGciOi", "access_token", "refresh_token", "contoso", "FastMCP", "callback", "code_challenge"):
        assert secret not in text


def _everything_in(redis: Redis) -> dict[str, str]:
    with redis_py.Redis.from_url(redis.url, decode_responses=True) as client:
        return {key: client.get(key) for key in client.scan_iter()}


async def test_s11_records_put_there_by_somebody_else_are_worth_nothing(
    simulator: Simulator, redis: Redis, tmp_path: Path
) -> None:
    """Without the key, write access to Redis does not let a person become another one by copying records."""
    server = make_server(tmp_path, simulator, REDIS_URL=redis.url, **ASKS)
    server.start()
    victim, attacker = assistant_for(server, simulator), assistant_for(server, simulator)
    attacker.person.username = "grace@contoso.example"
    assert not (await victim.call("get_my_profile")).is_error
    victims = {key for key in _everything_in(redis) if key.startswith("m365-sessions")}
    assert not (await attacker.call("get_my_profile")).is_error
    attackers = {key for key in _everything_in(redis) if key.startswith("m365-sessions")} - victims

    with redis_py.Redis.from_url(redis.url, decode_responses=True) as client:
        client.copy(victims.pop(), attackers.pop(), replace=True)
    reply = await list_tools(attacker)

    server.program.end()
    assert reply.status_code == 401
    assert "record_misplaced" in server.log


async def test_changed_encryption_key_means_sign_in_again_and_rotation_means_nothing(
    simulator: Simulator, redis: Redis, tmp_path: Path
) -> None:
    """Putting a new key in front keeps everybody signed in; replacing it asks for one clean sign-in."""
    first, second, third = (Fernet.generate_key().decode() for _ in range(3))
    ada: Any = None
    sign_ins = []
    port_and_url: dict[str, str] = {}
    for keys in (first, f"{second},{first}", third):
        server = make_server(tmp_path, simulator, REDIS_URL=redis.url, STORAGE_ENCRYPTION_KEY=keys, **port_and_url)
        server.url = port_and_url.get("MCP_SERVER_BASE_URL", server.url)
        port_and_url = {"MCP_SERVER_BASE_URL": server.url, "MCP_PORT": server.url.rpartition(":")[2]}
        server.start()
        ada = ada or assistant_for(server, simulator)
        result = await ada.call("get_my_profile")
        server.program.end()
        assert not result.is_error
        sign_ins.append(ada.sign_ins)

    assert sign_ins == [1, 1, 2]


async def test_without_redis_sign_ins_are_kept_on_disk(simulator: Simulator, tmp_path: Path) -> None:
    """A laptop without Redis keeps its sign-in over a restart, in a private folder, unreadable."""
    server = make_server(tmp_path, simulator)
    server.start()
    ada = assistant_for(server, simulator)
    assert not (await ada.call("get_my_profile")).is_error
    server.program.end()
    server.start()
    result = await ada.call("get_my_profile")
    server.program.end()

    assert not result.is_error
    assert ada.sign_ins == 1
    folders = [path for path in (tmp_path / "data").iterdir() if path.is_dir()]
    assert [oct(folder.stat().st_mode)[-3:] for folder in folders] == ["700"]
    stored = [path.read_text() for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert stored
    assert not [text for text in stored if "eyJhbGciOi" in text or "callback" in text]
