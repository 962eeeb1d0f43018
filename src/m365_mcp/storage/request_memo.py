"""Remembers, while a request is answered, what FastMCP 4.2 and the MCP SDK 2.3 ask for at every step of it.

These are the client's registration or metadata document, and the code. They are written once and then only read, by
requests of their own client; what a request writes itself is read anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, SupportsFloat, TypeVar

from key_value.aio.protocols import AsyncKeyValue
from key_value.aio.wrappers.base import BaseWrapper

COLLECTIONS = ("mcp-oauth-proxy-clients", "mcp-authorization-codes")
T = TypeVar("T")
_current: ContextVar[dict[tuple[str, str], Any] | None] = ContextVar("m365_mcp_request_memo", default=None)


@contextmanager
def remembering() -> Iterator[None]:
    """Remember what is read for the current request, in everything called from it."""
    token = _current.set({})
    try:
        yield
    finally:
        _current.reset(token)


async def once(collection: str, key: str, read: Callable[[], Awaitable[T]]) -> T:
    """Return what `read` returns; in a request, what it has returned there before for this collection and key."""
    memo = _current.get()
    if memo is None:
        return await read()
    if (collection, key) not in memo:
        memo[collection, key] = await read()
    found: T = memo[collection, key]
    return found


class RequestMemo(BaseWrapper):
    """Reads a record of `COLLECTIONS` once for each request; outside of a request, every time.

    Args:
        key_value: the store.
    """

    def __init__(self, key_value: AsyncKeyValue) -> None:
        self.key_value = key_value

    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        """Return the record, or None. Raises StorageUnavailable."""
        if _current.get() is None or collection not in COLLECTIONS:
            return await self.key_value.get(key, collection=collection)
        return (await self.ttl(key, collection=collection))[0]

    async def ttl(self, key: str, *, collection: str | None = None) -> tuple[dict[str, Any] | None, float | None]:
        """Return the record and its remaining seconds, when it was read. Raises StorageUnavailable."""
        if collection not in COLLECTIONS:
            return await self.key_value.ttl(key, collection=collection)
        return await once(collection, key, lambda: self.key_value.ttl(key, collection=collection))

    async def put(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: SupportsFloat | None = None
    ) -> None:
        """Store the record, and read it anew next time. Raises StorageUnavailable."""
        _forget(key, collection)
        await self.key_value.put(key, value, collection=collection, ttl=ttl)

    async def delete(self, key: str, *, collection: str | None = None) -> bool:
        """Delete the record; return whether it existed. Raises StorageUnavailable."""
        _forget(key, collection)
        return await self.key_value.delete(key, collection=collection)


def _forget(key: str, collection: str | None) -> None:
    memo = _current.get()
    if memo is not None and collection is not None:
        memo.pop((collection, key), None)
