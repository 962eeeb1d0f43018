"""Serves a simulator on real sockets for a test, and opens all of its sides over the network."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx2

from m365_simulator import Options, Ready, serve
from tests.trust import NO_AUTHORITY, trusting

from .client import Client


@contextlib.asynccontextmanager
async def running(options: Options) -> AsyncIterator[Ready]:
    """Serve in the background until the end of the block."""
    ready: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(options, ready.set_result))
    await asyncio.wait((task, asyncio.ensure_future(ready)), return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    try:
        yield ready.result()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def opened(ready: Ready) -> AsyncIterator[Client]:
    """Open all sides over the network, trusting only the simulator's own authority."""
    trust = trusting(ready.ca_file)
    async with (
        httpx2.AsyncClient(base_url=ready.authority, verify=trust, trust_env=False, timeout=5) as outside,
        httpx2.AsyncClient(base_url=ready.control, verify=NO_AUTHORITY, trust_env=False, timeout=5) as inside,
        httpx2.AsyncClient(base_url=ready.upload, verify=trust, trust_env=False, timeout=5) as beside,
    ):
        yield Client(outside, inside, beside)
