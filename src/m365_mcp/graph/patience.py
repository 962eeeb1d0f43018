"""How often, and for how long, something that may be repeated is tried again."""

from __future__ import annotations

import asyncio
import time

from m365_mcp.errors import Unavailable

TRIES = 6
SECONDS = 60.0
FIRST_PAUSE_SECONDS = 0.25


class Backoff:
    """Bounded tries with growing pauses; what the other side asks to wait is waited, or is too long.

    Args:
        tries: how often it may fail before the failure counts.
        seconds: how long it may all take.
    """

    def __init__(self, tries: int = TRIES, seconds: float = SECONDS) -> None:
        self._left = tries
        self._deadline = time.monotonic() + seconds
        self._pause = FIRST_PAUSE_SECONDS

    async def wait(self, error: Unavailable) -> None:
        """Return when the next try may begin; raise `error` when there is to be none."""
        self._left -= 1
        pause = max(self._pause, error.asked_to_wait or 0.0)
        if self._left <= 0 or time.monotonic() + pause >= self._deadline:
            raise error
        self._pause *= 2
        await asyncio.sleep(pause)
