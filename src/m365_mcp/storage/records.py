"""Encrypted records that change by compare-and-swap, so that two replicas never both make the same change.

A caller that holds a lease on what its records describe may overwrite them, because nobody else changes them meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from m365_mcp.errors import StorageUnavailable
from m365_mcp.storage.backends import Backend, Text
from m365_mcp.storage.encryption import RecordCipher
from m365_mcp.storage.newest_seen import RULES, NewestSeen, Numbered, Seen, with_number, without_number


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


@dataclass(frozen=True)
class Write:
    """What is to be stored under a key.

    Attributes:
        collection: the first part of the address.
        key: the second part of the address.
        value: the content; None deletes.
        seconds: how long the backend stores it.
    """

    collection: str
    key: str
    value: Mapping[str, Any] | None = field(hash=False, repr=False)
    seconds: float = 0

    @property
    def address(self) -> tuple[str, str]:
        """The collection and the key."""
        return self.collection, self.key


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
        return await self._opened(collection, key, await self._backend.get(collection, key), seen)

    async def _opened(self, collection: str, key: str, text: str | None, seen: Seen | None) -> Versioned:
        value = None if text is None else self._cipher.decrypt(text, collection, key)
        return (
            Versioned(value, text) if collection not in RULES else await self._judge(collection, key, value, text, seen)
        )

    async def create_and_read(self, write: Write, collection: str, key: str) -> tuple[Versioned | None, Versioned]:
        """Create a record where there is none, then read another one, in one round trip.

        Args:
            write: what is created; of a collection whose records may go back.
            collection: the collection of the record to read.
            key: its key.

        Returns:
            The record that was created, or None where there is one; and the other record.

        Raises:
            StorageUnavailable: the store did not respond; the record may or may not have been created.
        """
        seen = self._newest.find(collection, key)
        new, text = self._sealed(write, 0)
        is_new, found = await self._backend.create_and_get(text, collection, key)
        return self._noted(write, new, text) if is_new else None, await self._opened(collection, key, found, seen)

    async def create(self, *writes: Write) -> list[Versioned | None]:
        """Create records in one round trip, each where there is none; return each, or None where there is or was one.

        Raises:
            StorageUnavailable: the store did not respond; each record may or may not have been created.
        """
        new = {write: self._sealed(write, 0) for write in writes if self._newest.find(*write.address) is None}
        created = await self._backend.create([text for _, text in new.values()])
        done = {write: one for (write, one), is_new in zip(new.items(), created, strict=True) if is_new}
        return [self._noted(write, *done[write]) if write in done else None for write in writes]

    async def overwrite(self, *writes: Write) -> None:
        """Store records in one round trip, whatever was there; for a caller that knows that nobody else changes them.

        Raises:
            StorageUnavailable: the store did not respond; each record may or may not have changed.
        """
        seen = [self._newest.find(*write.address) for write in writes]
        new = [self._sealed(write, 0 if one is None else one.number) for write, one in zip(writes, seen, strict=True)]
        await self._backend.overwrite([text for _, text in new])
        for write, one in zip(writes, new, strict=True):
            self._noted(write, *one)

    def _sealed(self, write: Write, number: int) -> tuple[Numbered, Text]:
        """Return a record that takes the place of the one with this number, and its text."""
        if write.value is None:
            return Numbered(None), Text(*write.address, None)
        has_number = write.collection in RULES
        new = self._newest.numbered(write.value, number, write.seconds) if has_number else Numbered(dict(write.value))
        content = with_number(new) if has_number else new.value
        text = self._cipher.encrypt(content or {}, *write.address)
        return new, Text(*write.address, text, write.seconds)

    def _noted(self, write: Write, new: Numbered, text: Text) -> Versioned:
        """Return a record that was stored, and remember it if it must not go back."""
        if write.collection in RULES:
            if new.value is None:
                self._newest.note_deletion(*write.address)
            else:
                self._newest.note(*write.address, new)
        return Versioned(new.value, text.text, new.number)

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
        write = Write(collection, key, value, seconds)
        seen = self._newest.find(collection, key)
        is_ending = value is None and (stored.value is None or (seen is not None and seen.kept is None))
        if seen is not None and seen.number > stored.number and not is_ending:
            return None  # the store may have gone back to what the caller read
        new, text = self._sealed(write, stored.number)
        if not await self._backend.compare_and_swap(collection, key, stored.version, text.text, seconds):
            return None
        return self._noted(write, new, text)

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
