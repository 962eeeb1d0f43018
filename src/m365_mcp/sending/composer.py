"""Composes messages in worker threads, so that a large body does not block the event loop.

Composing takes processor time, at most about 1.5 seconds with the limits on a body. Two worker threads do it. The
composer runs one message of each person at a time, so one person's large bodies leave a worker to other people. Calls
wait in order, for a limited time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from weakref import WeakValueDictionary

from m365_mcp.errors import ServerBusy
from m365_mcp.person import PersonId

WORKERS = 2  # threads share one interpreter lock, so more threads would not compose faster
WAIT_SECONDS = 10.0

Result = TypeVar("Result")


class Composer:
    """Runs the composing of messages in worker threads.

    Args:
        workers: how many messages the composer composes at a time.
        wait_seconds: how long a call waits for a worker.
        on_refusal: is told of each call that found no worker in time.
    """

    def __init__(
        self,
        workers: int = WORKERS,
        wait_seconds: float = WAIT_SECONDS,
        on_refusal: Callable[[], None] = lambda: None,
    ) -> None:
        self._threads = ThreadPoolExecutor(workers, "compose")
        self._idle_workers = asyncio.Semaphore(workers)
        self._locks: WeakValueDictionary[PersonId, asyncio.Lock] = WeakValueDictionary()
        self._wait_seconds = wait_seconds
        self._on_refusal = on_refusal

    async def run(self, person: PersonId, work: Callable[[], Result]) -> Result:
        """Run `work` in a worker thread and return its result; raises what `work` raises.

        Raises:
            ServerBusy: no worker became free in time, or another message of the person still ran. `work` did not start.
        """
        lock = self._locks.setdefault(person, asyncio.Lock())
        await self._acquire(lock)
        done = asyncio.get_running_loop().run_in_executor(self._threads, work)
        # A thread cannot be stopped. When the caller disconnects, the worker stays busy until the work is done.
        done.add_done_callback(lambda _: self._release(lock))
        return await asyncio.shield(done)

    def close(self) -> None:
        """Start no more work; running work continues to its end."""
        self._threads.shutdown(wait=False)

    async def _acquire(self, lock: asyncio.Lock) -> None:
        try:
            async with asyncio.timeout(self._wait_seconds):
                await lock.acquire()
                try:
                    await self._idle_workers.acquire()
                except BaseException:
                    lock.release()
                    raise
        except TimeoutError as error:
            self._on_refusal()
            raise ServerBusy from error

    def _release(self, lock: asyncio.Lock) -> None:
        self._idle_workers.release()
        lock.release()
