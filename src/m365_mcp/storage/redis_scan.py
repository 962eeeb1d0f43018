"""Lists the keys of a collection, at one Redis or at all nodes of a cluster, with SCAN."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from redis.asyncio import Redis
from redis.client import NEVER_DECODE

from m365_mcp import logs
from m365_mcp.storage.guard import Guard
from m365_mcp.storage.redis_nodes import RedisNodes

SCANS = 3  # of all nodes, while slots go to other nodes
_MOVING: Final = "run the command again when no slot of the Redis cluster moves"
_log = logs.get(__name__)


async def keys_of(nodes: RedisNodes, guard: Guard, collection: str) -> AsyncIterator[str]:
    """Iterate over the keys of a collection; leave out what is no text.

    SCAN of a cluster misses keys that meanwhile change their node. So when a slot has another node afterwards, all
    nodes are scanned again, and the log says when the slots do not come to rest.

    Raises:
        StorageUnavailable: a node does not answer.
    """
    async with guard.within_limits("scan"):
        clients = await nodes.each()
    returned: set[str] = set()
    for _ in range(SCANS):
        version = nodes.version
        for client in clients:
            async for key in _keys_at(client, guard, collection):
                if key not in returned:
                    yield key
                if len(clients) > 1:  # a single Redis is scanned once
                    returned.add(key)
        async with guard.within_limits("scan"):
            clients = await nodes.each()
        if nodes.version == version:
            return
    _log.warning("keys_listed_incompletely", collection=collection, advice=_MOVING)


async def _keys_at(client: Redis, guard: Guard, collection: str) -> AsyncIterator[str]:
    cursor: int | str = 0
    while True:
        options = {NEVER_DECODE: True}
        async with guard.within_limits("scan"):
            cursor, found = await client.scan(int(cursor), f"{collection}:*", 500, None, **options)
        for name in map(as_text, found):
            if name is not None:
                yield name.partition(":")[2]
        if not int(cursor):
            return


def as_text(name: bytes | str) -> str | None:
    """Return what Redis has as text; None when it is not UTF-8."""
    try:
        return name if isinstance(name, str) else name.decode()
    except UnicodeDecodeError:
        return None
