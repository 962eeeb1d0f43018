"""What a warm call allocates, and that it leaves nothing behind: counts of objects and bytes, never times."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator

import pytest

from tests.attacks.serving import call, post_mcp, serving
from tests.inprocess import World

WARM, CALLS = 400, 300
# Live blocks of Python's allocator for each call. What caches keep until they are full stays below it.
BLOCKS_A_CALL = 1.0
MOST_BYTES = {"read": 400_000, "list": 100_000}  # at the highest point of one call, with the client of the test
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
Request = Callable[[], Awaitable[object]]


@pytest.fixture(autouse=True)
def no_log() -> Iterator[None]:
    """Have pytest keep no log records, which would count as left behind."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


async def requests_of(world: World) -> dict[str, Request]:
    """Return what the tests repeat: a call that reads, a list of tools, and a request with a wrong token."""
    token = (await world.sign_in()).access
    return {
        "read": lambda: call(world, token, "get_my_profile"),
        "list": lambda: post_mcp(world, token, LIST),
        "refused": lambda: post_mcp(world, "wrong", LIST),
    }


async def live_blocks(world: World) -> int:
    """Return how many blocks are in use, without what simulator, network and cancelled timers remember of requests."""
    for _ in range(500):  # asyncio removes cancelled timers once there are many
        asyncio.get_running_loop().call_later(3600, gc.collect).cancel()
    await asyncio.sleep(0)
    world.network.seen.clear()
    world.simulator.tenant.requests.records.clear()
    gc.collect()
    return sys.getallocatedblocks()


async def test_warm_requests_leave_nothing_behind() -> None:
    """After hundreds of requests of each kind there are as many objects as before."""
    left: dict[str, float] = {}
    async with serving(mcp_metrics_port=0) as world:
        for name, request in (await requests_of(world)).items():
            for _ in range(WARM):
                await request()
            before = await live_blocks(world)
            for _ in range(CALLS):
                await request()
            left[name] = (await live_blocks(world) - before) / CALLS

    assert {name for name, blocks in left.items() if blocks >= BLOCKS_A_CALL} == set(), left


async def test_warm_request_needs_little_memory() -> None:
    """At its highest point, a call that reads, and a list of tools, hold so many bytes more than before."""
    held: dict[str, int] = {}
    async with serving(mcp_metrics_port=0) as world:
        requests = await requests_of(world)
        for name in MOST_BYTES:
            for _ in range(WARM):
                await requests[name]()
            held[name] = await peak_bytes(requests[name])

    assert {name for name, found in held.items() if found > MOST_BYTES[name]} == set(), held


async def peak_bytes(request: Request) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        await request()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
