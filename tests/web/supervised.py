"""A program: two workers of a small application, which can be held up while it starts.

It takes a port, and the path of a file; while that file exists, no worker has started.
From SIGUSR1 to SIGUSR2, the supervisor can fork no process.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from m365_mcp import logs
from m365_mcp.web.health import Readiness
from m365_mcp.web.listening import listen
from m365_mcp.web.serving import configure
from m365_mcp.web.supervisor import Supervisor
from m365_mcp.web.worker import WorkerServer

PORT, GATE = int(sys.argv[1]), os.open(sys.argv[2], os.O_RDONLY)
NOBODY_ELSE = 54321  # another user; root's processes are never too many
PROCESSES = resource.getrlimit(resource.RLIMIT_NPROC)


async def _show_pid(_: Request) -> PlainTextResponse:
    return PlainTextResponse(str(os.getpid()))


@asynccontextmanager
async def _wait_at_gate(_: Starlette) -> AsyncIterator[None]:
    logs.get(__name__).info("worker_at_gate")
    while os.fstat(GATE).st_nlink:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.02)
    yield


def _become(_: int, channel: socket.socket, on_close: Callable[[], None]) -> None:
    application = Starlette(routes=[Route("/", _show_pid)], lifespan=_wait_at_gate)
    config = configure(application, host="127.0.0.1", port=PORT)
    WorkerServer(config, Readiness(()), channel, on_close).serve_handed()


def _forbid_forks(*_: object) -> None:
    if os.getuid() == 0:
        os.setuid(NOBODY_ELSE)
    resource.setrlimit(resource.RLIMIT_NPROC, (0, PROCESSES[1]))


def _allow_forks(*_: object) -> None:
    resource.setrlimit(resource.RLIMIT_NPROC, PROCESSES)


if __name__ == "__main__":
    logs.configure("info", "json")
    signal.signal(signal.SIGUSR1, _forbid_forks)
    signal.signal(signal.SIGUSR2, _allow_forks)
    configure(Starlette(), host="127.0.0.1", port=PORT).load()  # imports what another user may not read
    sys.exit(Supervisor(listen("127.0.0.1", PORT), 2, _become, delay=0.0).run())
