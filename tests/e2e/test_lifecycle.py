"""Starting, stopping and hanging up: what is in flight ends well."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.person import Assistant, PersonAtBrowser, direct_client
from tests.e2e.programs import Server, Simulator, make_redis, make_server
from tests.trust import NO_AUTHORITY

pytestmark = pytest.mark.full

MAIL = {"to": ["grace@contoso.example"], "subject": "Hello", "body": "Hi"}
HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
SLOW_SEND = {"where": {"path": "/v1.0/me/sendMail"}, "what": {"delay_seconds": 1.5}}


async def post_send(url: str, token: str) -> httpx2.Response:
    body: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    body["params"] = {"name": "send_mail", "arguments": MAIL}
    async with direct_client(headers={**HEADERS, "Authorization": f"Bearer {token}"}) as http:
        return await http.post(f"{url}/mcp", json=body)


async def graph_is_asked(simulator: Simulator) -> None:
    """Return once the send has reached Graph."""
    while not simulator.control("GET", "faults")[0]["struck"]:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.02)


@pytest.fixture
async def signed_in(simulator: Simulator, tmp_path: Path) -> tuple[Server, str]:
    """A server of this test's own, and a token for it."""
    server = make_server(tmp_path, simulator, REDIS_URL="memory://")
    server.start()
    ada = Assistant(server.url, PersonAtBrowser(simulator.ready["ca_file"]))
    assert not (await ada.call("get_my_profile")).is_error
    return server, await ada.token()


async def test_sigterm_lets_a_send_in_flight_end(signed_in: tuple[Server, str], simulator: Simulator) -> None:
    """The call that is running when the server is told to stop gets its answer, and the mail is sent once."""
    server, token = signed_in
    simulator.control("POST", "faults", **SLOW_SEND)
    call = asyncio.create_task(post_send(server.url, token))
    await graph_is_asked(simulator)

    server.program.send(signal.SIGTERM)
    reply = await call
    server.program.end()

    assert reply.status_code == 200
    assert reply.json()["result"]["structuredContent"]["status"] == "sent"
    assert len(simulator.outbox) == 1


async def test_client_that_hangs_up_does_not_cancel_its_send(
    signed_in: tuple[Server, str], simulator: Simulator
) -> None:
    """A send that has begun is finished although nobody waits for the answer."""
    server, token = signed_in
    simulator.control("POST", "faults", **SLOW_SEND)
    call = asyncio.create_task(post_send(server.url, token))
    await graph_is_asked(simulator)

    call.cancel()
    while '"tool": "send_mail", "outcome": "ok"' not in server.log:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.02)
    server.program.end()

    assert len(simulator.outbox) == 1


@pytest.mark.full
async def test_sessions_in_the_server_can_be_asked_for(simulator: Simulator, tmp_path: Path) -> None:
    """FASTMCP_STATELESS_HTTP=false is honoured: clients get a session, and everything else works the same."""
    server = make_server(tmp_path, simulator, REDIS_URL="memory://", FASTMCP_STATELESS_HTTP="false")
    server.start()
    ada = Assistant(server.url, PersonAtBrowser(simulator.ready["ca_file"]))
    result = await ada.call("send_mail", MAIL)
    initialize = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }
    async with direct_client(headers={**HEADERS, "Authorization": f"Bearer {await ada.token()}"}) as http:
        reply = await http.post(f"{server.url}/mcp", json=initialize)
    server.program.end()

    assert not result.is_error
    assert reply.headers["Mcp-Session-Id"]


async def test_j1_server_is_ready_when_everything_has_worked_once(simulator: Simulator, tmp_path: Path) -> None:
    """J1: a cold server without Redis or keys is alive and not ready; it becomes ready by itself, and stays so."""
    redis = make_redis(tmp_path)
    keys = {"where": {"path": "*/keys"}, "what": {"status": 503}}
    simulator.control("POST", "faults", **keys, times=None)
    server = make_server(tmp_path, simulator, REDIS_URL=redis.url)
    server.start(ready=False)

    states = [await _readiness(server)]
    redis.start()
    states.append(await _readiness(server))
    simulator.control("DELETE", "faults")
    states.append(await _readiness(server))
    redis.program.end(signal.SIGKILL)
    states.append(await _readiness(server))
    alive = httpx2.get(f"{server.url}/livez", verify=NO_AUTHORITY, trust_env=False).status_code
    server.program.end()

    assert states == [
        (503, "starting", {"storage": "storage_unavailable", "entra": "entra_unavailable"}),
        (503, "starting", {"storage": "ok", "entra": "entra_unavailable"}),
        (200, "ok", {"storage": "ok", "entra": "ok"}),
        (200, "degraded", {"storage": "storage_unavailable", "entra": "ok"}),
    ]
    assert alive == 200


async def _readiness(server: Server) -> tuple[int, str, dict[str, str]]:
    async with direct_client() as http:
        reply = await http.get(f"{server.url}/readyz")
    return reply.status_code, reply.json()["status"], reply.json()["checks"]


async def test_sigterm_fails_readiness_first_and_then_drains(simulator: Simulator, tmp_path: Path) -> None:
    """After SIGTERM the probe says no while calls are still served, on connections that end; then the process ends."""
    server = make_server(tmp_path, simulator, REDIS_URL="memory://", MCP_SHUTDOWN_DELAY_SECONDS="3")
    server.start()
    ada = Assistant(server.url, PersonAtBrowser(simulator.ready["ca_file"]))
    assert not (await ada.call("get_my_profile")).is_error
    token = await ada.token()

    server.program.send(signal.SIGTERM)
    while (state := await _readiness(server))[0] == 200:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.02)
    reply = await post_send(server.url, token)
    code = server.program.end(0)

    assert state[:2] == (503, "draining")
    assert reply.json()["result"]["structuredContent"]["status"] == "sent"
    assert reply.headers["Connection"] == "close"
    assert code == 0


async def test_second_signal_ends_the_delay(simulator: Simulator, tmp_path: Path) -> None:
    """Whoever cannot wait sends the signal again."""
    server = make_server(tmp_path, simulator, REDIS_URL="memory://", MCP_SHUTDOWN_DELAY_SECONDS="60")
    server.start()

    server.program.send(signal.SIGTERM)
    while (await _readiness(server))[0] == 200:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.02)

    assert server.program.end() == 0
