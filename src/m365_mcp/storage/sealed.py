"""Encrypts what FastMCP's OAuth proxy stores; see `seal`.

May know the key-value protocol and its own folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

from cryptography.fernet import MultiFernet
from key_value.aio.protocols import AsyncKeyValue
from key_value.aio.wrappers.base import BaseWrapper

from m365_mcp.storage.seal import Seal

_SEAL = "sealed"


class SealedStore(BaseWrapper):
    """Keeps only ciphertext in `key_value`.

    Args:
        key_value: the store underneath.
        fernet: encrypts with its first key and opens with any of them, so that keys can be rotated.
    """

    def __init__(self, key_value: AsyncKeyValue, fernet: MultiFernet) -> None:
        self.key_value = key_value
        self._sealer = Seal(fernet)

    def _seal(self, value: Mapping[str, Any], collection: str | None, key: str) -> dict[str, Any]:
        return {_SEAL: self._sealer.close(value, collection, key)}

    def _open(self, stored: dict[str, Any] | None, collection: str | None, key: str) -> dict[str, Any] | None:
        return None if stored is None else self._sealer.open(str(stored.get(_SEAL)), collection, key)

    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        """Return the record, or None when there is none that can be trusted."""
        return self._open(await self.key_value.get(key, collection=collection), collection, key)

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
