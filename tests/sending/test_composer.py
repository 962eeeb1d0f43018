"""The composer: a limited number of worker threads, one message of each person at a time, in order."""

from __future__ import annotations

import asyncio
import inspect
import threading

import pytest

from m365_mcp.errors import InvalidArgument, ServerBusy
from m365_mcp.person import PersonId
from m365_mcp.sending.composer import Composer

ADA, GRACE, LIN = (PersonId("tenant", name) for name in ("ada", "grace", "lin"))


class Work:
    """Work that runs until the test ends it."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._may_end = threading.Event()

    def __call__(self) -> str:
        self._loop.call_soon_threadsafe(self.begun.set)
        assert self._may_end.wait(10)
        return "done"

    def end(self) -> None:
        self._may_end.set()


async def test_event_loop_runs_while_a_message_is_composed() -> None:
    """The work runs in another thread, and `run` returns its result and raises its error."""
    composer, work = Composer(), Work()
    composed = asyncio.create_task(composer.run(ADA, work))

    await work.begun.wait()
    work.end()

    assert await composed == "done"
    thread = await composer.run(ADA, threading.current_thread)
    assert thread is not threading.current_thread()
    assert thread.name.startswith("compose")

    def fail() -> None:
        raise InvalidArgument

    with pytest.raises(InvalidArgument):
        await composer.run(ADA, fail)
    composer.close()


async def test_one_persons_second_message_waits_and_another_persons_does_not() -> None:
    """One person's messages occupy one worker, and the other worker serves another person."""
    composer, first, second, other = Composer(workers=2), Work(), Work(), Work()
    composed = [asyncio.create_task(composer.run(ADA, work)) for work in (first, second)]
    await first.begun.wait()

    other_result = asyncio.create_task(composer.run(GRACE, other))
    await other.begun.wait()
    assert not second.begun.is_set()
    for work in (first, second, other):
        work.end()

    assert await asyncio.gather(*composed, other_result) == ["done"] * 3
    composer.close()


async def test_call_that_waits_too_long_raises_server_busy() -> None:
    """A call waits for a limited time, behind other people's messages and its own; its work does not start."""
    composer, works = Composer(workers=2, wait_seconds=0.05), [Work(), Work()]
    running = [asyncio.create_task(composer.run(who, work)) for who, work in zip((ADA, GRACE), works, strict=True)]
    await asyncio.gather(*(work.begun.wait() for work in works))

    for who in (ADA, LIN):
        late = Work()
        with pytest.raises(ServerBusy, match="server_busy"):
            await composer.run(who, late)
        assert not late.begun.is_set()
    for work in works:
        work.end()
    await asyncio.gather(*running)

    assert await composer.run(LIN, lambda: "now") == "now"
    composer.close()


async def test_caller_who_disconnects_does_not_free_a_running_worker() -> None:
    """A worker stays busy until its work ends, and a cancelled call leaves the queue."""
    composer, first, second = Composer(workers=1), Work(), Work()
    left = asyncio.create_task(composer.run(ADA, first))
    await first.begun.wait()
    waiting = asyncio.create_task(composer.run(GRACE, Work()))
    await asyncio.sleep(0)
    for task in (left, waiting):
        task.cancel()
    await asyncio.gather(left, waiting, return_exceptions=True)

    next_one = asyncio.create_task(composer.run(ADA, second))
    await asyncio.sleep(0)
    assert not second.begun.is_set()
    first.end()
    await second.begun.wait()
    second.end()

    assert await next_one == "done"
    composer.close()


def test_limits_are_the_documented_ones() -> None:
    """Two messages at a time, and ten seconds of waiting."""
    defaults = {
        name: part.default for name, part in inspect.signature(Composer).parameters.items() if name != "on_refusal"
    }

    assert defaults == {"workers": 2, "wait_seconds": 10.0}


async def test_end_of_the_server_waits_for_no_message() -> None:
    """Work that runs goes on to its end, while the event loop is free."""
    composer, work = Composer(), Work()
    composed = asyncio.create_task(composer.run(ADA, work))
    await work.begun.wait()

    composer.close()
    running = not composed.done()
    work.end()

    assert running
    assert await composed == "done"
