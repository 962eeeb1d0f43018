"""Work that a server repeats beside its requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from m365_mcp import logs

_log = logs.get(__name__)


@asynccontextmanager
async def repeating(work: Callable[[], Awaitable[None]], seconds: float, *, waits: bool = False) -> AsyncIterator[None]:
    """Repeat `work` while the block runs; an error of one round is logged, and the next round comes all the same.

    Args:
        work: one round.
        seconds: the pause between two rounds.
        waits: whether a pause comes before the first round, too.
    """
    task = asyncio.create_task(_repeat(work, seconds, waits=waits))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _repeat(work: Callable[[], Awaitable[None]], seconds: float, *, waits: bool) -> None:
    if waits:
        await asyncio.sleep(seconds)
    while True:
        try:
            await work()
        except Exception as error:  # nothing may end the loop
            _log.error("background_work_failed", work=work.__qualname__, error=type(error).__name__)
        await asyncio.sleep(seconds)
