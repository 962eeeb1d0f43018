"""Several workers behind one port: what they share, and what of one of them is seen outside."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections import Counter
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.grants import HEADERS, Grant, call_tool, post_token, refresh, signed_in
from tests.e2e.person import direct_client
from tests.e2e.programs import Redis, Server, Simulator, free_port
from tests.e2e.workers import calls_by_worker, kill_worker, records, runs, start_pair, wait_for_end, workers_of
from tests.trust import NO_AUTHORITY

pytestmark = [pytest.mark.full, pytest.mark.timeout(180)]
MAIL: dict[str, Any] = {"to": ["grace@contoso.example"], "subject": "Hello", "body": "Hi"}
PROFILE = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "get_my_profile", "arguments": {}}}
SHARE = 0.4  # of the calls, which each of two workers takes at least


@pytest.fixture
async def pair(simulator: Simulator, shared_redis: Redis, tmp_path: Path) -> Server:
    """A server with two workers."""
    return start_pair(tmp_path, simulator, shared_redis.url, MCP_WORKERS="2")


@pytest.fixture
async def grant(pair: Server, simulator: Simulator) -> Grant:
    """Ada's tokens."""
    return await signed_in(pair, simulator)


def told(reply: httpx2.Response) -> str:
    """Return what became of a send, in the server's word."""
    assert reply.status_code == 200, reply.text
    return str(reply.json()["result"]["structuredContent"]["status"])


def new_calls(server: Server, before: Counter[object]) -> list[int]:
    found = calls_by_worker(server) - before
    return [found[number] for number in (0, 1)]


async def test_connections_that_stay_open_are_spread_evenly(pair: Server, grant: Grant) -> None:
    """Of 32 connections that come at once and stay open, each of two workers has its share, and so of the calls."""
    before = calls_by_worker(pair)
    async with AsyncExitStack() as stack:
        opened = [direct_client(headers={**HEADERS, "Authorization": f"Bearer {grant.access}"}) for _ in range(32)]
        clients = [await stack.enter_async_context(client) for client in opened]
        for _ in range(3):
            replies = await asyncio.gather(*(each.post(f"{pair.url}/mcp", json=PROFILE) for each in clients))
            assert {reply.status_code for reply in replies} == {200}

    calls = new_calls(pair, before)
    assert sum(calls) == 96
    assert min(calls) >= SHARE * 96


@pytest.mark.parametrize("at_once", [1, 8])
async def test_short_connections_are_spread_evenly(pair: Server, grant: Grant, at_once: int) -> None:
    """A connection for every call: each of two workers has its share, one after another and several at once."""
    before = calls_by_worker(pair)
    for _ in range(64 // at_once):
        await asyncio.gather(*(call_tool(pair.url, grant.access) for _ in range(at_once)))

    calls = new_calls(pair, before)
    assert sum(calls) == 64
    assert min(calls) >= SHARE * 64


async def test_equal_sends_at_both_workers_are_one_mail(pair: Server, grant: Grant, simulator: Simulator) -> None:
    """Twenty equal sends at once, on both workers, send one mail, and every call is told of it."""
    replies = await asyncio.gather(*(call_tool(pair.url, grant.access, "send_mail", **MAIL) for _ in range(20)))

    assert sorted(map(told, replies)) == ["already_sent"] * 19 + ["sent"]
    assert len(simulator.outbox) == 1
    assert min(calls_by_worker(pair).values()) > 1


async def test_parallel_refreshes_at_both_workers_get_one_pair(pair: Server, grant: Grant) -> None:
    """Eight refreshes of one token at once are one rotation."""
    replies = await asyncio.gather(*(refresh(pair.url, grant) for _ in range(8)))

    assert {reply.status_code for reply in replies} == {200}
    assert len({reply.json()["refresh_token"] for reply in replies}) == 1


async def test_session_that_ended_at_one_worker_is_refused_by_both(
    pair: Server, grant: Grant, simulator: Simulator
) -> None:
    """After /revoke, sends on many connections are all refused, and no mail leaves."""
    async with direct_client() as http:
        form = {"token": grant.refresh, "client_id": grant.client_id}
        assert (await http.post(f"{pair.url}/revoke", data=form)).status_code == 200
    replies = [await call_tool(pair.url, grant.access, "send_mail", **MAIL) for _ in range(8)]
    refreshed = await post_token(pair.url, grant.refresh_form)

    assert [reply.status_code for reply in replies] == [401] * 8
    assert refreshed.status_code == 401
    assert simulator.outbox == []


async def test_worker_that_is_killed_is_replaced(pair: Server, grant: Grant) -> None:
    """After SIGKILL a worker has a successor, the other one lives on, and both answer."""
    before, counted = workers_of(pair), calls_by_worker(pair)
    kill_worker(pair, before[0])
    after = workers_of(pair)
    replies = [await call_tool(pair.url, grant.access) for _ in range(8)]

    assert len(after) == 2
    assert set(before) & set(after) == {before[1]}
    assert [reply.status_code for reply in replies] == [200] * 8
    assert min(new_calls(pair, counted)) >= 1


async def test_killed_workers_lose_and_double_no_mail(pair: Server, grant: Grant, simulator: Simulator) -> None:
    """Workers are killed under sends, whose callers repeat what broke off with its key: each mail leaves once."""

    async def send(number: int) -> str:
        mail = {**MAIL, "subject": f"Hello {number}", "idempotency_key": f"key {number}"}
        while True:
            with suppress(httpx2.TransportError):
                reply = await call_tool(pair.url, grant.access, "send_mail", **mail)
                return "outcome_unknown" if "outcome_unknown" in reply.text else told(reply)

    sends = [asyncio.create_task(send(number)) for number in range(24)]
    for number in range(3):
        while len(simulator.outbox) < 4 * (number + 1):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
        await asyncio.to_thread(kill_worker, pair, workers_of(pair)[number % 2])
    outcomes = await asyncio.gather(*sends)

    mails = Counter(mail["subject"] for mail in simulator.outbox)
    assert max(mails.values()) == 1
    assert set(outcomes) <= {"sent", "already_sent", "outcome_unknown"}
    assert {f"Hello {n}" for n, outcome in enumerate(outcomes) if outcome != "outcome_unknown"} <= set(mails)
    assert len(workers_of(pair)) == 2


async def test_sigterm_drains_every_worker_and_leaves_none(pair: Server, grant: Grant, simulator: Simulator) -> None:
    """Sends in flight on both workers end well, the exit code is 0, and no process is left."""
    simulator.control("POST", "faults", where={"path": "/v1.0/me/sendMail"}, what={"delay_seconds": 1.5}, times=None)
    mails = [{**MAIL, "subject": f"Hello {number}"} for number in range(4)]
    calls = [asyncio.create_task(call_tool(pair.url, grant.access, "send_mail", **mail)) for mail in mails]
    while simulator.control("GET", "faults")[0]["struck"] < 4:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.02)
    pids = workers_of(pair)
    pair.program.send(signal.SIGTERM)
    replies = await asyncio.gather(*calls)

    assert [told(reply) for reply in replies] == ["sent"] * 4
    assert pair.program.end() == 0
    assert not any(map(runs, pids))
    assert len(simulator.outbox) == 4


async def test_sigterm_to_every_process_skips_no_delay(
    simulator: Simulator, shared_redis: Redis, tmp_path: Path
) -> None:
    """As systemd ends a service: connections during the delay are answered, also when the workers know of it first."""
    server = start_pair(tmp_path, simulator, shared_redis.url, MCP_SHUTDOWN_DELAY_SECONDS="60")
    pids = workers_of(server)
    server.program.send(signal.SIGSTOP)
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    await asyncio.sleep(0.5)  # the supervisor hears of the workers' signals first, and at once of its own
    server.program.send(signal.SIGTERM)
    server.program.send(signal.SIGCONT)
    async with httpx2.AsyncClient(verify=NO_AUTHORITY, trust_env=False) as http:
        while (await http.get(f"{server.url}/readyz")).status_code != 503:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
    async with httpx2.AsyncClient(verify=NO_AUTHORITY, trust_env=False, headers={"Connection": "close"}) as http:
        codes = [(await http.get(f"{server.url}/livez")).status_code for _ in range(20)]

    assert codes == [200] * 20
    assert all(map(runs, pids))
    assert server.program.end() == 0
    assert not any(map(runs, pids))


async def test_ctrl_c_ends_everything(pair: Server) -> None:
    """SIGINT at the supervisor alone ends it with the code of an interrupted program, and every worker."""
    pids = workers_of(pair)

    assert pair.program.end(signal.SIGINT) == 130
    assert not any(map(runs, pids))


async def test_worker_does_not_outlive_its_supervisor(pair: Server) -> None:
    """When the supervisor is killed, the workers end by themselves."""
    pids = workers_of(pair)
    pair.program.end(signal.SIGKILL)

    wait_for_end(pids)


async def test_sigterm_to_one_worker_drains_and_replaces_it(pair: Server, grant: Grant) -> None:
    """A worker that is told to end gets no further connection, and has a successor."""
    first, second = workers_of(pair)
    kill_worker(pair, first, signal.SIGTERM)

    assert second in workers_of(pair)
    assert first not in workers_of(pair)
    assert [(await call_tool(pair.url, grant.access)).status_code for _ in range(4)] == [200] * 4


async def test_probes_and_log_tell_of_the_worker(pair: Server) -> None:
    """Probes are answered by each worker for itself, and every record of a worker has its number."""
    async with httpx2.AsyncClient(verify=NO_AUTHORITY, trust_env=False) as http:
        states = [(await http.get(f"{pair.url}{path}")).status_code for path in ("/livez", "/readyz") * 4]
    started = [(record["worker"], record["pid"]) for record in records(pair) if record["event"] == "worker_started"]

    assert states == [200] * 8
    assert started == list(enumerate(workers_of(pair)))
    assert {record.get("worker") for record in records(pair) if record["event"] == "storage_opened"} == {None, 0, 1}


def metrics_folders(folder: Path) -> list[Path]:
    return list(folder.glob("m365-mcp-metrics-*"))


async def test_metrics_count_all_workers(simulator: Simulator, shared_redis: Redis, tmp_path: Path) -> None:
    """`/metrics` has the calls of both workers, also of one that was killed, and how many have the policies."""
    port = free_port()
    more = {"MCP_METRICS_PORT": str(port), "TMPDIR": str(tmp_path)}
    server = start_pair(tmp_path, simulator, shared_redis.url, preloaded=False, **more)
    grant = await signed_in(server, simulator)
    for _ in range(6):
        await call_tool(server.url, grant.access)
    kill_worker(server, workers_of(server)[1])
    await call_tool(server.url, grant.access)
    async with httpx2.AsyncClient(verify=NO_AUTHORITY, trust_env=False) as http:
        shown = (await http.get(f"http://127.0.0.1:{port}/metrics")).text

    assert min(calls_by_worker(server).values()) >= 3
    assert re.findall(r'^m365_mcp_tool_calls_total\{.*"get_my_profile".*\} (\S+)', shown, re.M) == ["8.0"]
    assert re.findall(r"^m365_mcp_policies\{.*\} (\S+)", shown, re.M) == ["2.0"]
    assert metrics_folders(tmp_path)
    assert server.program.end() == 0
    assert not metrics_folders(tmp_path)
