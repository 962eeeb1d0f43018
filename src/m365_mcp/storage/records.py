"""Encrypted records that change by compare-and-swap only, so that two replicas never both make the same change.

The Redis backend uses plain commands and optimistic transactions (WATCH, MULTI, EXEC). It runs no scripts, because an
operator may forbid scripts to the Redis user.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from key_value.aio.protocols import AsyncKeyValue
from redis.asyncio import Redis
from redis.client import NEVER_DECODE
from redis.exceptions import ResponseError, WatchError

from m365_mcp import logs
from m365_mcp.errors import StorageUnavailable
from m365_mcp.storage.encryption import RecordCipher
from m365_mcp.storage.guard import Guard
from m365_mcp.storage.newest_seen import RULES, NewestSeen, Numbered, Seen, with_number, without_number

_log = logs.get(__name__)


@dataclass(frozen=True)
class Versioned:
    """A record with its version.

    Attributes:
        value: the content; None when the record is missing or the cipher cannot decrypt it.
        version: the stored text, which compare-and-swap compares; None when the store has none.
        number: the number of this state, in collections whose records must not go back; see `newest_seen`.
    """

    value: dict[str, Any] | None = None
    version: str | None = field(default=None, repr=False)
    number: int = field(default=0, repr=False, compare=False)


ABSENT = Versioned()


class Backend(Protocol):
    """Stores texts by collection and key; `compare_and_swap` is atomic among all users of the same backend."""

    async def get(self, collection: str, key: str) -> str | None:
        """Return the text, or None."""

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
    """Encrypted records in a backend. Those that must not go back are as new as this process has ever seen them.

    Args:
        backend: stores the ciphertexts.
        cipher: encrypts and decrypts the records.
        newest: remembers the newest states.
    """

    def __init__(self, backend: Backend, cipher: RecordCipher, newest: NewestSeen | None = None) -> None:
        self._backend = backend
        self._cipher = cipher
        self._newest = newest or NewestSeen()

    async def read(self, collection: str, key: str) -> Versioned:
        """Return the record. Raises StorageUnavailable."""
        seen = self._newest.find(collection, key)  # before the store is asked; see `find`
        text = await self._backend.get(collection, key)
        value = None if text is None else self._cipher.decrypt(text, collection, key)
        return (
            Versioned(value, text) if collection not in RULES else await self._judge(collection, key, value, text, seen)
        )

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
        if collection in RULES:
            return await self._swap_numbered(collection, key, stored, value, seconds)
        text = None if value is None else self._cipher.encrypt(value, collection, key)
        if not await self._backend.compare_and_swap(collection, key, stored.version, text, seconds):
            return None
        return Versioned(None if value is None else dict(value), text)

    async def keys(self, collection: str) -> AsyncIterator[str]:
        """Iterate over the keys of a collection. Raises StorageUnavailable."""
        async for key in self._backend.keys(collection):
            yield key

    async def _judge(
        self, collection: str, key: str, value: dict[str, Any] | None, text: str | None, seen: Seen | None
    ) -> Versioned:
        """Return a record as the store has it, or the newer state that was seen before the store was asked."""
        found = without_number(value)
        if seen is not None:
            newest = self._newest.newest(collection, key, found, seen, is_missing=text is None)
            if newest is not None:
                return Versioned(newest.value, await self._put_back(collection, key, text, newest), newest.number)
        self._newest.note_read(collection, key, found)
        return Versioned(found.value, text, found.number)

    async def _put_back(self, collection: str, key: str, old: str | None, newest: Numbered) -> str | None:
        """Put the newest known state into the store, for the other replicas; return what the store has then."""
        value = with_number(newest)
        new = None if value is None else self._cipher.encrypt(value, collection, key)
        with suppress(StorageUnavailable):  # this replica goes by the newest state anyway
            seconds = self._newest.seconds_left(newest.until)
            if await self._backend.compare_and_swap(collection, key, old, new, seconds):
                return new
        return old

    async def _swap_numbered(
        self, collection: str, key: str, stored: Versioned, value: Mapping[str, Any] | None, seconds: float
    ) -> Versioned | None:
        seen = self._newest.find(collection, key)
        if seen is not None and seen.number > stored.number and not (value is None and seen.kept is None):
            return None  # the store may have gone back to what the caller read
        new = Numbered(None) if value is None else self._newest.numbered(value, stored.number, seconds)
        sealed = with_number(new)
        text = None if sealed is None else self._cipher.encrypt(sealed, collection, key)
        if not await self._backend.compare_and_swap(collection, key, stored.version, text, seconds):
            return None
        if value is None:
            self._newest.note_deletion(collection, key)
        else:
            self._newest.note(collection, key, new)
        return Versioned(new.value, text, new.number)


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

    async def keys(self, collection: str) -> AsyncIterator[str]:
        """Iterate over the keys with SCAN; leave out what is no text, because this server never stores one."""
        cursor: int | str = 0
        while True:
            options = {NEVER_DECODE: True}
            async with self._guard.within_limits():
                cursor, found = await self._client.scan(int(cursor), f"{collection}:*", 500, None, **options)
            for name in map(_as_text, found):
                if name is not None:
                    yield name.partition(":")[2]
            if not int(cursor):
                return


def _as_text(name: bytes | str) -> str | None:
    try:
        return name if isinstance(name, str) else name.decode()
    except UnicodeDecodeError:
        return None


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
            if new is None:
                await self._store.delete(key, collection=collection)
            else:
                await self._store.put(key, {"text": new}, collection=collection, ttl=seconds)
            if collection in self._listed and (old is None) != (new is None):
                await self._update_index(collection, key, present=new is not None)
        return True

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
