"""Asks the nodes of a Redis cluster where the hash slots are, also while some of them are silent.

A machine that is dead refuses no connection, so its node is silent. One node is asked after the other, but nobody waits
for a silent one: after a moment the next node is asked, too (as RFC 8305, section 5, does with addresses).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ClusterDownError, ConnectionError, ResponseError, TimeoutError

ASK_SECONDS = 1.0  # for one node's answer
SILENT_SECONDS = 0.1  # until the next node is asked, too
MAX_ASKED = 8  # at the same time
BROKEN: Final = (ConnectionError, TimeoutError, OSError)  # OSError includes the TimeoutError of asyncio


async def ask_for_slots(clients: Iterable[Redis]) -> tuple[Sequence[Any], Redis]:
    """Return the first answer to CLUSTER SLOTS that names a slot, and the client that it came from.

    Args:
        clients: whom to ask, in this order.

    Raises:
        redis.RedisError, OSError: the last failure, when no node knows the slots.
    """
    waiting = list(clients)[::-1]
    asked: dict[asyncio.Task[Sequence[Any]], Redis] = {}
    failure: Exception = ClusterDownError("CLUSTERDOWN No node knows the slots")
    try:
        while waiting or asked:
            if waiting and len(asked) < MAX_ASKED:
                client = waiting.pop()
                asked[asyncio.create_task(_slots_of(client))] = client
            patience = SILENT_SECONDS if waiting and len(asked) < MAX_ASKED else None
            ended, _ = await asyncio.wait(asked, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for question in ended:
                client = asked.pop(question)
                try:
                    return question.result(), client
                except (*BROKEN, ResponseError) as error:
                    failure = error
        raise failure
    finally:
        for question in asked:
            question.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


async def _slots_of(client: Redis) -> Sequence[Any]:
    async with asyncio.timeout(ASK_SECONDS):
        found: Sequence[Any] = await client.execute_command("CLUSTER SLOTS")  # type: ignore[no-untyped-call]
    if not found:
        raise ClusterDownError("CLUSTERDOWN This node does not belong to the cluster yet")
    return found
