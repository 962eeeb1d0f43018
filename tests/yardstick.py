"""Processor time that does not depend on the machine: a ratio to a fixed piece of work, in seconds of an idle core.

A machine may be slow, busy or both, and two threads of one core slow each other down. The fixed piece of work is
measured directly before and after, in the same process, so that all of this cancels out. What remains is noise of some
tens of per cent: a limit is at least twice what is usual. Quadratic time exceeds it many times over.
"""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS_OF_FIXED_WORK = 0.0115  # on one otherwise idle core of a server of 2024


def idle_core_seconds(work: Callable[[], object], enough: float = 0.0) -> float:
    """Return the least that `work` costs in up to three attempts.

    Args:
        work: is done once for each attempt.
        enough: a cost below which no further attempt is needed, usually the limit of the test.
    """
    least = float("inf")
    for _ in range(3):
        least = min(least, _attempt(work))
        if least < enough:
            break
    return least


def _attempt(work: Callable[[], object]) -> float:
    before = _fixed_work()
    spent = _processor_time(work)
    return SECONDS_OF_FIXED_WORK * spent / max(before, _fixed_work())


def _fixed_work() -> float:
    found: dict[str, int] = {}

    def count() -> None:
        for number in range(80_000):
            found[str(number % 1_000)] = number

    return _processor_time(count)


def _processor_time(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
