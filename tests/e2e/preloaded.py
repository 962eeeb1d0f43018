"""Starts `m365-mcp serve` by forking a process that has imported it; the imports are most of what a start costs.

It stays a process of its own, with its own environment, folder, log and exit code. What differs from a start by hand
is that the modules are there already; tests of the commands start those by hand.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from multiprocessing import forkserver
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["m365_mcp.cli", "m365_mcp.app", "m365_mcp.web.serving"])
_STARTING = threading.Lock()


class PreloadedServer:
    """What the tests use of `subprocess.Popen`, for a forked server."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        # FastMCP reads a .env file when it is imported; this folder has none.
        with _STARTING, contextlib.chdir(Path(__file__).parent):
            forkserver.ensure_running()
        self._process = _CONTEXT.Process(target=_serve, args=(environment, log), daemon=True)
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
            raise subprocess.TimeoutExpired("serve", timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()


def _serve(environment: dict[str, str], log: Path) -> None:
    """Become `m365-mcp serve`, in the new process."""
    from m365_mcp.cli import main

    os.environ.clear()  # noqa: TID251 - what `subprocess.Popen` does with `env`
    os.environ.update(environment)  # noqa: TID251
    time.tzset()
    os.chdir(log.parent)
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(written, 1)
    os.dup2(written, 2)
    sys.argv = ["m365-mcp", "serve"]
    main()
