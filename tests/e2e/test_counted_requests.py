"""What a real server counts of calls that are refused, broken off or never end: each has its record, none stays."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.grants import HEADERS, Grant, call_tool, signed_in, start_server
from tests.e2e.person import direct_client
from tests.e2e.programs import Server, Simulator, free_port

PROFILE = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "get_my_profile", "arguments": {}}}
JSON = {"Content-Type": "application/json"}
INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}},
}


CANCELLED = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}


def sample(port: int, name: str, **labels: str) -> float:
    """Return a sample of `/metrics`; 0 where there is none."""
    with httpx2.Client(trust_env=False, timeout=30) as http:
        text = http.get(f"http://127.0.0.1:{port}/metrics").text
    wanted = "".join(f'(?=[^}}]*{label}="{value}")' for label, value in labels.items())
    found = re.search(rf"^{name}(?:{{{wanted}[^}}]*}})? (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def calls_of(server: Server) -> list[dict[str, Any]]:
    """Return the records of calls in the log of a server."""
    return [found for line in server.log.splitlines() if (found := json.loads(line))["event"] == "tool_called"]


def bearer(grant: Grant, **more: str) -> dict[str, str]:
    return {**HEADERS, "Authorization": f"Bearer {grant.access}", **more}


async def broken_off(server: Server, grant: Grant) -> None:
    """Call a tool and do not wait for its answer."""
    async with direct_client(headers=bearer(grant), timeout=httpx2.Timeout(60, read=1)) as http:
        with pytest.raises(httpx2.ReadTimeout):
            await http.post(f"{server.url}/mcp", json=PROFILE)


async def test_call_whose_client_goes_has_a_record_and_leaves_nothing_in_flight(
    simulator: Simulator, tmp_path: Path
) -> None:
    """Microsoft answers late and the client has gone: one `tool_called`, one count, and 0 in flight."""
    port = free_port()
    server = start_server(tmp_path, simulator, MCP_METRICS_PORT=str(port), MCP_LOG_FORMAT="json")
    grant = await signed_in(server, simulator)
    simulator.control("POST", "faults", where={"path": "/v1.0/me"}, what={"delay_seconds": 4.0})
    before = len(calls_of(server))

    await broken_off(server, grant)
    server.program.wait_until(lambda: len(calls_of(server)) > before)
    server.program.wait_until(partial(_in_flight, port, 0))

    [record] = calls_of(server)[before:]
    assert (record["tool"], record["outcome"]) == ("get_my_profile", "ok")  # it went on to its end
    assert (record["client_id"], record["client_name"]) == (grant.client_id, "FastMCP Client")
    assert sample(port, "m365_mcp_tool_calls_total", tool="get_my_profile", outcome="ok") == before + 1


async def test_cancelled_call_has_a_record(simulator: Simulator, tmp_path: Path) -> None:
    """In a server that keeps sessions, a client takes a call back: the record says so, and an open stream counts."""
    port = free_port()
    options = {"MCP_METRICS_PORT": str(port), "MCP_LOG_FORMAT": "json", "FASTMCP_STATELESS_HTTP": "false"}
    server = start_server(tmp_path, simulator, **options)
    grant = await signed_in(server, simulator)
    before = len(calls_of(server))
    simulator.control("POST", "faults", where={"path": "/v1.0/me"}, what={"delay_seconds": 30.0})
    async with direct_client(headers=bearer(grant), timeout=httpx2.Timeout(60)) as http:
        url = f"{server.url}/mcp"
        begun = await http.post(url, json=INITIALIZE)
        session = {"mcp-session-id": begun.headers["mcp-session-id"]}
        async with http.stream("GET", url, headers=session) as stream:
            assert stream.status_code == 200
            assert sample(port, "m365_mcp_requests_in_flight") == 1
            calling = asyncio.create_task(http.post(url, json=PROFILE, headers=session))
            is_running = partial(_in_flight, port, 2)
            await asyncio.to_thread(server.program.wait_until, is_running)  # the call is sent meanwhile
            await http.post(url, json=CANCELLED, headers=session)
            await calling

    server.program.wait_until(partial(_in_flight, port, 0))
    [record] = calls_of(server)[before:]
    assert (record["tool"], record["outcome"]) == ("get_my_profile", "cancelled")
    assert sample(port, "m365_mcp_tool_calls_total", tool="get_my_profile", outcome="cancelled") == 1


async def test_nothing_stays_in_flight_after_refusals_and_broken_requests(simulator: Simulator, tmp_path: Path) -> None:
    """Refusals, unknown paths and hosts, a tool that does not exist, half a body, half a head, a fault of Microsoft."""
    port = free_port()
    server = start_server(tmp_path, simulator, MCP_METRICS_PORT=str(port), MCP_LOG_FORMAT="json")
    grant = await signed_in(server, simulator)
    async with direct_client(headers=HEADERS) as http:
        assert (await http.post(f"{server.url}/mcp", json=PROFILE)).status_code == 401
        assert (await http.get(f"{server.url}/nowhere")).status_code == 404
        assert (await http.post(f"{server.url}/mcp", headers={"Host": "evil.example"})).status_code == 421
        assert (await http.post(f"{server.url}/mcp", content=b"{", headers=bearer(grant, **JSON))).status_code == 400
    simulator.control("POST", "faults", where={"path": "/v1.0/me"}, what={"status": 200, "body": "no JSON"})
    assert (await call_tool(server.url, grant.access)).status_code == 200
    await call_tool(server.url, grant.access, "c4n4ry\x1b\nada@contoso.example")
    _break_off(server, b"POST /mcp HTTP/1.1\r\nHost: " + _host(server) + b"\r\nContent-Length: 99\r\n\r\n{")
    _break_off(server, b"POST /token HTTP/1.1\r\nHost: " + _host(server) + b"\r\nContent-Length: 99\r\n\r\na=")
    _break_off(server, b"POST /mcp HTTP/1.1\r\nHos")

    server.program.wait_until(partial(_in_flight, port, 0))
    assert calls_of(server)[-1]["tool"] == "unknown"
    assert sample(port, "m365_mcp_tool_calls_total", tool="unknown", outcome="unknown_tool") == 1
    assert "c4n4ry" not in server.log


def _in_flight(port: int, wanted: int) -> bool:
    return sample(port, "m365_mcp_requests_in_flight") == wanted


def _host(server: Server) -> bytes:
    return httpx2.URL(server.url).netloc


def _break_off(server: Server, begin: bytes) -> None:
    url = httpx2.URL(server.url)
    with socket.create_connection((url.host, int(url.port or 0)), timeout=30) as connection:
        connection.sendall(begin)
