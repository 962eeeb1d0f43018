"""Records of our own that change only from a known state, so that two replicas can never both carry out one change.

Only plain commands and optimistic transactions (WATCH, MULTI, EXEC) are used: the Redis user of a careful
installation may not run scripts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from key_value.aio.protocols import AsyncKeyValue
from redis.asyncio import Redis
from redis.exceptions import WatchError

from m365_mcp import logs
from m365_mcp.storage.encryption import RecordCipher
from m365_mcp.storage.guard import Guard

_log = logs.get(__name__)


@dataclass(frozen=True)
class Versioned:
    """A record as it was read.

    Attributes:
        value: its content; None when there is none, or none that can be trusted.
        version: what it must still be when it is replaced; None when nothing is there.
    """

    value: dict[str, Any] | None = None
    version: str | None = field(default=None, repr=False)


ABSENT = Versioned()


class Backend(Protocol):
    """Where texts lie by name; `compare_and_swap` is atomic among everybody who uses the same shelf."""

    async def get(self, collection: str, key: str) -> str | None:
        """Return the text, or None."""

    async def compare_and_swap(
        self, collection: str, key: str, old: str | None, new: str | None, seconds: float
    ) -> bool:
        """Replace `old` by `new` (None: nothing) for so many seconds; return False when `old` is not what is there."""

    def keys(self, collection: str) -> AsyncIterator[str]:
        """Go through the keys of a collection."""


class Records:
    """Sealed records on a shelf.

    Args:
        backend: where they lie.
        cipher: their encryption.
    """

    def __init__(self, backend: Backend, cipher: RecordCipher) -> None:
        self._backend = backend
        self._cipher = cipher

    async def read(self, collection: str, key: str) -> Versioned:
        """Return the record. Raises StorageUnavailable."""
        text = await self._backend.get(collection, key)
        return ABSENT if text is None else Versioned(self._cipher.decrypt(text, collection, key), text)

    async def compare_and_swap(
        self, collection: str, key: str, stored: Versioned, value: Mapping[str, Any] | None, seconds: float = 0
    ) -> Versioned | None:
        """Replace a record as it was read and return the new one, or None when somebody was faster.

        Args:
            collection: first part of its name.
            key: second part.
            stored: as it was read; `ABSENT` to create one.
            value: the new content; None deletes.
            seconds: how long it is kept.

        Raises:
            StorageUnavailable: the store did not answer; the change may or may not have been made.
        """
        text = None if value is None else self._cipher.encrypt(value, collection, key)
        if not await self._backend.compare_and_swap(collection, key, stored.version, text, seconds):
            return None
        return Versioned(None if value is None else dict(value), text)

    async def keys(self, collection: str) -> AsyncIterator[str]:
        """Go through the keys of a collection. Raises StorageUnavailable."""
        async for key in self._backend.keys(collection):
            yield key


class RedisBackend:
    """Texts in Redis, one key each."""

    def __init__(self, client: Redis, guard: Guard) -> None:
        self._client = client
        self._guard = guard

    async def get(self, collection: str, key: str) -> str | None:
        """Return the text, or None; what is not text was not put there by us and is removed."""
        async with self._guard.within_limits():
            try:
                text = await self._client.get(f"{collection}:{key}")
            except UnicodeDecodeError:
                _log.warning("record_unreadable", collection=collection)
                await self._client.delete(f"{collection}:{key}")
                return None
            return None if text is None else str(text)  # the client decodes

    async def compare_and_swap(
        self, collection: str, key: str, old: str | None, new: str | None, seconds: float
    ) -> bool:
        """Replace `old` by `new` in one transaction."""
        name = f"{collection}:{key}"
        async with self._guard.within_limits(), self._client.pipeline() as pipe:
            try:
                await pipe.watch(name)
                if await pipe.get(name) != old:
                    return False
                pipe.multi()  # type: ignore[no-untyped-call]
                if new is None:
                    pipe.delete(name)
                else:
                    pipe.set(name, new, px=max(1, round(seconds * 1000)))
                await pipe.execute()
            except (WatchError, UnicodeDecodeError):  # somebody was faster; or what is there is not even text
                return False
        return True

    async def keys(self, collection: str) -> AsyncIterator[str]:
        """Go through the keys with SCAN."""
        cursor: int | str = 0
        while True:
            async with self._guard.within_limits():
                cursor, found = await self._client.scan(cursor=int(cursor), match=f"{collection}:*", count=500)
            for name in found:
                yield str(name).partition(":")[2]
            if not int(cursor):
                return


_INDEX = "keys"


class LocalBackend:
    """Texts in a key-value store that only this process changes: on disk or in memory.

    Args:
        store: holds the texts.
        listed: the collections whose keys can be gone through; the store itself cannot list what it holds.
    """

    def __init__(self, store: AsyncKeyValue, listed: tuple[str, ...] = ()) -> None:
        self._store = store
        self._listed = listed
        self._turn = asyncio.Lock()

    async def get(self, collection: str, key: str) -> str | None:
        """Return the text, or None."""
        found = await self._store.get(key, collection=collection)
        return None if found is None else str(found.get("text"))

    async def compare_and_swap(
        self, collection: str, key: str, old: str | None, new: str | None, seconds: float
    ) -> bool:
        """Replace `old` by `new` while nobody else of this process does."""
        async with self._turn:
            if await self.get(collection, key) != old:
                return False
            if new is None:
                await self._store.delete(key, collection=collection)
            else:
                await self._store.put(key, {"text": new}, collection=collection, ttl=seconds)
            if collection in self._listed and (old is None) != (new is None):
                await self._note(collection, key, present=new is not None)
        return True

    async def _note(self, collection: str, key: str, *, present: bool) -> None:
        others = [other for other in await self._noted(collection) if other != key]
        index = {_INDEX: [*others, key] if present else others}
        await self._store.put(_INDEX, index, collection=f"{collection}-index")

    async def _noted(self, collection: str) -> list[str]:
        found = await self._store.get(_INDEX, collection=f"{collection}-index") or {}
        return list(found.get(_INDEX, []))

    async def keys(self, collection: str) -> AsyncIterator[str]:
        """Go through the keys; some may be of records that have run out."""
        for key in await self._noted(collection):
            yield key
