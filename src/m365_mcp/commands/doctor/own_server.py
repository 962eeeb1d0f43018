"""Runs the server for `doctor --sign-in` where none listens: a child process with the same settings."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2

from m365_mcp.commands.children import end_child
from m365_mcp.loopback import reachable_netloc
from m365_mcp.settings import Settings

START_SECONDS = 60.0
_STOP_SECONDS = 70.0  # a server finishes its calls


@asynccontextmanager
async def serving(chosen: Settings, http: httpx2.AsyncClient) -> AsyncIterator[bool]:
    """Run the server in the block where nobody listens at its port; yield whether it was started.

    Args:
        chosen: the settings; the child reads the same ones.
        http: a client for this machine.
    """
    address = f"http://{reachable_netloc(chosen.mcp_host)}:{chosen.mcp_port}"
    if await _answers(http, f"{address}/livez"):
        yield False
        return
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "m365_mcp",
            "serve",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches the doctor, which ends the child
        )
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(START_SECONDS):
                    while process.returncode is None and not await _answers(http, f"{address}/readyz"):  # noqa: ASYNC110 - another process
                        await asyncio.sleep(0.1)
            yield True
        finally:
            await end_child(process, _STOP_SECONDS)


async def _answers(http: httpx2.AsyncClient, url: str) -> bool:
    """Return whether something responds; at /readyz, whether the server is ready."""
    try:
        response = await http.get(url)
    except httpx2.ConnectError:
        return False
    except httpx2.HTTPError:
        return True
    return response.status_code == 200 or not url.endswith("/readyz")
