"""Encrypts what FastMCP's OAuth proxy stores; see `encryption`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

from key_value.aio.protocols import AsyncKeyValue
from key_value.aio.wrappers.base import BaseWrapper

from m365_mcp.errors import StorageUnavailable
from m365_mcp.errors.request_error import recorded
from m365_mcp.storage.encryption import RecordCipher

_FIELD = "sealed"  # the record's one field, as v0.1.0 names it
# FastMCP writes a client registration once and reads it for months. Other records are short-lived or written again.
LONG_LIVED = ("mcp-oauth-proxy-clients",)


class EncryptedStore(BaseWrapper):
    """Stores only ciphertext in `key_value`, and records the errors of the store as request errors.

    Without the record of the error, FastMCP would respond "invalid token" when the store fails.

    Args:
        key_value: the store that receives the ciphertext.
        cipher: encrypts and decrypts.
    """

    def __init__(self, key_value: AsyncKeyValue, cipher: RecordCipher) -> None:
        self.key_value = key_value
        self._cipher = cipher

    def _encrypt(self, value: Mapping[str, Any], collection: str | None, key: str) -> dict[str, Any]:
        return {_FIELD: self._cipher.encrypt(value, collection, key)}

    def _decrypt(self, stored: dict[str, Any] | None, collection: str | None, key: str) -> dict[str, Any] | None:
        return None if stored is None else self._cipher.decrypt(str(stored.get(_FIELD)), collection, key)

    @recorded
    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        """Return the record, or None when the record is missing or the cipher cannot decrypt it."""
        if collection in LONG_LIVED:
            return (await self._find(key, collection))[0]
        return self._decrypt(await self.key_value.get(key, collection=collection), collection, key)

    async def _find(self, key: str, collection: str | None) -> tuple[dict[str, Any] | None, float | None]:
        stored, seconds = await self.key_value.ttl(key, collection=collection)
        value = self._decrypt(stored, collection, key)
        if stored is not None and value is not None and collection in LONG_LIVED:
            await self._rotate_key(stored, value, seconds, collection, key)
        return value, seconds

    async def _rotate_key(
        self, stored: dict[str, Any], value: dict[str, Any], seconds: float | None, collection: str, key: str
    ) -> None:
        """Encrypt a record with the newest key, so that the operator can remove the old key."""
        if not self._cipher.needs_rotation(str(stored[_FIELD])):
            return
        try:
            await self.key_value.put(key, self._encrypt(value, collection, key), collection=collection, ttl=seconds)
        except StorageUnavailable:
            return  # the next read rotates the key; this read already has the value

    @recorded
    async def get_many(self, keys: Sequence[str], *, collection: str | None = None) -> list[dict[str, Any] | None]:
        """Return the records in the order of `keys`."""
        stored = await self.key_value.get_many(keys, collection=collection)
        return [self._decrypt(value, collection, key) for key, value in zip(keys, stored, strict=True)]

    @recorded
    async def ttl(self, key: str, *, collection: str | None = None) -> tuple[dict[str, Any] | None, float | None]:
        """Return the record and its remaining seconds."""
        return await self._find(key, collection)

    @recorded
    async def ttl_many(
        self, keys: Sequence[str], *, collection: str | None = None
    ) -> list[tuple[dict[str, Any] | None, float | None]]:
        """Return the records and their remaining seconds, in the order of `keys`."""
        return [await self.ttl(key, collection=collection) for key in keys]

    @recorded
    async def put(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: SupportsFloat | None = None
    ) -> None:
        """Encrypt and store the record; the store deletes it after `ttl` seconds, if given."""
        await self.key_value.put(key, self._encrypt(value, collection, key), collection=collection, ttl=ttl)

    @recorded
    async def put_many(
        self,
        keys: Sequence[str],
        values: Sequence[Mapping[str, Any]],
        *,
        collection: str | None = None,
        ttl: SupportsFloat | None = None,
    ) -> None:
        """Encrypt and store several records."""
        for key, value in zip(keys, values, strict=True):
            await self.put(key, value, collection=collection, ttl=ttl)

    @recorded
    async def delete(self, key: str, *, collection: str | None = None) -> bool:
        """Delete the record; return whether it existed."""
        return await self.key_value.delete(key, collection=collection)

    @recorded
    async def delete_many(self, keys: Sequence[str], *, collection: str | None = None) -> int:
        """Delete several records; return how many existed."""
        return await self.key_value.delete_many(keys, collection=collection)
