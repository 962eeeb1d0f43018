"""Work that a server repeats beside its requests."""

from __future__ import annotations

import asyncio

from m365_mcp.background import repeating


async def test_error_of_one_round_ends_no_other() -> None:
    """The next round comes, and the end of the block ends the work."""
    rounds: list[int] = []
    third = asyncio.Event()

    async def work() -> None:
        rounds.append(len(rounds))
        if len(rounds) == 3:
            third.set()
        raise RecursionError

    async with repeating(work, 0.0), asyncio.timeout(10):
        await third.wait()

    assert len(rounds) >= 3
    assert asyncio.all_tasks() == {asyncio.current_task()}
