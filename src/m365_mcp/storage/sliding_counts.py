"""Sliding windows: how much happened in the past hour or day, counted by all replicas together.

A window is made of short buckets. What happens is added to the bucket of now before it happens, and what did not happen
after all is taken back. Every bucket counts from its first moment until the window has passed its last, so that no
period as long as the window ever has more than the limit; what is counted leaves at most one bucket too late.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from m365_mcp.storage.counters import Change, Counters


@dataclass(frozen=True)
class Window:
    """A period that ends now.

    Attributes:
        letter: begins the names of its counters.
        seconds: how long it is at least.
        bucket_seconds: how long each of its buckets is.
    """

    letter: str
    seconds: float
    bucket_seconds: int

    def bucket(self, at: float) -> int:
        """Return the number of the bucket of a moment, in epoch seconds."""
        return int(at // self.bucket_seconds)

    def first_bucket(self, at: float) -> int:
        """Return the oldest bucket that counts at a moment."""
        return self.bucket(at) - math.ceil(self.seconds / self.bucket_seconds)

    def seconds_until_gone(self, bucket: int, at: float) -> float:
        """Return how long a bucket counts from a moment on."""
        return (bucket - self.first_bucket(at) + self.bucket(at) + 1) * self.bucket_seconds - at

    @property
    def kept_seconds(self) -> float:
        """How long a bucket can count."""
        return self.seconds + 2 * self.bucket_seconds


@dataclass(frozen=True)
class Addition:
    """What is added.

    Attributes:
        key: names what is counted for; see `Change.key`.
        windows: the windows it is counted in.
        numbers: what is added of each unit, which one letter names.
    """

    key: str
    windows: tuple[Window, ...]
    numbers: Mapping[str, int] = field(default_factory=dict)

    def change(self, at: float, sign: int = 1) -> Change:
        """Return the change of the counters at a moment."""
        added = {
            f"{window.letter}{unit}{window.bucket(at)}": sign * number
            for window in self.windows
            for unit, number in self.numbers.items()
        }
        return Change(self.key, max(window.kept_seconds for window in self.windows), added)


@dataclass(frozen=True)
class Counted:
    """What was added, and what was counted before.

    Attributes:
        addition: what was added.
        at: when, in epoch seconds.
        counters: the counters without the addition.
    """

    addition: Addition
    at: float
    counters: Mapping[str, int]

    def before(self, window: Window, unit: str) -> int:
        """Return how much was counted in the window, without what was added."""
        return sum(number for _, number in self._buckets(window, unit))

    def wait(self, window: Window, unit: str, most: int) -> float:
        """Return the seconds until what was added fits below `most`; 0: it fits."""
        over = self.before(window, unit) + self.addition.numbers[unit] - most
        wait = 0.0
        for bucket, number in sorted(self._buckets(window, unit)):
            if over <= 0:
                break
            over -= number
            wait = window.seconds_until_gone(bucket, self.at)
        return wait

    def _buckets(self, window: Window, unit: str) -> Iterator[tuple[int, int]]:
        """Iterate over the buckets that count: number of the bucket, and what is in it."""
        prefix, first = f"{window.letter}{unit}", window.first_bucket(self.at)
        for name, number in self.counters.items():
            bucket = name.removeprefix(prefix)
            # Counters that were lost before something was taken back are below zero.
            if name.startswith(prefix) and bucket.isdecimal() and int(bucket) >= first and number > 0:
                yield int(bucket), number

    def stale(self) -> list[str]:
        """Return the names of counters that count in no window any more."""
        first = {window.letter: window.first_bucket(self.at) for window in self.addition.windows}
        return [name for name in self.counters if not _is_current(name, first)]


def _is_current(name: str, first: Mapping[str, int]) -> bool:
    bucket = name[2:]
    return name[:1] in first and bucket.isdecimal() and int(bucket) >= first[name[:1]]


@dataclass(frozen=True)
class SlidingCounts:
    """Counts in sliding windows.

    Attributes:
        counters: the store of the counts.
        clock: returns epoch seconds; for tests.
    """

    counters: Counters
    clock: Callable[[], float] = time.time

    async def add(self, *additions: Addition) -> list[Counted]:
        """Add at once, and return what was counted before. Raises StorageUnavailable.

        One round trip, and now and then one more to delete what counts no longer.

        Args:
            additions: their keys have one hash tag. An addition without numbers only reads.
        """
        at = self.clock()
        changes = [addition.change(at) for addition in additions]
        found = await self.counters.add(changes)
        counted = [
            Counted(addition, at, _without(change.added, counters))
            for addition, change, counters in zip(additions, changes, found, strict=True)
        ]
        for one in counted:
            if stale := one.stale():
                await self.counters.drop(one.addition.key, stale)
        return counted

    async def take_back(self, *counted: Counted) -> None:
        """Take back what was added and did not happen. Raises StorageUnavailable."""
        await self.counters.add([one.addition.change(one.at, -1) for one in counted])


def _without(added: Mapping[str, int], counters: Mapping[str, int]) -> dict[str, int]:
    return {name: number - added.get(name, 0) for name, number in counters.items()}
