"""What a request reads several times is asked of the store once, and what it writes is read anew."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from key_value.aio.stores.memory import MemoryStore

from m365_mcp.storage.request_memo import COLLECTIONS, RequestMemo, once, remembering

CLIENTS = COLLECTIONS[0]


class Counting(MemoryStore):
    """A store that counts how often it is read."""

    reads = 0

    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        self.reads += 1
        found: dict[str, Any] | None = await super().get(key, collection=collection)
        return found

    async def ttl(self, key: str, *, collection: str | None = None) -> tuple[dict[str, Any] | None, float | None]:
        self.reads += 1
        found: tuple[dict[str, Any] | None, float | None] = await super().ttl(key, collection=collection)
        return found


@pytest.mark.parametrize(("collection", "reads"), [(CLIENTS, 1), (COLLECTIONS[1], 1), ("mcp-oauth-transactions", 3)])
async def test_request_reads_a_client_or_a_code_once(collection: str, reads: int) -> None:
    """Reading with and without the remaining time is one question; a running sign-in changes, so it is read anew."""
    under = Counting()
    memo = RequestMemo(under)
    await memo.put("k", {"a": 1}, collection=collection, ttl=60)

    with remembering():
        found = [await memo.get("k", collection=collection) for _ in range(2)]
        value, seconds = await memo.ttl("k", collection=collection)

    assert [*found, value] == [{"a": 1}] * 3
    assert seconds == pytest.approx(60, abs=5)
    assert under.reads == reads


async def test_another_request_reads_anew() -> None:
    """What one request has read is nothing to the next, to one that runs beside it, or to work outside of requests."""
    under = Counting()
    memo = RequestMemo(under)

    async def request() -> dict[str, Any] | None:
        with remembering():
            await memo.get("k", collection=CLIENTS)
            await asyncio.sleep(0)
            return await memo.get("k", collection=CLIENTS)

    nothing = await asyncio.gather(request(), request())
    await under.put("k", {"a": 1}, collection=CLIENTS)
    outside = [await memo.get("k", collection=CLIENTS) for _ in range(2)]

    assert [*nothing] == [None, None]
    assert await request() == {"a": 1}
    assert outside == [{"a": 1}] * 2
    assert under.reads == 2 + 2 + 1


async def test_request_sees_what_it_has_written_and_deleted() -> None:
    """A write or a deletion ends what was remembered, also that there was nothing."""
    memo = RequestMemo(MemoryStore())
    with remembering():
        before = await memo.get("k", collection=CLIENTS)
        await memo.put("k", {"a": 1}, collection=CLIENTS)
        written = await memo.get("k", collection=CLIENTS)
        await memo.delete("k", collection=CLIENTS)

        assert (before, written) == (None, {"a": 1})
        assert await memo.get("k", collection=CLIENTS) is None


async def test_failure_is_not_remembered() -> None:
    """The next step of the same request asks again."""
    asked: list[int] = []

    async def read() -> int:
        asked.append(1)
        if len(asked) == 1:
            raise LookupError
        return len(asked)

    with remembering():
        with pytest.raises(LookupError):
            await once("c", "k", read)
        assert [await once("c", "k", read) for _ in range(2)] == [2, 2]
