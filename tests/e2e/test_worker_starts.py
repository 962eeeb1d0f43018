"""Several workers that cannot start, or not with these settings; and settings that change while they run."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from m365_mcp.settings import foreign_environment
from tests.e2e.grants import KEYS, call_tool, signed_in
from tests.e2e.preloaded import run_preloaded
from tests.e2e.programs import Redis, Simulator, make_redis, make_server
from tests.e2e.workers import events, runs, start_pair, workers_of

pytestmark = [pytest.mark.full, pytest.mark.timeout(180)]
FORBIDS = '@id("none") @advice("Write to nobody.") forbid (principal, action, resource);\n'


def run_serve(folder: Path, simulator: Simulator, *arguments: str, **changes: str) -> tuple[int, str]:
    """Run `m365-mcp serve` to its end; return its exit code and what it said."""
    environment = {**make_server(folder, simulator, **KEYS, **changes).program.environment, "COLUMNS": "200"}
    ended = run_preloaded("serve", *arguments, folder=folder, environment={**foreign_environment(), **environment})
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("changes", "variable", "advice"),
    [
        ({}, "REDIS_URL", "because they share a Redis"),
        ({"REDIS_URL": "memory://"}, "MCP_WORKERS", "set REDIS_URL to its address"),
        ({"REDIS_URL": "redis://127.0.0.1:1", "FASTMCP_STATELESS_HTTP": "false"}, "MCP_WORKERS", "must be 1 with"),
        (
            {"REDIS_URL": "redis://127.0.0.1:1", "M365_POLICY_FILE": "/nowhere.cedar"},
            "M365_POLICY_FILE",
            "M365_POLICY_FILE",
        ),
    ],
)
def test_settings_that_no_worker_can_start_with_are_told_once(
    simulator: Simulator, tmp_path: Path, changes: dict[str, str], variable: str, advice: str
) -> None:
    """On the command line or not, what is wrong is one table with the variable and what to do, and exit code 2."""
    code, said = run_serve(tmp_path, simulator, "--workers", "2", **changes)

    assert code == 2
    assert said.count("Settings that are not valid") == 1
    assert variable in said
    assert advice in said
    assert "Traceback" not in said
    assert "worker_started" not in said


def test_command_line_takes_precedence(simulator: Simulator, tmp_path: Path) -> None:
    """`--workers 0` is refused in the name of the variable, although MCP_WORKERS itself is valid."""
    code, said = run_serve(tmp_path, simulator, "--workers", "0", MCP_WORKERS="1")

    assert code == 2
    assert "MCP_WORKERS" in said


async def test_worker_that_can_no_longer_start_ends_everything(
    simulator: Simulator, shared_redis: Redis, tmp_path: Path
) -> None:
    """A worker that dies after the file of policies was broken has no successor: one error, and no process is left."""
    file = tmp_path / "p.cedar"
    file.write_text("")
    server = start_pair(tmp_path, simulator, shared_redis.url, M365_POLICY_FILE=str(file))
    pids = workers_of(server)
    file.write_text("forbid (")
    os.kill(pids[0], signal.SIGKILL)
    assert server.program.process is not None

    assert await asyncio.to_thread(server.program.process.wait, 120) == 2
    assert server.log.count("Settings that are not valid") == 1
    assert "Traceback" not in server.log
    assert not any(map(runs, pids))


async def test_sighup_reloads_the_policies_of_every_worker(
    simulator: Simulator, shared_redis: Redis, tmp_path: Path
) -> None:
    """After SIGHUP at the supervisor every worker goes by the new policies, and none has ended."""
    file = tmp_path / "p.cedar"
    file.write_text("")
    server = start_pair(tmp_path, simulator, shared_redis.url, M365_POLICY_FILE=str(file))
    grant, pids = await signed_in(server, simulator), workers_of(server)
    file.write_text(FORBIDS)
    server.program.send(signal.SIGHUP)
    server.program.wait_until(lambda: events(server, "policies_changed") == 2)
    mail = {"to": ["grace@contoso.example"], "subject": "Hello", "body": "Hi"}
    replies = [await call_tool(server.url, grant.access, "send_mail", **mail) for _ in range(4)]

    assert ["policy_denied" in reply.text for reply in replies] == [True] * 4
    assert simulator.outbox == []
    assert workers_of(server) == pids


async def test_sighup_without_policies_ends_no_worker(
    simulator: Simulator, shared_redis: Redis, tmp_path: Path
) -> None:
    """A server with nothing to reload goes on."""
    server = start_pair(tmp_path, simulator, shared_redis.url)
    pids = workers_of(server)
    server.program.send(signal.SIGHUP)
    grant = await signed_in(server, simulator)

    assert (await call_tool(server.url, grant.access)).status_code == 200
    assert workers_of(server) == pids


async def test_workers_start_without_redis_and_wait_for_it(simulator: Simulator, tmp_path: Path) -> None:
    """A Redis that is named and away is no reason to end: the workers are alive, and ready when it is there."""
    redis = make_redis(tmp_path)
    server = make_server(tmp_path, simulator, REDIS_URL=redis.url, MCP_WORKERS="2", **KEYS)
    server.start(ready=False)
    redis.start()
    server.wait_until_ready()

    assert len(workers_of(server)) == 2
    assert server.program.end() == 0
