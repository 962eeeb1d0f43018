"""Notes in which minute the time of each held mail ends, so that `held_expiry` finds it without a list of all keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from m365_mcp.errors import StorageUnavailable
from m365_mcp.storage.records import Records

COLLECTION = "m365-held-ends"
KEPT_SECONDS = 3600.0  # how long after its time a mail can be found, so that somebody notices that it has expired
SHARDS = "0123456789abcdef"  # the first digit of a mail's id; replicas that note at the same time seldom meet
_TRIES = 10


@dataclass(frozen=True)
class HeldEnds:
    """The ids of held mail by the minute in which its time ends, shared by all replicas."""

    records: Records

    async def note(self, mail_id: str, ends_at: float, now: float) -> None:
        """Note when the time of a mail ends, in epoch seconds. Raises StorageUnavailable."""
        key = _key(minute_of(ends_at), mail_id[:1])
        for _ in range(_TRIES):
            stored = await self.records.read(COLLECTION, key)
            ids = sorted({*_ids(stored.value), mail_id})
            if await self.records.compare_and_swap(COLLECTION, key, stored, {"ids": ids}, ends_at - now + KEPT_SECONDS):
                return
        raise StorageUnavailable

    async def of(self, minute: int, shard: str) -> tuple[str, ...]:
        """Return the ids of the mail whose time ends in a minute since the epoch. Raises StorageUnavailable."""
        return _ids((await self.records.read(COLLECTION, _key(minute, shard))).value)

    async def forget(self, minute: int, shard: str) -> None:
        """Forget which mail ends in a minute. Raises StorageUnavailable."""
        stored = await self.records.read(COLLECTION, _key(minute, shard))
        await self.records.compare_and_swap(COLLECTION, _key(minute, shard), stored, None)


def minute_of(seconds: float) -> int:
    """Return the minute since the epoch."""
    return int(seconds // 60)


def _key(minute: int, shard: str) -> str:
    return f"{minute}-{shard}"


def _ids(value: Mapping[str, Any] | None) -> tuple[str, ...]:
    found = (value or {}).get("ids")
    return tuple(one for one in found if isinstance(one, str)) if isinstance(found, list) else ()
