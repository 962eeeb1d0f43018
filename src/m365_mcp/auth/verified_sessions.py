"""The sessions that this process has read from the store a moment ago, so that calls that only read need not ask again.

A session that another replica has ended counts here until its entry expires. What this process does to a session, or
learns of its end, removes the entry at once. The tokens of clients are not in here: their signature and their end are
checked on every request. Nor is Entra's refresh token.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cachetools import TTLCache
from fastmcp.server.auth import AccessToken

from m365_mcp.auth.mcp_tokens import RememberedAccess

MOST = 5_000


@dataclass(frozen=True)
class _Entry:
    access: RememberedAccess = field(repr=False)
    good_until: float


class VerifiedSessions:
    """Remembers verified sessions.

    Args:
        seconds: how long a session is remembered; 0: not at all.
        most: how many sessions are remembered; the least recently used are forgotten first.
        timer: returns monotonic seconds; for tests.
    """

    def __init__(self, seconds: float = 0, most: int = MOST, timer: Callable[[], float] = time.monotonic) -> None:
        self._entries: TTLCache[str, _Entry] = TTLCache(most, seconds, timer=timer)
        self._changes = 0

    def __len__(self) -> int:
        """Return how many sessions are remembered."""
        return len(self._entries)

    @property
    def changes(self) -> int:
        """How many changes this process has seen; ask before the store is asked, as a session may end meanwhile."""
        return self._changes

    def find(self, session_id: str, expires_at: int, now: float) -> RememberedAccess | None:
        """Return what was learned from the session; None if the store has to be asked.

        Args:
            session_id: the session.
            expires_at: when the client's token expires, in epoch seconds.
            now: epoch seconds.
        """
        entry = self._entries.get(session_id)
        # Another token of the session takes the place of the one before, when the store has been asked for it.
        is_good = entry is not None and entry.access.expires_at == expires_at and now < entry.good_until
        return entry.access if entry is not None and is_good else None

    def keep(self, session_id: str, access: AccessToken, good_until: float, changes: int) -> None:
        """Remember what was learned from a session, unless this process has seen a change of one since.

        Args:
            session_id: the session.
            access: what was learned.
            good_until: until when Entra's access token outlasts a call, in epoch seconds.
            changes: what `changes` was before the store was asked.
        """
        if self._entries.ttl and changes == self._changes:
            self._entries[session_id] = _Entry(RememberedAccess(**dict(access)), good_until)

    def forget(self, session_id: str) -> None:
        """Forget a session that has changed or ended, and whatever is being read at this moment."""
        self._changes += 1
        self._entries.pop(session_id, None)
