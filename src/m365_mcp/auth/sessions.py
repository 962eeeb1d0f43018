"""The sessions in the store: begun once a code, rotated, ended; one replica makes each change, in one write."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from m365_mcp import logs
from m365_mcp.auth.mcp_tokens import REFRESH_SECONDS
from m365_mcp.auth.session import RefreshDecision, Session, TokenPair, Upstream, read_session
from m365_mcp.errors import StorageUnavailable
from m365_mcp.metrics import EndReason, Metrics
from m365_mcp.storage.records import ABSENT, Records, Versioned

COLLECTION = "m365-sessions"
_REDEEMED = "m365-redeemed-codes"
_CODE_SECONDS = 900.0  # longer than any code is accepted
_TRIES = 10
_log = logs.get(__name__)


@dataclass(frozen=True)
class Sessions:
    """All sessions of this server, shared by its replicas.

    Attributes:
        records: where they are kept.
        metrics: where they are counted.
        grace: seconds in which a used refresh token, or a code that is sent twice, is not taken for a theft.
        clock: epoch seconds; for tests.
    """

    records: Records
    metrics: Metrics
    grace: float
    clock: Callable[[], float] = time.time

    async def find(self, session_id: str) -> Session | None:
        """Return the session, or None when it has ended. Raises StorageUnavailable."""
        return (await self._load(session_id))[1]

    async def _load(self, session_id: str) -> tuple[Versioned, Session | None]:
        stored = await self.records.read(COLLECTION, session_id)
        session = read_session(stored.value)
        if stored.value is not None and session is None:
            _log.warning("session_unreadable")
        return stored, session

    async def begin(self, code: str, session: Session) -> Session | None:
        """Begin the session that `code` stands for, and return it; None when the code was redeemed before.

        The session is written first and the code is taken second. If the store fails in between, the code is still good
        and finds the session it began; of two replicas with the same code one takes it.

        Raises:
            StorageUnavailable: try again with the same code.
        """
        await self.records.compare_and_swap(
            COLLECTION, session.id, ABSENT, session.model_dump(by_alias=True), REFRESH_SECONDS
        )
        begun = await self.find(session.id)
        taken = {"session": session.id, "at": self.clock()}
        if await self.records.compare_and_swap(_REDEEMED, _digest(code), ABSENT, taken, _CODE_SECONDS) is None:
            await self._answer_replay(code)
            return None
        self.metrics.sessions_begun.inc()
        return begun

    async def _answer_replay(self, code: str) -> None:
        """End the session of a code that comes again later, as RFC 6749 section 4.1.2 asks for."""
        taken = (await self.records.read(_REDEEMED, _digest(code))).value
        if taken is not None and self.clock() - float(taken["at"]) > self.grace:
            await self.end(str(taken["session"]), "code_replayed")

    async def change(self, session_id: str, step: Callable[[Session], Session | None]) -> Session | None:
        """Store what `step` makes of the session, whoever else changes it meanwhile, and return it.

        Args:
            session_id: the session.
            step: returns the changed session, or None to leave it; may run several times.

        Returns:
            The session as it is now; None when it has ended.

        Raises:
            StorageUnavailable: the change may or may not have been made.
        """
        for _ in range(_TRIES):
            stored, session = await self._load(session_id)
            changed = None if session is None else step(session)
            if changed is None:
                return session
            if await self.records.compare_and_swap(
                COLLECTION, session_id, stored, changed.model_dump(by_alias=True), REFRESH_SECONDS
            ):
                return changed
        raise StorageUnavailable

    async def rotate(self, session_id: str, number: int, upstream: Upstream) -> tuple[Session, TokenPair] | None:
        """Issue the pair after `number`, or find the one that was issued just now; None when there is none to be had.

        Args:
            session_id: the session.
            number: the pair whose refresh token was sent.
            upstream: Entra's tokens, stored in the same write as a new pair.

        Raises:
            StorageUnavailable: the same refresh token may be used again.
        """
        decision, pair = RefreshDecision.ABSENT, None

        def step(session: Session) -> Session | None:
            nonlocal decision, pair
            now = self.clock()
            decision, pair = session.decide(number, now, self.grace)
            return (
                session.rotated(number, now, self.grace).renewed(upstream)
                if decision is RefreshDecision.A_NEW_PAIR
                else None
            )

        session = await self.change(session_id, step)
        if session is None:
            return None
        if decision is RefreshDecision.ABSENT:
            await self.end(session_id, "refresh_token_reused")
            return None
        self.metrics.refreshes.labels("new" if pair is None else "replayed").inc()
        return session, pair or session.current

    async def end(self, session_id: str, reason: EndReason) -> bool:
        """End the session for every replica at once; return whether there was one. Raises StorageUnavailable."""
        for _ in range(_TRIES):
            stored = await self.records.read(COLLECTION, session_id)
            if stored.version is None:
                return False
            if await self.records.compare_and_swap(COLLECTION, session_id, stored, None):
                self.metrics.sessions_ended.labels(reason).inc()
                session = read_session(stored.value)
                _log.info("session_ended", reason=reason, object_id=session and session.object_id)
                return True
        raise StorageUnavailable

    async def all(self) -> AsyncIterator[Session]:
        """Go through all sessions. Raises StorageUnavailable."""
        async for session_id in self.records.keys(COLLECTION):
            session = await self.find(session_id)
            if session is not None:
                yield session


def session_id_of(code: str) -> str:
    """Return the id of the session that an authorization code begins: the same on every replica, and no secret."""
    return _digest(f"session {code}")[:32]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
