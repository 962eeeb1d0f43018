"""Limits how often one person calls a tool that reads other people's words or addresses, over all replicas.

The number is far above what a person asks for, and keeps a runaway or hijacked assistant from copying a directory or a
mailbox one page at a time.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass

from m365_mcp.errors import RateLimited, StorageUnavailable
from m365_mcp.person import PersonId
from m365_mcp.storage.sliding_counts import Addition, SlidingCounts, Window

MOST = 120  # calls of one tool in an hour
_HOUR = Window("h", 3600, 300)
_CALLS = "c"


@dataclass(frozen=True)
class CallLimits:
    """Counts calls.

    Attributes:
        counts: the counts, shared by all replicas.
        on_refusal: is told of each call over the limit.
    """

    counts: SlidingCounts
    on_refusal: Callable[[], None] = lambda: None

    async def count(self, person: PersonId, tool: str) -> None:
        """Count one call of a tool.

        Raises:
            RateLimited: the person has called it as often as allowed; the call does not count.
            StorageUnavailable: the store does not respond.
        """
        [counted] = await self.counts.add(Addition(person.record_key("calls", tool), (_HOUR,), {_CALLS: 1}))
        wait = counted.wait(_HOUR, _CALLS, MOST)
        if not wait:
            return
        self.on_refusal()
        with contextlib.suppress(StorageUnavailable):  # then the call counts for an hour
            await self.counts.take_back(counted)
        raise RateLimited(
            f"You have reached the limit of {MOST} calls of {tool} an hour.",
            advice=f"Work with what was found so far; try again in {math.ceil(wait / 60)} minutes.",
            retry_after=float(math.ceil(wait)),
        )


@dataclass(frozen=True)
class PersonCalls:
    """The calls of one person.

    Attributes:
        limits: what all people share.
        person: who calls; None: nobody is signed in, and the tool refuses by itself.
    """

    limits: CallLimits
    person: PersonId | None

    async def count(self, tool: str) -> None:
        """Count one call of a tool; see `CallLimits.count`."""
        if self.person is not None:
            await self.limits.count(self.person, tool)
