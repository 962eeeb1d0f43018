"""A server with workers: who they are, and which of them answered."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from pathlib import Path

from tests.e2e.grants import KEYS
from tests.e2e.programs import PATIENCE_SECONDS, Server, Simulator, make_server

Pair = tuple[int, ...]


def start_pair(folder: Path, simulator: Simulator, redis_url: str, *, preloaded: bool = True, **more: str) -> Server:
    """Start a server with two workers."""
    settings = {"REDIS_URL": redis_url, "MCP_WORKERS": "2", "MCP_LOG_FORMAT": "json", **KEYS, **more}
    server = make_server(folder, simulator, **settings)
    server.program.preloaded = preloaded
    server.start()
    return server


def workers_of(server: Server) -> Pair:
    """Return the process ids of the workers."""
    assert server.program.process is not None
    pid = server.program.process.pid
    return tuple(int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def runs(pid: int) -> bool:
    """Return whether a process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for_end(pids: Pair) -> None:
    """Return when none of the processes runs any more."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(map(runs, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def kill_worker(server: Server, victim: int, number: int = signal.SIGKILL) -> None:
    """End one worker, and return when another one has its place."""
    before = events(server, "worker_ready")
    os.kill(victim, number)
    server.program.wait_until(lambda: events(server, "worker_ready") > before)


def records(server: Server) -> list[dict[str, object]]:
    """Return the records of the log; the last line may not be whole yet."""
    return [json.loads(line) for line in server.log.splitlines() if line.startswith("{") and line.endswith("}")]


def events(server: Server, name: str) -> int:
    return sum(record["event"] == name for record in records(server))


def calls_by_worker(server: Server) -> Counter[object]:
    """Return how many tool calls each worker has answered."""
    return Counter(record["worker"] for record in records(server) if record["event"] == "tool_called")
