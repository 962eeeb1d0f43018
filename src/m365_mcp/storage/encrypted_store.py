"""Encrypts what FastMCP's OAuth proxy stores; see `seal`.

May know the key-value protocol and its own folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

from key_value.aio.protocols import AsyncKeyValue
from key_value.aio.wrappers.base import BaseWrapper

from m365_mcp.errors import StorageUnavailable, request_error
from m365_mcp.storage.encryption import Seal

_SEAL = "sealed"
# FastMCP's client registrations: written once and read for months; everything else is written again, or short-lived.
LONG_LIVED = ("mcp-oauth-proxy-clients",)


class SealedStore(BaseWrapper):
    """Keeps only ciphertext in `key_value`.

    Args:
        key_value: the store underneath.
        seal: encrypts and opens.
    """

    def __init__(self, key_value: AsyncKeyValue, seal: Seal) -> None:
        self.key_value = key_value
        self._sealer = seal

    def _seal(self, value: Mapping[str, Any], collection: str | None, key: str) -> dict[str, Any]:
        return {_SEAL: self._sealer.close(value, collection, key)}

    def _open(self, stored: dict[str, Any] | None, collection: str | None, key: str) -> dict[str, Any] | None:
        return None if stored is None else self._sealer.open(str(stored.get(_SEAL)), collection, key)

    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        """Return the record, or None when there is none that can be trusted."""
        stored = await self.key_value.get(key, collection=collection)
        value = self._open(stored, collection, key)
        if stored is not None and value is not None and collection in LONG_LIVED:
            await self._renew_seal(stored, value, collection, key)
        return value

    async def _renew_seal(self, stored: dict[str, Any], value: dict[str, Any], collection: str, key: str) -> None:
        """Write a record that an old key has sealed once more, so that it outlives that key."""
        if not self._sealer.is_old(str(stored[_SEAL])):
            return
        try:
            _, seconds = await self.key_value.ttl(key, collection=collection)
            await self.put(key, value, collection=collection, ttl=seconds)
        except StorageUnavailable:
            request_error.forget()  # the next reading does it; this one has what it wants

    async def get_many(self, keys: Sequence[str], *, collection: str | None = None) -> list[dict[str, Any] | None]:
        """Return the records in the order of `keys`."""
        stored = await self.key_value.get_many(keys, collection=collection)
        return [self._open(value, collection, key) for key, value in zip(keys, stored, strict=True)]

    async def ttl(self, key: str, *, collection: str | None = None) -> tuple[dict[str, Any] | None, float | None]:
        """Return the record and its remaining seconds."""
        value, seconds = await self.key_value.ttl(key, collection=collection)
        return self._open(value, collection, key), seconds

    async def ttl_many(
        self, keys: Sequence[str], *, collection: str | None = None
    ) -> list[tuple[dict[str, Any] | None, float | None]]:
        """Return the records and their remaining seconds, in the order of `keys`."""
        return [await self.ttl(key, collection=collection) for key in keys]

    async def put(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: SupportsFloat | None = None
    ) -> None:
        """Store the record encrypted, for `ttl` seconds if given."""
        await self.key_value.put(key, self._seal(value, collection, key), collection=collection, ttl=ttl)

    async def put_many(
        self,
        keys: Sequence[str],
        values: Sequence[Mapping[str, Any]],
        *,
        collection: str | None = None,
        ttl: SupportsFloat | None = None,
    ) -> None:
        """Store several records encrypted."""
        for key, value in zip(keys, values, strict=True):
            await self.put(key, value, collection=collection, ttl=ttl)
