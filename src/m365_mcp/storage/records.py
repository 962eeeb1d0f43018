"""Encrypted records that change by compare-and-swap only, so that two replicas never both make the same change.

The Redis backend uses plain commands and optimistic transactions (WATCH, MULTI, EXEC). It runs no scripts, because an
operator may forbid scripts to the Redis user.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from key_value.aio.protocols import AsyncKeyValue
from redis.asyncio import Redis
from redis.exceptions import ResponseError, WatchError

from m365_mcp import logs
from m365_mcp.storage.encryption import RecordCipher
from m365_mcp.storage.guard import Guard

_log = logs.get(__name__)


@dataclass(frozen=True)
class Versioned:
    """A record with its version.

    Attributes:
        value: the content; None when the record is missing or the cipher cannot decrypt it.
        version: the stored text, which compare-and-swap compares; None when the record is missing.
    """

    value: dict[str, Any] | None = None
    version: str | None = field(default=None, repr=False)


ABSENT = Versioned()


class Put(NamedTuple):
    """A record that is written for so many seconds, whatever is stored; None as its value deletes it."""

    collection: str
    key: str
    value: Mapping[str, Any] | None = None
    seconds: float = 0.0


Text = tuple[str, str, str | None, float]  # a `Put`, encrypted


class Backend(Protocol):
    """Stores texts by collection and key; `compare_and_swap` is atomic among all users of the same backend."""

    async def get(self, collection: str, key: str) -> str | None:
        """Return the text, or None."""

    async def get_many(self, collection: str, keys: Sequence[str]) -> list[str | None]:
        """Return the texts under these keys in one round trip, each as `get`."""

    async def put_all(self, texts: Sequence[Text]) -> None:
        """Write all these texts in one round trip, one after the other."""

    async def compare_and_swap(
        self, collection: str, key: str, old: str | None, new: str | None, seconds: float
    ) -> bool:
        """Replace `old` by `new`, and return False when the stored text is not `old`.

        Args:
            collection: the first part of the address.
            key: the second part of the address.
            old: the expected text; None expects no text.
            new: the new text; None deletes.
            seconds: how long the backend stores `new`.
        """

    def keys(self, collection: str) -> AsyncIterator[str]:
        """Iterate over the keys of a collection."""


class Records:
    """Encrypted records in a backend.

    Args:
        backend: stores the ciphertexts.
        cipher: encrypts and decrypts the records.
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
        """Replace a record and return the new record, or None when another caller changed the record first.

        Args:
            collection: the first part of the address.
            key: the second part of the address.
            stored: the record as the caller read it; `ABSENT` to create one.
            value: the new content; None deletes.
            seconds: how long the backend stores the record.

        Raises:
            StorageUnavailable: the store did not respond; the record may or may not have changed.
        """
        text = None if value is None else self._cipher.encrypt(value, collection, key)
        if not await self._backend.compare_and_swap(collection, key, stored.version, text, seconds):
            return None
        return Versioned(None if value is None else dict(value), text)

    async def read_many(self, collection: str, keys: Sequence[str]) -> list[Versioned]:
        """Return the records under these keys, read in one round trip. Raises StorageUnavailable."""
        texts = await self._backend.get_many(collection, keys) if keys else []
        return [
            ABSENT if text is None else Versioned(self._cipher.decrypt(text, collection, key), text)
            for key, text in zip(keys, texts, strict=True)
        ]

    async def put_all(self, puts: Sequence[Put]) -> None:
        """Write records in one round trip, whatever is stored. Raises StorageUnavailable: some may be written."""
        texts: list[Text] = []
        for collection, key, value, seconds in puts:
            text = None if value is None else self._cipher.encrypt(value, collection, key)
            texts.append((collection, key, text, seconds))
        if texts:
            await self._backend.put_all(texts)

    async def keys(self, collection: str) -> AsyncIterator[str]:
        """Iterate over the keys of a collection. Raises StorageUnavailable."""
        async for key in self._backend.keys(collection):
            yield key


class RedisBackend:
    """Stores each text under one key in Redis."""

    def __init__(self, client: Redis, guard: Guard) -> None:
        self._client = client
        self._guard = guard

    async def get(self, collection: str, key: str) -> str | None:
        """Return the text, or None. Delete a value that is not text: this server never stores one."""
        async with self._guard.within_limits():
            try:
                text = await self._client.get(f"{collection}:{key}")
            except (UnicodeDecodeError, ResponseError) as error:
                if not _is_no_text(error):
                    raise
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
            except WatchError:  # another caller was first
                return False
            except (UnicodeDecodeError, ResponseError) as error:
                if not _is_no_text(error):
                    raise
                return False
        return True

    async def get_many(self, collection: str, keys: Sequence[str]) -> list[str | None]:
        """Return the texts in one pipeline; one after the other where one of them is not text."""
        try:
            async with self._guard.within_limits(), self._client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.get(f"{collection}:{key}")
                return [None if text is None else str(text) for text in await pipe.execute()]
        except (UnicodeDecodeError, ResponseError) as error:
            if not _is_no_text(error):
                raise
        return [await self.get(collection, key) for key in keys]

    async def put_all(self, texts: Sequence[Text]) -> None:
        """Write all texts in one pipeline; it is no transaction, because the keys may lie in several slots."""
        async with self._guard.within_limits(), self._client.pipeline(transaction=False) as pipe:
            for collection, key, text, seconds in texts:
                name = f"{collection}:{key}"
                if text is None:
                    pipe.delete(name)
                else:
                    pipe.set(name, text, px=max(1, round(seconds * 1000)))
            await pipe.execute()

    async def keys(self, collection: str) -> AsyncIterator[str]:
        """Iterate over the keys with SCAN."""
        cursor: int | str = 0
        while True:
            async with self._guard.within_limits():
                cursor, found = await self._client.scan(cursor=int(cursor), match=f"{collection}:*", count=500)
            for name in found:
                yield str(name).partition(":")[2]
            if not int(cursor):
                return


def _is_no_text(error: UnicodeDecodeError | ResponseError) -> bool:
    """Return whether Redis has bytes or another type under a key, which whoever can write to it may put there."""
    return isinstance(error, UnicodeDecodeError) or str(error).startswith("WRONGTYPE")


_INDEX = "keys"


class LocalBackend:
    """Stores texts in a key-value store that only this process changes: on disk or in memory.

    Args:
        store: stores the texts.
        listed: the collections whose keys `keys` returns. The key-value store cannot list keys, so this backend stores
            an index of them.
    """

    def __init__(self, store: AsyncKeyValue, listed: tuple[str, ...] = ()) -> None:
        self._store = store
        self._listed = listed
        self._lock = asyncio.Lock()

    async def get(self, collection: str, key: str) -> str | None:
        """Return the text, or None."""
        found = await self._store.get(key, collection=collection)
        return None if found is None else str(found.get("text"))

    async def compare_and_swap(
        self, collection: str, key: str, old: str | None, new: str | None, seconds: float
    ) -> bool:
        """Replace `old` by `new` under a lock of this process."""
        async with self._lock:
            if await self.get(collection, key) != old:
                return False
            await self._put((collection, key, new, seconds), is_new=old is None)
        return True

    async def get_many(self, collection: str, keys: Sequence[str]) -> list[str | None]:
        """Return the texts."""
        return [await self.get(collection, key) for key in keys]

    async def put_all(self, texts: Sequence[Text]) -> None:
        """Write all texts under the lock of this process."""
        async with self._lock:
            for text in texts:
                await self._put(text, is_new=await self.get(text[0], text[1]) is None)

    async def _put(self, text: Text, *, is_new: bool) -> None:
        collection, key, new, seconds = text
        if new is None:
            await self._store.delete(key, collection=collection)
        else:
            await self._store.put(key, {"text": new}, collection=collection, ttl=seconds)
        if collection in self._listed and is_new != (new is None):
            await self._update_index(collection, key, present=new is not None)

    async def _update_index(self, collection: str, key: str, *, present: bool) -> None:
        rest = [listed for listed in await self._index_of(collection) if listed != key]
        index = {_INDEX: [*rest, key] if present else rest}
        await self._store.put(_INDEX, index, collection=f"{collection}-index")

    async def _index_of(self, collection: str) -> list[str]:
        found = await self._store.get(_INDEX, collection=f"{collection}-index") or {}
        return list(found.get(_INDEX, []))

    async def keys(self, collection: str) -> AsyncIterator[str]:
        """Iterate over the keys; some records may have expired."""
        for key in await self._index_of(collection):
            yield key
