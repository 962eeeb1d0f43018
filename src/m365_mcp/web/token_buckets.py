"""Token buckets: how often something may happen for a key, in bursts and on average.

Counting is in the memory of one process: a count in the store would be a write for every anonymous request. The table
of keys is bounded, so strangers cannot fill the memory either; the key that was used longest ago is forgotten first,
and its bucket counts as full. The library `limits` 5.8 does neither: it forgets nothing that has not expired, looks at
every key after each count, and reads the system's clock.
"""

from __future__ import annotations

from collections.abc import Callable

from cachetools import LRUCache

MAX_KEYS = 4096
_ROUNDING = 1e-6  # seconds; thousands of fractions that were added up are not exact


class TokenBuckets:
    """One token bucket for each key; a full one has `size` tokens.

    Args:
        size: the tokens of a full bucket, which is the largest burst.
        seconds: the time in which an empty bucket becomes full again.
        clock: returns monotonic seconds.
    """

    def __init__(self, size: int, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._seconds_per_token = seconds / size
        self._clock = clock
        self._full_at: LRUCache[str, float] = LRUCache(MAX_KEYS)

    def __len__(self) -> int:
        return len(self._full_at)

    def wait_for(self, key: str, tokens: int) -> float:
        """Return the seconds until the bucket has so many tokens; 0 if it has them."""
        seconds = self._after(key, tokens) - self._clock() - self._seconds
        return seconds if seconds > _ROUNDING else 0.0

    def take(self, key: str, tokens: int) -> None:
        """Take tokens out of the bucket."""
        self._full_at[key] = self._after(key, tokens)

    def give_back(self, key: str, tokens: int) -> None:
        """Put tokens back that were taken; a bucket that was forgotten meanwhile counts as full anyway."""
        if key in self._full_at:
            self._full_at[key] -= tokens * self._seconds_per_token

    def _after(self, key: str, tokens: int) -> float:
        """Return when the bucket is full again once so many tokens are taken out now."""
        return max(self._full_at.get(key, 0.0), self._clock()) + tokens * self._seconds_per_token
