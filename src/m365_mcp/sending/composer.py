"""Composes messages off the event loop, so that a large body delays nobody else.

Composing takes processor time, at most the second and a half that the limits on a body admit. A few worker threads do
it. Each person has one message composed at a time, so one person's large bodies leave a worker to the others. Calls
wait in order, for a bounded time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from weakref import WeakValueDictionary

from m365_mcp.errors import ServerBusy
from m365_mcp.person import PersonId

WORKERS = 2  # threads share one interpreter lock, so more would not compose faster
WAIT_SECONDS = 10.0

Result = TypeVar("Result")


class Composer:
    """Runs the composing of messages in worker threads.

    Args:
        workers: how many messages are composed at a time.
        wait_seconds: how long a call waits for its turn.
    """

    def __init__(self, workers: int = WORKERS, wait_seconds: float = WAIT_SECONDS) -> None:
        self._threads = ThreadPoolExecutor(workers, "compose")
        self._free = asyncio.Semaphore(workers)
        self._people: WeakValueDictionary[PersonId, asyncio.Lock] = WeakValueDictionary()
        self._wait_seconds = wait_seconds

    async def run(self, person: PersonId, work: Callable[[], Result]) -> Result:
        """Return what `work` returns, run in a worker thread when it is the person's turn; raises what it raises.

        Raises:
            ServerBusy: the turn did not come in time; `work` was not begun.
        """
        turn = self._people.setdefault(person, asyncio.Lock())
        await self._wait_for(turn)
        done = asyncio.get_running_loop().run_in_executor(self._threads, work)
        # A thread cannot be stopped: when the caller has left, the turn still lasts until the work is done.
        done.add_done_callback(lambda _: self._end(turn))
        return await asyncio.shield(done)

    def close(self) -> None:
        """Begin no more work; what has begun is finished."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _wait_for(self, turn: asyncio.Lock) -> None:
        try:
            async with asyncio.timeout(self._wait_seconds):
                await turn.acquire()
                try:
                    await self._free.acquire()
                except BaseException:
                    turn.release()
                    raise
        except TimeoutError as error:
            raise ServerBusy from error

    def _end(self, turn: asyncio.Lock) -> None:
        self._free.release()
        turn.release()
