"""Starts `m365-mcp` by forking a process that has imported it; the imports are most of what a start costs.

It stays a process of its own, with its own environment, folder, output and exit code. What differs from a start by
hand is that the modules are there already; some tests of the commands start those by hand.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["m365_mcp.cli", "m365_mcp.app", "m365_mcp.web.serving"])
_STARTING = threading.Lock()
FORGET = signal.SIGUSR1  # has a forked server forget what it has seen in the store


def can_be_forked(environment: dict[str, str]) -> bool:
    """Return whether these variables have no effect on imports, which Python's own and some of FastMCP's have."""
    return not any(name.startswith(("PYTHON", "FASTMCP_")) for name in environment)


class PreloadedCommand:
    """What the tests use of `subprocess.Popen`, for a forked `m365-mcp`.

    Args:
        arguments: what follows `m365-mcp` on the command line.
        environment: all of its environment.
        folder: where it runs.
        output: the files that its standard output and its standard error are added to.
    """

    def __init__(
        self, arguments: Sequence[str], environment: dict[str, str], folder: Path, output: tuple[Path, Path]
    ) -> None:
        # FastMCP reads a .env file when it is imported; this folder has none.
        with _STARTING, contextlib.chdir(Path(__file__).parent):
            forkserver.ensure_running()
        self._process = _CONTEXT.Process(target=_become, args=(arguments, environment, folder, output), daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("m365-mcp", timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()


def run_preloaded(*arguments: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `m365-mcp` to its end in `folder`; return its exit code and what it wrote."""
    with tempfile.TemporaryDirectory() as place:
        out, err = Path(place, "out"), Path(place, "err")
        code = PreloadedCommand(arguments, environment, folder, (out, err)).wait(120)
        return subprocess.CompletedProcess(arguments, code, out.read_text(), err.read_text())


def _become(arguments: Sequence[str], environment: dict[str, str], folder: Path, output: tuple[Path, Path]) -> None:
    """Become `m365-mcp`, in the new process."""
    from m365_mcp.cli import main

    os.environ.clear()  # noqa: TID251 - what `subprocess.Popen` does with `env`
    os.environ.update(environment)  # noqa: TID251
    time.tzset()
    os.chdir(folder)
    for descriptor, stream, path in ((1, sys.stdout, output[0]), (2, sys.stderr, output[1])):
        stream.flush()
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    faulthandler.enable()
    sys.argv = ["m365-mcp", *arguments]
    signal.signal(FORGET, lambda *_: _forget())
    main()


def _forget() -> None:
    """Empty what this server remembers of the store, as a restart does."""
    from m365_mcp.storage.counter_floors import FlooredCounters
    from m365_mcp.storage.newest_seen import NewestSeen

    if not _MEMORIES:
        gc.unfreeze()  # a server that has started is left out of collections, and out of what the collector knows
        _MEMORIES.extend(one for one in gc.get_objects() if type(one) in (FlooredCounters, NewestSeen))
        gc.freeze()
    for memory in _MEMORIES:
        for cache in [memory._parts] if isinstance(memory, FlooredCounters) else memory._seen.values():
            cache.clear()


_MEMORIES: list[Any] = []
