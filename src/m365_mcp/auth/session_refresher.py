"""Refreshes Entra's tokens of a session: before they expire, once across replicas, without delaying calls in an outage.

Sources: "Refresh tokens in the Microsoft identity platform"; a used refresh token of Entra stays valid, so a refresh
whose response is lost does no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from cachetools import TTLCache

from m365_mcp import logs
from m365_mcp.auth.session import RefreshDecision, Session, TokenPair, Upstream
from m365_mcp.auth.sessions import Sessions, StoredSession
from m365_mcp.auth.sign_in_ending import ends_session
from m365_mcp.auth.sign_in_events import aadsts_of
from m365_mcp.auth.step_up import StepUps
from m365_mcp.entra.token_endpoint import RETRIES, TokenEndpoint
from m365_mcp.entra.verifier import EntraTokenVerifier
from m365_mcp.errors import (
    AppRegistrationMistake,
    EntraUnavailable,
    M365Error,
    SignInNeeded,
    StepUpNeeded,
    Unavailable,
)
from m365_mcp.metrics import EndReason
from m365_mcp.storage.leases import Leases

EARLY_SECONDS = 300.0  # an assertion must not expire while a tool call uses it
WAIT_SECONDS = 3.0
PAUSE_SECONDS = 5.0  # no new refresh of the session for this time after a failure
BUDGET_SECONDS = RETRIES.seconds + 1.0  # for a whole refresh, including the wait for another replica that refreshes
MAX_PAUSES = 10_000
_log = logs.get(__name__)


async def _do_nothing() -> None:
    return


@dataclass(frozen=True)
class SessionRefresher:
    """Refreshes upstream tokens.

    Attributes:
        sessions: the sessions in the store.
        leases: let one replica at a time refresh a session.
        endpoint: Entra's token endpoint.
        verifier: verifies the new access token.
        step_ups: remembers the claims challenges of refusals.
        scope: the `scope` of refresh requests.
        wait_seconds: how long an early refresh may delay a call.
    """

    sessions: Sessions
    leases: Leases
    endpoint: TokenEndpoint
    verifier: EntraTokenVerifier
    step_ups: StepUps
    scope: str
    wait_seconds: float = WAIT_SECONDS
    _running: dict[str, asyncio.Task[Session | None]] = field(default_factory=dict, init=False, repr=False)
    _endings: set[asyncio.Task[None]] = field(default_factory=set, init=False, repr=False)
    _failures: TTLCache[str, M365Error] = field(
        default_factory=lambda: TTLCache(MAX_PAUSES, PAUSE_SECONDS), init=False, repr=False
    )

    async def fresh(self, session: Session) -> Session | None:
        """Return the session with an assertion that outlasts a call; None when Entra has ended the sign-in.

        When a refresh fails while the present assertion is still valid, calls go on with it.

        Raises:
            M365Error: the assertion has expired and cannot be refreshed now.
        """
        left = session.upstream.expires_at - self.sessions.clock()
        if left > EARLY_SECONDS or session.upstream.refresh_token is None:
            return session if left > 0 else None
        if left > 0 and session.id in self._failures:
            return session
        try:
            async with asyncio.timeout(self.wait_seconds if left > 0 else None):
                return await self.renew(session)
        except TimeoutError:
            self._failures.setdefault(session.id, EntraUnavailable())
        except M365Error:  # `_renew` remembers it
            if left <= 0:
                raise
        return session

    async def renew(self, session: Session) -> Session | None:
        """Return the session with a new assertion; None when Entra has ended the sign-in.

        Raises:
            M365Error: Entra issues none now.
        """
        self._raise_recent_failure(session.id)
        task = self._running.get(session.id)
        if task is None:
            task = asyncio.create_task(self._renew(session))
            self._running[session.id] = task
            task.add_done_callback(lambda done: self._forget(session.id, done))
        # Shielded: a client that disconnects must not cancel the refresh for the other calls that wait for it.
        return await asyncio.shield(task)

    def _forget(self, session_id: str, done: asyncio.Task[Session | None]) -> None:
        self._running.pop(session_id, None)
        if not done.cancelled():
            done.exception()  # retrieved, because every call that waited for it may be gone

    async def renew_from(self, session: Session, assertion: str) -> Session | None:
        """Return the session with a newer assertion than this one; see `renew`."""
        return await self.renew(session) if session.upstream.access_token == assertion else session

    async def _renew(self, session: Session) -> Session | None:
        stale = session.upstream.access_token
        try:
            async with asyncio.timeout(BUDGET_SECONDS), self._alone(session.id) as found:
                if found.session is None or found.session.upstream.access_token != stale:
                    return found.session  # the session has ended, or another replica has refreshed it
                self._raise_recent_failure(session.id)
                upstream = await self.redeem(found.session)
                return await self.sessions.change(session.id, lambda now: now.renewed(upstream), found)
        except TimeoutError as error:
            failure: M365Error = EntraUnavailable()
            self._failures[session.id] = failure
            raise failure from error
        except SignInNeeded:
            return None  # the session has ended, and `Sessions.ending` says why
        except M365Error as error:
            self._failures[session.id] = error
            raise

    def _alone(self, session_id: str) -> AbstractAsyncContextManager[StoredSession]:
        return self.sessions.alone(self.leases, session_id, BUDGET_SECONDS)

    def _raise_recent_failure(self, session_id: str) -> None:
        failure = self._failures.get(session_id)
        if failure is not None:
            raise failure

    async def redeem(self, session: Session) -> Upstream:
        """Return new tokens of Entra for the session, not stored yet.

        Raises:
            SignInNeeded: Entra has ended the sign-in, and so the session has ended.
            M365Error: there are none now.
        """
        form = {
            "grant_type": "refresh_token",
            "refresh_token": session.upstream.refresh_token or "",
            "scope": self.scope,
        }
        asked_at = self.sessions.clock()
        try:
            reply = await self.endpoint.request(form, repeatable=True, tenant=session.tenant_id)
        except M365Error as error:
            await self._note_refusal(session, error)
            raise
        rejection_reason = await self.verifier.rejection_reason_of_received(reply["access_token"])
        if rejection_reason:
            _log.warning("refreshed_token_refused", reason=rejection_reason)
            raise AppRegistrationMistake(f"Entra ID's token is not valid for this server: {rejection_reason}.")
        return Upstream(
            access_token=reply["access_token"],
            refresh_token=reply.get("refresh_token") or session.upstream.refresh_token,
            expires_at=asked_at + reply["expires_in"],
        )

    async def _note_refusal(self, session: Session, error: M365Error) -> None:
        """End the session if a new sign-in changes the refusal; otherwise leave a line for the operator."""
        if ends_session(error, "refresh_token"):
            # What has begun to end, ends: with its record, and without the mail that waits.
            ending = asyncio.create_task(self.end_sign_in(session, error))
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)
            await asyncio.shield(ending)
        elif not isinstance(error, Unavailable):
            known = {"code": error.code, "aadsts": aadsts_of(error), "advice": error.administrator_advice}
            _log.warning("refresh_refused", object_id=session.object_id, **known)

    async def end_sign_in(self, session: Session, error: M365Error) -> None:
        """End a session that needs a new sign-in, and remember the claims challenge for that sign-in."""
        reason: EndReason = "step_up" if isinstance(error, StepUpNeeded) else "ended_by_microsoft"
        if isinstance(error, StepUpNeeded):
            await self.step_ups.remember(session.person, error.claims)
        await self.sessions.end(session.id, reason, error)

    async def new_pair(
        self, session_id: str, number: int, admit: Callable[[], Awaitable[None]] = _do_nothing
    ) -> tuple[Session, TokenPair] | None:
        """Return the pair for the refresh token of pair `number`: a new one, or the pair of its first use.

        Args:
            session_id: the session.
            number: the number of the pair.
            admit: is called once the session is known to live, before anything changes; what it raises is passed on.

        Returns:
            The session and the pair; None when the session had ended, or the token was used before the grace time.

        Raises:
            SignInNeeded: Microsoft has ended the sign-in, and says why.
            M365Error: the client can use the same refresh token again.
        """
        try:
            async with asyncio.timeout(BUDGET_SECONDS), self._alone(session_id) as found:
                session = found.session
                if session is None:
                    return None
                await admit()
                decision, _ = session.decide(number, self.sessions.clock(), self.sessions.grace)
                upstream = await self._confirm(session) if decision is RefreshDecision.NEW_PAIR else session.upstream
                return await self.sessions.rotate(session_id, number, upstream, found)
        except TimeoutError as error:
            raise EntraUnavailable from error

    async def _confirm(self, session: Session) -> Upstream:
        """Have Entra confirm the sign-in; while it cannot or will not, a valid assertion is enough.

        Raises:
            SignInNeeded: Entra has ended the sign-in.
            M365Error: the assertion has expired and cannot be refreshed now.
        """
        left = session.upstream.expires_at - self.sessions.clock()
        if session.upstream.refresh_token is None:
            if left <= 0:
                raise SignInNeeded
            return session.upstream
        try:
            self._raise_recent_failure(session.id)
            async with asyncio.timeout(self.wait_seconds if left > 0 else None):
                return await self.redeem(session)
        except SignInNeeded:
            raise
        except (M365Error, TimeoutError) as error:
            self._failures.setdefault(session.id, error if isinstance(error, M365Error) else EntraUnavailable())
            if left <= 0:
                raise
            return session.upstream
