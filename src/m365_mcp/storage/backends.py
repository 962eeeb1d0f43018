"""Where records are stored as texts: in Redis, or in a store that only this process changes.

The Redis backend uses plain commands and optimistic transactions (WATCH, MULTI, EXEC). It runs no scripts, because an
operator may forbid scripts to the Redis user. Several texts are created or overwritten in one round trip, and not in a
transaction: their keys may have different hash slots. In a cluster this asks each node once, all at the same time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from key_value.aio.protocols import AsyncKeyValue
from redis.asyncio import Redis
from redis.client import NEVER_DECODE
from redis.exceptions import ResponseError, WatchError

from m365_mcp import logs
from m365_mcp.storage.guard import Guard
from m365_mcp.storage.redis_nodes import Command, RedisNodes
from m365_mcp.storage.redis_scan import as_text, keys_of

_log = logs.get(__name__)


@dataclass(frozen=True)
class Text:
    """What a backend is to store; see `records.Write`."""

    collection: str
    key: str
    text: str | None = field(repr=False)
    seconds: float = 0

    @property
    def name(self) -> str:
        """The key in Redis."""
        return f"{self.collection}:{self.key}"

    @property
    def milliseconds(self) -> int:
        """How long Redis stores it."""
        return max(1, round(self.seconds * 1000))


class Backend(Protocol):
    """Stores texts by collection and key; `compare_and_swap` is atomic among all users of the same backend."""

    async def create(self, texts: Sequence[Text]) -> list[bool]:
        """Store each text whose key has none; return for each whether it was stored. Atomic for each key."""

    async def create_and_get(self, text: Text, collection: str, key: str) -> tuple[bool, str | None]:
        """Store a text whose key has none; return whether it was stored, and the text that another key has then.

        Args:
            text: the text to store.
            collection: the collection of the other text.
            key: its key.
        """

    async def overwrite(self, texts: Sequence[Text]) -> None:
        """Store or delete each text, whatever its key has."""

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


class RedisBackend:
    """Stores each text under one key in Redis."""

    def __init__(self, nodes: RedisNodes, guard: Guard) -> None:
        self._nodes = nodes
        self._guard = guard

    async def get(self, collection: str, key: str) -> str | None:
        """Return the text, or None. Delete a value that is not text: this server never stores one."""
        name = f"{collection}:{key}"
        async with self._guard.within_limits("read"):
            try:
                text = await self._nodes.run(name, lambda client: client.get(name))
            except (UnicodeDecodeError, ResponseError) as error:
                if not _is_no_text(error):
                    raise
                _log.warning("record_unreadable", collection=collection)
                await self._nodes.run(name, lambda client: client.delete(name))
                return None
            return None if text is None else str(text)  # the client decodes

    async def create(self, texts: Sequence[Text]) -> list[bool]:
        """Store each text whose key has none, with SET NX, in one round trip."""
        async with self._guard.within_limits("write"):
            return [bool(stored) for stored in await self._nodes.run_each([_creation(text) for text in texts])]

    async def create_and_get(self, text: Text, collection: str, key: str) -> tuple[bool, str | None]:
        """Create with SET NX, then get, in one round trip; Redis runs the commands of one connection in turn.

        Where two nodes of a cluster have the keys, it is two round trips: nothing else keeps the order.
        """
        name = f"{collection}:{key}"
        async with self._guard.within_limits("read"):
            one_node = await self._nodes.have_one_node(text.name, name)
        if not one_node:
            [is_new] = await self.create([text])
            return is_new, await self.get(collection, key)
        async with self._guard.within_limits("write"):
            created, found = await self._nodes.run(text.name, partial(_create_and_get, text=text, name=name))
        text_found = as_text(found) if isinstance(found, bytes) else None
        if text_found is None and found is not None:
            text_found = await self.get(collection, key)  # which knows what to do with it
        return bool(created), text_found

    async def overwrite(self, texts: Sequence[Text]) -> None:
        """Store or delete each text in one round trip."""
        async with self._guard.within_limits("write"):
            await self._nodes.run_each([_overwriting(text) for text in texts])

    async def compare_and_swap(
        self, collection: str, key: str, old: str | None, new: str | None, seconds: float
    ) -> bool:
        """Replace `old` by `new` in one transaction; where nothing is expected, one command does it."""
        if old is None and new is not None:
            [is_new] = await self.create([Text(collection, key, new, seconds)])
            return is_new or await self.get(collection, key) == new  # the client may have asked again
        text = Text(collection, key, new, seconds)
        async with self._guard.within_limits("transaction"):
            return await self._nodes.run(text.name, lambda client: _swap(client, text, old))

    def keys(self, collection: str) -> AsyncIterator[str]:
        """Iterate over the keys with SCAN; leave out what is no text, because this server never stores one."""
        return keys_of(self._nodes, self._guard, collection)


def _creation(text: Text) -> Command:
    return Command(text.name, lambda pipe: pipe.set(text.name, str(text.text), px=text.milliseconds, nx=True))


def _overwriting(text: Text) -> Command:
    if text.text is None:
        return Command(text.name, lambda pipe: pipe.delete(text.name))
    return Command(text.name, lambda pipe: pipe.set(text.name, str(text.text), px=text.milliseconds))


async def _create_and_get(client: Redis, text: Text, name: str) -> tuple[object, object]:
    async with client.pipeline(transaction=False) as pipe:
        _creation(text).queue(pipe)
        # As bytes: an error in a reply would hide whether the text was stored.
        pipe.execute_command("GET", name, **{NEVER_DECODE: True})
        created, found = await pipe.execute(raise_on_error=False)
    if isinstance(created, Exception):
        raise created
    return created, found


async def _swap(client: Redis, text: Text, old: str | None) -> bool:
    """Replace `old` by a text in one transaction of one node."""
    new = text.text
    async with client.pipeline() as pipe:
        try:
            await pipe.watch(text.name)
            found = await pipe.get(text.name)
            if found != old:
                return new is not None and found == new  # a node that is gone may have made this write
            pipe.multi()  # type: ignore[no-untyped-call]
            _overwriting(text).queue(pipe)
            await pipe.execute()
        except WatchError:  # another caller was first, or the connection was lost and this write was made
            return new is not None and await client.get(text.name) == new
        except (UnicodeDecodeError, ResponseError) as error:
            if not _is_no_text(error):
                raise
            return False
    return True


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

    async def create(self, texts: Sequence[Text]) -> list[bool]:
        """Store each text whose key has none."""
        return [await self.compare_and_swap(text.collection, text.key, None, text.text, text.seconds) for text in texts]

    async def create_and_get(self, text: Text, collection: str, key: str) -> tuple[bool, str | None]:
        """Store a text whose key has none, then get the other one."""
        [is_new] = await self.create([text])
        return is_new, await self.get(collection, key)

    async def overwrite(self, texts: Sequence[Text]) -> None:
        """Store or delete each text."""
        for text in texts:
            async with self._lock:
                await self._store_text(text, is_there=await self.get(text.collection, text.key) is not None)

    async def compare_and_swap(
        self, collection: str, key: str, old: str | None, new: str | None, seconds: float
    ) -> bool:
        """Replace `old` by `new` under a lock of this process."""
        async with self._lock:
            if await self.get(collection, key) != old:
                return False
            await self._store_text(Text(collection, key, new, seconds), is_there=old is not None)
        return True

    async def _store_text(self, text: Text, *, is_there: bool) -> None:
        if text.text is None:
            await self._store.delete(text.key, collection=text.collection)
        else:
            await self._store.put(text.key, {"text": text.text}, collection=text.collection, ttl=text.seconds)
        if text.collection in self._listed and is_there != (text.text is not None):
            await self._update_index(text.collection, text.key, present=text.text is not None)

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
