"""Counters that do not fall below what this process has counted itself, whatever somebody does to the store.

The store has the sum of what all replicas have counted, so it is never less than the part of one. What a process has
counted is in its memory, and ends with it. A counter in the store that was set lower counts as high as this process
knows; a counter that was set higher is believed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cachetools import TLRUCache

from m365_mcp.storage.counters import COLLECTION, Change, Counters
from m365_mcp.storage.newest_seen import RollbackReports, StoreRolledBack

MOST = 5_000  # remembered keys


@dataclass(slots=True)
class _Part:
    """What this process has counted under one name.

    Attributes:
        added: what the store has added for certain.
        taken: what this process has asked the store to take away.
    """

    added: int = 0
    taken: int = 0


@dataclass(slots=True)
class _Parts:
    """What this process has counted under one key."""

    until: float
    by_name: dict[str, _Part] = field(default_factory=dict)
    is_reported: bool = False

    def floors(self, before: Mapping[str, int], added: Mapping[str, int]) -> dict[str, int]:
        """Return the least that each counter can be.

        Args:
            before: what the store had added for certain before a change.
            added: what the change has added.
        """
        return {
            # What other calls have taken away in the meantime may be gone before or after the change.
            name: before.get(name, 0) + max(0, added.get(name, 0)) - part.taken
            for name, part in self.by_name.items()
        }


class FlooredCounters:
    """Counts in other counters, and remembers its own part.

    Args:
        counters: the counters.
        reports: gets a report when a counter is too low, once for each key.
        clock: returns epoch seconds; for tests.
        most: how many keys are remembered; the least recently used are forgotten first.
    """

    def __init__(
        self,
        counters: Counters,
        reports: RollbackReports | None = None,
        clock: Callable[[], float] = time.time,
        most: int = MOST,
    ) -> None:
        self._counters = counters
        self._reports = reports or RollbackReports()
        self._clock = clock
        self._parts: TLRUCache[str, _Parts] = TLRUCache(most, ttu=lambda _key, parts, _now: parts.until, timer=clock)

    async def add(self, changes: Sequence[Change]) -> list[dict[str, int]]:
        """Make all changes at once; return the counters under each key afterwards. Raises StorageUnavailable."""
        before = [self._before(change) for change in changes]
        found = await self._counters.add(changes)
        return [self._floored(*one) for one in zip(changes, before, found, strict=True)]

    def _before(self, change: Change) -> dict[str, int]:
        """Note what is about to be taken away, and return what the store has added for certain."""
        parts = self._parts.get(change.key)
        if parts is None:
            return {}
        for name in list(filter(change.is_leaving, parts.by_name)):
            del parts.by_name[name]
        for name, number in change.added.items():
            if number < 0 and name in parts.by_name:
                parts.by_name[name].taken -= number
        return {name: part.added for name, part in parts.by_name.items()}

    def _floored(self, change: Change, before: Mapping[str, int], found: dict[str, int]) -> dict[str, int]:
        self._note(change)
        parts = self._parts.get(change.key)
        floors = {} if parts is None else parts.floors(before, change.added)
        low = {name: floor for name, floor in floors.items() if found.get(name, 0) < floor and floor > 0}
        if parts is not None and low and not parts.is_reported:
            parts.is_reported = True
            self._reports.report(StoreRolledBack(COLLECTION, change.key, "lower"))
        return {**found, **low}

    def _note(self, change: Change) -> None:
        """Note what the store has added."""
        added = {name: number for name, number in change.added.items() if number > 0}
        if not added:
            return
        parts = self._parts.get(change.key) or _Parts(0.0)
        parts.until = self._clock() + change.seconds
        for name, number in added.items():
            parts.by_name.setdefault(name, _Part()).added += number
        self._parts[change.key] = parts

    async def drop(self, key: str, names: Sequence[str]) -> None:
        """Delete counters. Raises StorageUnavailable."""
        parts = self._parts.get(key)
        if parts is not None:
            for name in names:
                parts.by_name.pop(name, None)
        await self._counters.drop(key, names)
