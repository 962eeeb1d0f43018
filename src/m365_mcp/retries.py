"""Retries: limits on tries and time, growing pauses with jitter, and `Retry-After`.

`retry` is the only function that repeats a failed operation. Its caller decides which errors permit a retry. Code that
polls for a lease or for the outcome of another call has its own loop, and takes its pauses from `jittered`. Code that
polls Graph for the effect of a request uses a few fixed pauses.

The loop is stamina's. stamina limits the time of the tries but not of the pauses, so this module computes the pause.
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

# The client raised these errors before it sent a byte, so any request may be repeated.
NEVER_CONNECTED = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
JITTER = 0.25  # part of a pause that is added at random, so that calls that failed together do not retry together
MAX_DIGITS = 9  # of a Retry-After: thirty years; a longer number has the same effect

T = TypeVar("T")


@dataclass(frozen=True)
class RetryPolicy:
    """How often, and for how long, `retry` tries an operation.

    Attributes:
        seconds: from the start of the first try to the latest start of another try.
        first_pause: seconds before the second try; each further pause is twice as long.
        tries: the most tries; None for no limit except the time.
        longest_pause: seconds; a longer `Retry-After` overrides it while there is time.
    """

    seconds: float
    first_pause: float
    tries: int | None = None
    longest_pause: float = float("inf")

    def pause(self, failures: int) -> float:
        """Return the pause after this number of failures, in seconds, without jitter."""
        return min(self.first_pause * 2.0 ** (failures - 1), self.longest_pause)


def jittered(seconds: float, left: float = float("inf")) -> float:
    """Return a pause with jitter, in seconds: at least `seconds`, and at most `left` if `seconds` is less."""
    return seconds + random.uniform(0, min(JITTER * seconds, max(0.0, left - seconds)))  # noqa: S311 - no secret


async def retry(
    policy: RetryPolicy,
    try_once: Callable[[float], Awaitable[T]],
    on: Callable[[Exception], bool | float],
) -> T:
    """Call `try_once` until it succeeds and return its result, or raise its last error.

    Args:
        policy: limits the tries.
        try_once: the operation; its argument is the remaining seconds of the policy.
        on: returns for an error whether to retry. A number is the seconds that the other side asks to wait. If the
            policy has less time left, `retry` raises the error at once.
    """
    deadline = time.monotonic() + policy.seconds
    try:
        return await try_once(policy.seconds)  # what succeeds at once, as nearly everything does, needs no loop
    except Exception as error:
        first: Exception | None = error
    failures = 0

    def decide(error: Exception) -> bool | float:
        nonlocal failures
        failures += 1
        # stamina passes a cancellation, too; it permits no retry.
        requested = isinstance(error, Exception) and on(error)
        if requested is False:
            return False
        pause = max(policy.pause(failures), 0.0 if requested is True else requested)
        left = deadline - time.monotonic()
        return jittered(pause, left) if pause < left else False

    async def next_try() -> T:
        nonlocal first
        if first is not None:
            error, first = first, None
            raise error
        return await try_once(deadline - time.monotonic())

    retrying = stamina.AsyncRetryingCaller(attempts=policy.tries, timeout=None)
    return await retrying(decide, next_try)


def when_unavailable(error: Exception) -> bool | float:
    """Return whether `error` is temporary, or the seconds that the other side asks to wait; the `on` of `retry`."""
    return isinstance(error, Unavailable) and (error.asked_to_wait or 0.0)


def keep_silent() -> None:
    """Turn off stamina's logs, which show errors and arguments, and its metrics."""
    set_on_retry_hooks(())


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds that a `Retry-After` header asks to wait, or None when it is missing or invalid.

    The header has one of the two forms of RFC 9110 section 10.2.3: seconds or an HTTP date.
    """
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return float(value[:MAX_DIGITS])
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    # A date with the zone "-0000" is in UTC from an unknown zone; Python parses it without a zone.
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
