"""Starts the simulator and the server as child processes and ends them, by id, whatever happens."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from m365_mcp.commands.children import end_child
from m365_mcp.errors import Unavailable
from m365_mcp.settings import PERMISSIONS, foreign_environment, mail_variables

START_SECONDS = 60.0
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Simulator:
    """A running simulator: addresses and the ids of its app registration."""

    authority: str
    graph: str
    ca_file: str
    control: str
    mailbox_page: str
    tenant_id: str
    client_id: str
    client_secret: str


def listen(preferred: int) -> socket.socket:
    """Listen on loopback at the port `preferred`, or at a free one when it is in use.

    The server gets this very socket, so that nothing can take its port between the choice and its start.
    """
    try:
        return socket.create_server(("127.0.0.1", preferred))
    except OSError:
        return socket.create_server(("127.0.0.1", 0))


@asynccontextmanager
async def running_simulator(folder: Path, server_url: str) -> AsyncIterator[Simulator]:
    """Run the simulator with an app registration for the server at `server_url`."""
    ready_file = folder / "simulator.json"
    arguments = ["--port", "0", "--control-port", "0", "--state-dir", str(folder), "--ready-file", str(ready_file)]
    arguments += ["--redirect-uri", f"{server_url}/auth/callback"]
    async with _running("simulator", arguments, {}, folder) as process:
        async with asyncio.timeout(START_SECONDS):
            while not ready_file.exists():
                await _still_alive(process)
        ready: dict[str, Any] = json.loads(ready_file.read_text())
        yield Simulator(**{name: ready[name] for name in Simulator.__dataclass_fields__})


@asynccontextmanager
async def running_server(
    folder: Path, server_url: str, listener: socket.socket, simulator: Simulator
) -> AsyncIterator[None]:
    """Run the server on the socket `listener`, against `simulator`; enter the block when it says it is ready."""
    address = listener.getsockname()
    inherited = [listener.fileno()] if hasattr(os, "fork") else []
    if not inherited:
        listener.close()  # Windows hands no socket on, so the server opens the port anew
    environment = {
        "AZURE_AUTHORITY_HOST": simulator.authority,
        "GRAPH_BASE_URL": simulator.graph,
        "SSL_CERT_FILE": simulator.ca_file,
        "AZURE_TENANT_ID": simulator.tenant_id,
        "AZURE_CLIENT_ID": simulator.client_id,
        "AZURE_CLIENT_SECRET": simulator.client_secret,
        "MCP_SERVER_BASE_URL": server_url,
        "MCP_HOST": "127.0.0.1",
        "MCP_PORT": str(address[1]),
        "MCP_METRICS_PORT": "0",
        "JWT_SIGNING_KEY": secrets.token_hex(32),  # so that no other server has this one's instance id
        "MCP_CLIENTS": "claude,loopback,vscode,cursor",
        "REDIS_URL": "memory://",
        "M365_TOOLSETS": ",".join(PERMISSIONS),
        **mail_variables(),
    }
    arguments = [word for number in inherited for word in ("--listen-fd", str(number))]
    serve = _running("serve", arguments, environment, folder, *inherited)
    async with serve as process, httpx2.AsyncClient(trust_env=False) as client:
        async with asyncio.timeout(START_SECONDS):
            # Asked by its address: `localhost` may lead to another program.
            while not await _is_ready(client, "http://{}:{}/readyz".format(*address)):
                await _still_alive(process)
        await require_same_server(client, server_url, address)
        yield


async def require_same_server(client: httpx2.AsyncClient, server_url: str, address: tuple[str, int]) -> None:
    """Raise Unavailable where `localhost` leads to another program, as one that listens on the IPv6 address does."""
    named, own = f"{server_url}/livez", "http://{}:{}/livez".format(*address)
    try:
        both = [(await client.get(url)).json()["instance"] for url in (named, own)]
    except (httpx2.HTTPError, ValueError, KeyError, TypeError):
        both = []
    if len(set(both)) != 1:
        raise Unavailable(
            f"Another program answers at {server_url}.", advice="Choose another port: m365-mcp demo --port 8100"
        )


@asynccontextmanager
async def _running(
    command: str, arguments: list[str], environment: dict[str, str], folder: Path, *inherited: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    # The folder is also the working directory, so that no .env of the reader's own takes part.
    log = (folder / f"{command}.log").open("wb")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "m365_mcp",
        command,
        *arguments,
        cwd=folder,
        env={**foreign_environment(), "NO_PROXY": "localhost,127.0.0.1", **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=inherited,
        start_new_session=True,  # Ctrl-C reaches us, and we end the children in order
    )
    try:
        yield process
    finally:
        log.close()
        await end_child(process, STOP_SECONDS)


async def _still_alive(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        raise Unavailable(
            "A part of the demo stopped while starting.", advice="Its log tells more: m365-mcp demo --verbose"
        )
    await asyncio.sleep(0.05)


def logs_in(folder: Path) -> str:
    """Return the ends of the logs of both programs."""
    return "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(folder.glob("*.log")))


async def _is_ready(client: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 200
    except httpx2.HTTPError:
        return False
