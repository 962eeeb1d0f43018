"""Workers whose processes or files are short, whose output is closed, and which end where none is expected to."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.e2e.programs import Program, Server, free_port
from tests.e2e.workers import events, kill_worker, records, workers_of

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(60),
    pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux"),
]
CLOSED_OUTPUT = ["/bin/sh", "-c", 'exec "$0" "$@" >&-']


def make_pair(folder: Path, *before: str) -> Server:
    """Return two workers that wait at the file `gate`."""
    port, gate = free_port(), folder / "gate"
    gate.touch()
    arguments = [*before, sys.executable, str(Path(__file__).with_name("supervised.py")), str(port), str(gate)]
    server = Server(f"http://127.0.0.1:{port}", Program(arguments, folder / "log"))
    server.program.start()
    server.program.wait_until(lambda: events(server, "worker_at_gate") == 2)
    return server


def open_gate(server: Server, ready: int = 2) -> None:
    """Let the workers start, and return when so many have."""
    (server.program.log.parent / "gate").unlink()
    server.program.wait_until(lambda: events(server, "worker_ready") == ready)


@pytest.fixture
def pair(tmp_path: Path) -> Server:
    """Two workers that have started."""
    server = make_pair(tmp_path)
    open_gate(server)
    return server


def answers(server: Server, times: int) -> list[int | None]:
    """Return which worker answers each of so many connections; None: the connection broke off."""
    return [_answer(server) for _ in range(times)]


def _answer(server: Server) -> int | None:
    connection = HTTPConnection(server.url.removeprefix("http://"), timeout=60)
    try:
        connection.request("GET", "/")
        return int(connection.getresponse().read())
    except (ConnectionError, EOFError):
        return None
    finally:
        connection.close()


@contextmanager
def out_of_files(pid: int) -> Iterator[None]:
    """Have another process open nothing for a while."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
    yield
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def pid_of(server: Server) -> int:
    assert server.program.process is not None
    return server.program.process.pid


def pauses(server: Server) -> list[float]:
    """Return the seconds between the ends of workers and the starts of their successors."""
    told = [each for each in records(server) if each["event"] in ("worker_ended", "worker_started")]
    times = [(each["event"], datetime.fromisoformat(str(each["timestamp"]))) for each in told]
    pairs = itertools.pairwise(times)
    return [(after - before).total_seconds() for (event, before), (_, after) in pairs if event == "worker_ended"]


@contextmanager
def out_of_processes(pid: int) -> Iterator[None]:
    """Have a program fork nothing for a while; it does so at these signals."""
    os.kill(pid, signal.SIGUSR1)
    yield
    os.kill(pid, signal.SIGUSR2)


@pytest.mark.parametrize("short_of", [out_of_processes, out_of_files])
def test_fork_that_fails_is_tried_again(pair: Server, short_of: Callable[[int], AbstractContextManager[None]]) -> None:
    """While processes or files are short, the other worker lives; afterwards the dead one has a successor."""
    first, second = workers_of(pair)
    with short_of(pid_of(pair)):
        os.kill(first, signal.SIGKILL)
        pair.program.wait_until(lambda: events(pair, "worker_not_started") == 2)
    pair.program.wait_until(lambda: events(pair, "worker_ready") == 3)

    assert len(set(answers(pair, 4))) == 2
    assert second in workers_of(pair)


def test_supervisor_without_standard_output(tmp_path: Path) -> None:
    """Where standard output is closed, workers start, answer and end as ever."""
    server = make_pair(tmp_path, *CLOSED_OUTPUT)
    open_gate(server)

    assert set(answers(server, 4)) == set(workers_of(server))
    assert server.program.end() == 0
    assert "Traceback" not in server.log


def test_sigterm_to_one_worker_that_starts_ends_no_other(tmp_path: Path) -> None:
    """A worker that is told to end before it has started ends with code 0, and has a successor."""
    server = make_pair(tmp_path)
    first, second = workers_of(server)
    os.kill(first, signal.SIGTERM)
    time.sleep(0.5)  # the supervisor lets it go; sooner, it would start first
    open_gate(server)

    assert [each["code"] for each in records(server) if each["event"] == "worker_ended"] == [0]
    assert second in workers_of(server)
    assert len(set(answers(server, 4))) == 2
    assert server.program.end() == 0


def test_worker_that_dies_young_is_replaced_after_a_pause(pair: Server) -> None:
    """Workers that end soon after they have started are not restarted at once, again and again."""
    for _ in range(2):
        kill_worker(pair, workers_of(pair)[0])

    assert len(pauses(pair)) == 2
    assert min(pauses(pair)) >= 0.9


def test_connection_that_a_worker_cannot_take_is_logged_and_not_counted(pair: Server) -> None:
    """A worker out of files loses connections, says so, and has its share again afterwards."""
    first = workers_of(pair)[0]
    with out_of_files(first):
        lost = answers(pair, 16).count(None)
    pair.program.wait_until(lambda: events(pair, "connection_not_taken") == lost)
    afterwards = answers(pair, 16)

    assert lost >= 0.4 * 16
    assert afterwards.count(first) >= 0.4 * 16
