"""Traces across servers, restarts, workers and collectors that fail: with a real server and the simulator."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.e2e.grants import HEADERS, KEYS, Grant, call_tool, signed_in, start_server
from tests.e2e.person import direct_client
from tests.e2e.programs import Redis, Server, Simulator
from tests.e2e.test_traces import PARENT, TRACE, attributes, collecting

PROFILE: dict[str, Any] = {"name": "get_my_profile", "arguments": {}}
OTHER = "11111111222222223333333344444444"


async def call(server: Server, grant: Grant, headers: dict[str, str], meta: dict[str, str] | None = None) -> None:
    """Call a tool with these headers, and with this `_meta`."""
    params = {**PROFILE, "_meta": meta} if meta else PROFILE
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    sent = {**HEADERS, "Authorization": f"Bearer {grant.access}", **headers}
    async with direct_client(headers=sent) as http:
        reply = await http.post(f"{server.url}/mcp", json=body)
    assert reply.status_code == 200, reply.text


def calls_of(spans: list[Span], tool: str = "get_my_profile") -> list[Span]:
    return [span for span in spans if span.name == f"tools/call {tool}"]


async def test_context_in_meta_goes_first_and_on_to_microsoft(simulator: Simulator, tmp_path: Path) -> None:
    """The call is below the span that `_meta` names; Graph and Entra see its trace, and no baggage of a client."""
    meta = {"traceparent": f"00-{TRACE}-{PARENT}-01", "baggage": "person=ada"}
    with collecting() as collector:
        server = start_server(tmp_path, simulator, **collector.variables)
        grant = await signed_in(server, simulator)
        simulator.control("POST", "keys/roll", emergency=True)  # so that the call asks Entra, too
        await call(server, grant, {"traceparent": f"00-{OTHER}-{PARENT}-01", "baggage": "person=ada"}, meta)
        seen = simulator.control("GET", "requests")
        server.program.end()

    [span] = [one for one in calls_of(collector.spans()) if one.parent_span_id.hex() == PARENT]
    assert span.trace_id.hex() == TRACE
    below = {one.span_id.hex() for one in collector.spans() if one.trace_id.hex() == TRACE}
    passed_on = {one["path"].rpartition("/")[2]: one["traceparent"].split("-") for one in seen if one["traceparent"]}
    assert {"me", "token"} <= set(passed_on)
    assert {parts[1] for parts in passed_on.values()} == {TRACE}
    assert {parts[2] for parts in passed_on.values()} <= below
    assert not any(one["baggage"] for one in seen)


async def test_digest_of_a_person_is_keyed_and_outlives_a_restart(
    simulator: Simulator, shared_redis: Redis, tmp_path: Path
) -> None:
    """A person has one digest before and after a restart, another one at a server with other keys, and no id."""
    with collecting() as collector:
        settings = {**collector.variables, **KEYS, "REDIS_URL": shared_redis.url}
        server = start_server(tmp_path, simulator, **settings)
        grant = await signed_in(server, simulator)
        server.program.end()
        server.start()
        await call_tool(server.url, grant.access)
        server.program.end()
        before = len(calls_of(collector.spans()))
        other = start_server(tmp_path, simulator, **collector.variables)
        await signed_in(other, simulator)
        other.program.end()

    digests = [attributes(span)["enduser.pseudo.id"] for span in calls_of(collector.spans())]
    assert before >= 2
    assert len(set(digests[:before])) == 1
    assert set(digests[before:]).isdisjoint(digests[:before])


async def test_each_worker_exports(simulator: Simulator, shared_redis: Redis, tmp_path: Path) -> None:
    """Workers are forked before they export, and each has an exporter of its own: no span of a call is missing."""
    with collecting() as collector:
        settings = {**collector.variables, **KEYS, "REDIS_URL": shared_redis.url, "MCP_WORKERS": "2"}
        server = start_server(tmp_path, simulator, **settings)
        grant = await signed_in(server, simulator)
        for _ in range(10):  # each on a connection of its own
            await call_tool(server.url, grant.access)
        server.program.end()

    assert len(calls_of(collector.spans())) == 11
    assert len({span.span_id for span in collector.spans()}) == len(collector.spans())


async def test_standard_variables_choose_what_is_sampled(simulator: Simulator, tmp_path: Path) -> None:
    """OTEL_TRACES_SAMPLER is read by the SDK: `always_off` exports nothing."""
    with collecting() as collector:
        server = start_server(tmp_path, simulator, **collector.variables, OTEL_TRACES_SAMPLER="always_off")
        await signed_in(server, simulator)
        server.program.end()

    assert collector.raw == []


@contextmanager
def silent() -> Iterator[int]:
    """Yield a port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield int(listener.getsockname()[1])


@pytest.mark.parametrize("kind", ["silent", "refuses"])
async def test_collector_that_fails_stalls_nothing_and_ends_with_the_server(
    simulator: Simulator, tmp_path: Path, kind: str
) -> None:
    """Calls are answered while the exporter waits; the process ends by itself, with exit code 0, and no traceback."""
    with silent() as port:
        endpoint = f"http://127.0.0.1:{port if kind == 'silent' else 9}"
        more = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "50", "MCP_LOG_FORMAT": "json"}
        server = start_server(tmp_path, simulator, **more)
        grant = await signed_in(server, simulator)
        for _ in range(20):
            assert '"isError":true' not in (await call_tool(server.url, grant.access)).text
        assert server.program.end() == 0

    assert "Traceback" not in server.log
    assert all(line.startswith("{") for line in server.log.splitlines())
