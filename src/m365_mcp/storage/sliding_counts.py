"""Sliding windows: how much happened in the past hour or day, counted by all replicas together.

A window is made of short buckets. What happens is added to the bucket of now before it happens, and what did not happen
after all is taken back. Every bucket counts from its first moment until the window has passed its last, so that no
period as long as the window ever has more than the limit; what is counted leaves at most one bucket too late.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
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
        seconds = max(window.kept_seconds for window in self.windows)
        return Change(self.key, seconds, added, lambda name: self.age(name, at) < 1)

    def age(self, name: str, at: float) -> int:
        """Return how many buckets a counter is younger than the oldest that counts; below 0: it counts no longer."""
        for window in self.windows:
            if name[:1] == window.letter and name[2:].isdecimal():
                return int(name[2:]) - window.first_bucket(at)
        return -1


Buckets = dict[int, int]
"""What is in each bucket, by its number."""


@dataclass(frozen=True)
class Counted:
    """What was added, and what was counted before.

    Attributes:
        addition: what was added.
        at: when, in epoch seconds.
        counted: the buckets that count, without the addition, by the letters of window and unit.
        stale: the names of counters that count in no window any more.
    """

    addition: Addition
    at: float
    counted: Mapping[str, Buckets]
    stale: Sequence[str] = ()

    def before(self, window: Window, unit: str) -> int:
        """Return how much was counted in the window, without what was added."""
        return sum(self._buckets(window, unit).values())

    def wait(self, window: Window, unit: str, most: int) -> float:
        """Return the seconds until what was added fits below `most`; 0: it fits."""
        over = self.before(window, unit) + self.addition.numbers[unit] - most
        wait = 0.0
        for bucket, number in sorted(self._buckets(window, unit).items()):
            if over <= 0:
                break
            over -= number
            wait = window.seconds_until_gone(bucket, self.at)
        return wait

    def _buckets(self, window: Window, unit: str) -> Buckets:
        return self.counted.get(f"{window.letter}{unit}", {})


def _counted(addition: Addition, at: float, counters: Mapping[str, int]) -> Counted:
    """Read the counters as they are after an addition."""
    added = addition.change(at).added
    counted: dict[str, Buckets] = {}
    stale: list[str] = []
    for name, number in counters.items():
        series, bucket = name[:2], name[2:]
        if addition.age(name, at) < 0:
            stale.append(name)
            continue
        # Below zero are counters that were lost before something was taken back.
        counted.setdefault(series, {})[int(bucket)] = max(0, number - added.get(name, 0))
    return Counted(addition, at, counted, stale)


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
        found = await self.counters.add([addition.change(at) for addition in additions])
        counted = [_counted(addition, at, counters) for addition, counters in zip(additions, found, strict=True)]
        for one in counted:
            if one.stale:
                await self.counters.drop(one.addition.key, one.stale)
        return counted

    async def take_back(self, *counted: Counted) -> None:
        """Take back what was added and did not happen. Raises StorageUnavailable."""
        await self.counters.add([one.addition.change(one.at, -1) for one in counted])
