"""How this server tries again: so often and so long, with growing pauses and jitter, and as `Retry-After` asks.

`retry` is the one place where something that failed is done again; what may be done again is for its caller to say.
Whoever only waits for somebody else (a lease, the outcome of another call) has a loop of its own and takes its pauses
from `jittered`. Waiting for Graph to show what it has done (`LOOKS`) is neither: those are a few fixed looks.

The loop is stamina's. stamina bounds the time of the tries and not that of the pauses, so the pause is decided here.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx2
import stamina
from stamina.instrumentation import set_on_retry_hooks

from m365_mcp.errors import Unavailable

# Failures before a byte of a request was sent: whatever it does, it may be made again.
NEVER_CONNECTED = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
JITTER = 0.25  # of a pause, added to it, so that those who failed together do not come back together
MAX_DIGITS = 9  # of a Retry-After; thirty years, and a longer number means the same

T = TypeVar("T")


@dataclass(frozen=True)
class RetryPolicy:
    """How often, and for how long, something is tried.

    Attributes:
        seconds: from the first try to the last moment at which another may begin.
        first_pause: seconds before the second try; each further pause is twice as long.
        tries: how often it is tried; None: as long as there is time.
        longest_pause: seconds; the other side may ask for more, and gets it while there is time.
    """

    seconds: float
    first_pause: float
    tries: int | None = None
    longest_pause: float = float("inf")

    def pause(self, failures: int) -> float:
        """Return the seconds to wait after so many failures, without jitter."""
        return min(self.first_pause * 2.0 ** (failures - 1), self.longest_pause)


def jittered(seconds: float, left: float = float("inf")) -> float:
    """Return a pause with jitter: never shorter than `seconds`, and not longer than what is left."""
    return seconds + random.uniform(0, min(JITTER * seconds, max(0.0, left - seconds)))  # noqa: S311 - no secret


async def retry(
    policy: RetryPolicy,
    try_once: Callable[[float], Awaitable[T]],
    on: Callable[[Exception], bool | float],
) -> T:
    """Return what `try_once` returns, or raise what it raised last.

    Args:
        policy: bounds the tries.
        try_once: is told how many seconds of the policy are left.
        on: tells of an error whether to try again; a number is the seconds that the other side asks to wait. If they
            are not there any more, the error is raised at once.
    """
    deadline = time.monotonic() + policy.seconds
    failures = 0

    def decide(error: Exception) -> bool | float:
        nonlocal failures
        failures += 1
        # A cancelled try comes here, too, and is over.
        wanted = isinstance(error, Exception) and on(error)
        if wanted is False:
            return False
        pause = max(policy.pause(failures), 0.0 if wanted is True else wanted)
        left = deadline - time.monotonic()
        return jittered(pause, left) if pause < left else False

    retrying = stamina.AsyncRetryingCaller(attempts=policy.tries, timeout=None)
    return await retrying(decide, lambda: try_once(deadline - time.monotonic()))


def when_unavailable(error: Exception) -> bool | float:
    """Tell whether `error` may pass, and how long the other side asks to wait; for `retry`."""
    return isinstance(error, Unavailable) and (error.asked_to_wait or 0.0)


def keep_silent() -> None:
    """Keep stamina from logging errors and arguments, and from counting in the metrics of the process."""
    set_on_retry_hooks(())


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds that a `Retry-After` header asks to wait, or None when it is missing or cannot be read.

    Both forms of RFC 9110 section 10.2.3 are understood: seconds and an HTTP date.
    """
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return float(value[:MAX_DIGITS])
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    # A date with the zone "-0000" says that it is UTC and that the zone is unknown; Python reads it without a zone.
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
