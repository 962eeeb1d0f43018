"""The sessions in the store: begun once per code, rotated and ended; each change is one write of one replica."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from m365_mcp import logs
from m365_mcp.auth.mcp_tokens import REFRESH_SECONDS
from m365_mcp.auth.session import RefreshDecision, Session, TokenPair, Upstream, read_session
from m365_mcp.auth.session_endings import SessionEndings
from m365_mcp.auth.sign_in_events import aadsts_of
from m365_mcp.errors import M365Error, SignInNeeded, StorageUnavailable
from m365_mcp.metrics import EndReason, Metrics
from m365_mcp.storage.leases import Leases
from m365_mcp.storage.records import ABSENT, Records, Versioned

COLLECTION = "m365-sessions"
_REDEEMED = "m365-redeemed-codes"
_CODE_SECONDS = 900.0  # longer than a code is valid
_TRIES = 10
_log = logs.get(__name__)


@dataclass(frozen=True)
class SessionEnd:
    """A session that ended before it expired.

    Attributes:
        session_id: its id.
        reason: why it ended.
        session: the session; None if its record cannot be read.
    """

    session_id: str
    reason: EndReason
    session: Session | None


@dataclass(frozen=True)
class StoredSession:
    """A session as the store had it at one moment.

    Attributes:
        record: its record.
        session: the session in it; None when it has ended, or when the record cannot be read.
    """

    record: Versioned
    session: Session | None


def _ignore(_: SessionEnd) -> None:
    return


async def _do_nothing(_: SessionEnd) -> None:
    return


@dataclass(frozen=True)
class Sessions:
    """All sessions of this server, shared by its replicas.

    Attributes:
        records: the store of sessions and redeemed codes.
        metrics: counts sessions.
        grace: seconds in which a second use of a refresh token or a code does not count as theft.
        clock: epoch seconds; for tests.
        observe: is told of every session that ends before it expires.
        clean_up: erases what waits in the store for a session that has ended; it raises nothing.
    """

    records: Records
    metrics: Metrics
    grace: float
    clock: Callable[[], float] = time.time
    observe: Callable[[SessionEnd], None] = _ignore
    clean_up: Callable[[SessionEnd], Awaitable[None]] = _do_nothing

    async def find(self, session_id: str) -> Session | None:
        """Return the session, or None when it has ended. Raises StorageUnavailable."""
        return (await self._load(session_id)).session

    async def _load(self, session_id: str) -> StoredSession:
        return _stored_session(await self.records.read(COLLECTION, session_id))

    @asynccontextmanager
    async def alone(self, leases: Leases, session_id: str, wait_seconds: float) -> AsyncIterator[StoredSession]:
        """Be the only replica that refreshes a session, and read it in the same round trip. Raises as a lease does."""
        async with leases.hold_record(lease_of(session_id), (COLLECTION, session_id), wait_seconds) as record:
            yield _stored_session(record)

    async def begin(self, code: str, session: Session) -> Session | None:
        """Begin the session of `code` and return it; None when the code was redeemed before.

        The session is written first, and the code is marked as redeemed second. If the store fails in between, the code
        is still valid and finds the session that it began. When two replicas redeem the same code, one of them wins.

        Raises:
            StorageUnavailable: the client can try again with the same code.
        """
        is_new = await self.records.compare_and_swap(
            COLLECTION, session.id, ABSENT, session.model_dump(by_alias=True), REFRESH_SECONDS
        )
        begun = session if is_new else await self.find(session.id)
        redeemed = {"session": session.id, "at": self.clock()}
        if await self.records.compare_and_swap(_REDEEMED, _digest(code), ABSENT, redeemed, _CODE_SECONDS) is None:
            await self._end_replayed(code)
            return None
        self.metrics.sessions_begun.inc()
        return begun

    async def _end_replayed(self, code: str) -> None:
        """End the session of a code that is used again after the grace time (RFC 6749 section 4.1.2)."""
        redeemed = (await self.records.read(_REDEEMED, _digest(code))).value
        if redeemed is not None and self.clock() - float(redeemed["at"]) > self.grace:
            await self.end(str(redeemed["session"]), "code_replayed")

    async def change(
        self, session_id: str, step: Callable[[Session], Session | None], found: StoredSession | None = None
    ) -> Session | None:
        """Apply `step` to the session and store the result, even when another replica changes the session meanwhile.

        Args:
            session_id: the session.
            step: returns the changed session, or None to leave it; it may run several times.
            found: the session as the caller has read it, which saves a read.

        Returns:
            The session after the change; None when it has ended.

        Raises:
            StorageUnavailable: the change may or may not have been made.
        """
        for _ in range(_TRIES):
            known, found = found or await self._load(session_id), None
            changed = None if known.session is None else step(known.session)
            if changed is None:
                return known.session
            if await self.records.compare_and_swap(
                COLLECTION, session_id, known.record, changed.model_dump(by_alias=True), REFRESH_SECONDS
            ):
                return changed
        raise StorageUnavailable

    async def rotate(
        self, session_id: str, number: int, upstream: Upstream, found: StoredSession | None = None
    ) -> tuple[Session, TokenPair] | None:
        """Issue the pair after `number`, or return the one issued within the grace time; None for a refused token.

        Args:
            session_id: the session.
            number: the number of the pair whose refresh token the client sent.
            upstream: Entra's tokens, stored in the same write as a new pair.
            found: the session as the caller has read it, which saves a read.

        Raises:
            StorageUnavailable: the client can use the same refresh token again.
        """
        decision, pair = RefreshDecision.REFUSED, None

        def step(session: Session) -> Session | None:
            nonlocal decision, pair
            now = self.clock()
            decision, pair = session.decide(number, now, self.grace)
            return (
                session.rotated(number, now, self.grace).renewed(upstream)
                if decision is RefreshDecision.NEW_PAIR
                else None
            )

        session = await self.change(session_id, step, found)
        if session is None:
            return None
        if decision is RefreshDecision.REFUSED:
            await self.end(session_id, "refresh_token_reused")
            return None
        self.metrics.refreshes.labels("new" if pair is None else "replayed").inc()
        return session, pair or session.current

    async def end(self, session_id: str, reason: EndReason, refusal: M365Error | None = None) -> bool:
        """End the session on all replicas at once; return whether it existed.

        Args:
            session_id: the session.
            reason: why it ends.
            refusal: Microsoft's refusal, if Microsoft has ended it.

        Raises:
            StorageUnavailable: the session may or may not have ended.
        """
        if (await self.records.read(COLLECTION, session_id)).version is None:
            return False
        # First, so that nobody meets a session that has ended and finds no reason.
        await self._endings.remember(session_id, reason, refusal)
        for _ in range(_TRIES):
            stored = await self.records.read(COLLECTION, session_id)
            if stored.version is None:
                return False
            if await self.records.compare_and_swap(COLLECTION, session_id, stored, None):
                self.metrics.sessions_ended.labels(reason).inc()
                session = read_session(stored.value)
                aadsts = None if refusal is None else aadsts_of(refusal)
                number = {} if aadsts is None else {"aadsts": aadsts}
                _log.info("session_ended", reason=reason, object_id=session and session.object_id, **number)
                ended = SessionEnd(session_id, reason, session)
                self.observe(ended)
                await self.clean_up(ended)
                return True
        raise StorageUnavailable

    async def end_each(self, session_ids: Sequence[str], reason: EndReason) -> tuple[int, int]:
        """End sessions; return how many existed and have ended, and how many the store did not let end."""
        ended = failed = 0
        for session_id in session_ids:
            try:
                ended += await self.end(session_id, reason)
            except StorageUnavailable:  # a record that somebody changes all the time keeps no other session
                failed += 1
        return ended, failed

    async def ending(self, session_id: str) -> SignInNeeded | None:
        """Return why the session has ended; None when it has not, or not lately. Raises StorageUnavailable."""
        return await self._endings.find(session_id)

    @property
    def _endings(self) -> SessionEndings:
        return SessionEndings(self.records)

    async def all(self) -> AsyncIterator[Session]:
        """Iterate over all sessions. A value that is too large to be read is none. Raises StorageUnavailable."""
        async for session_id in self.records.keys(COLLECTION):
            try:
                session = await self.find(session_id)
            except StorageUnavailable:
                await self.records.read(COLLECTION, secrets.token_hex(8))  # raises, unless it is this value only
                _log.warning("session_unreadable")
                continue
            if session is not None:
                yield session


def _stored_session(record: Versioned) -> StoredSession:
    session = read_session(record.value)
    if record.value is not None and session is None:
        _log.warning("session_unreadable")
    return StoredSession(record, session)


def lease_of(session_id: str) -> str:
    """Return the name of the lease of whoever refreshes a session."""
    return f"session.{session_id}"


def session_id_of(code: str) -> str:
    """Return the id of the session that an authorization code begins: equal on every replica, and not secret."""
    return _digest(f"session {code}")[:32]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
