"""What a session lets its client do: the person and the assertion, from memory or from the store."""

from __future__ import annotations

from dataclasses import dataclass

from fastmcp.server.auth import AccessToken

from m365_mcp.auth.mcp_tokens import assertion_of
from m365_mcp.auth.session_refresher import EARLY_SECONDS, SessionRefresher
from m365_mcp.errors.request_error import note, recorded


@dataclass(frozen=True)
class SessionAccess:
    """Finds what an access token of ours stands for.

    Attributes:
        refresher: has the sessions, and refreshes their assertions.
    """

    refresher: SessionRefresher

    async def find(self, session_id: str, expires_at: int) -> AccessToken | None:
        """Return the person and the assertion of a session; None when the person must sign in again.

        A session that was read a moment ago is not read again; see `verified_sessions`.

        Args:
            session_id: the session that a valid access token of ours names.
            expires_at: when that token expires, in epoch seconds.

        Raises:
            M365Error: it cannot be found out now, or Microsoft refuses for a reason that no sign-in changes.
        """
        sessions = self.refresher.sessions
        return sessions.verified.find(session_id, expires_at, sessions.clock()) or await self._read(
            session_id, expires_at
        )

    @recorded
    async def read_anew(self, access: AccessToken) -> AccessToken | None:
        """Return what `find` has returned, as the store has it now. Raises as `find` does."""
        return await self._read(access.claims["session"], int(access.expires_at or 0))

    async def _read(self, session_id: str, expires_at: int) -> AccessToken | None:
        sessions = self.refresher.sessions
        changes = sessions.verified.changes
        session = await sessions.find(session_id)
        session = None if session is None else await self.refresher.fresh(session)
        if session is None:
            ending = await sessions.ending(session_id)
            if ending is not None:
                note(ending)  # the response says why; see `web.error_override`
            return None
        access = assertion_of(session, expires_at)
        sessions.verified.keep(session_id, access, session.upstream.expires_at - EARLY_SECONDS, changes)
        return access
