"""From a caller to a Graph token, and what becomes of the session when Microsoft says no."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

from m365_mcp.auth.session_refresher import SessionRefresher
from m365_mcp.entra.on_behalf_of import Caller, GraphToken, OnBehalfOf, RejectedTokens
from m365_mcp.errors import (
    AssertionRefused,
    EntraUnavailable,
    SignInNeeded,
    StepUpNeeded,
    StorageUnavailable,
)


@dataclass(frozen=True)
class GraphTokenProvider:
    """Hands out Graph tokens to those who are signed in.

    Attributes:
        on_behalf_of: the exchange.
        refresher: renews assertions, and ends sessions.
    """

    on_behalf_of: OnBehalfOf
    refresher: SessionRefresher

    async def caller(self, session_id: str) -> Caller:
        """Return the person of a session, for a request that comes without an access token of ours.

        Raises:
            SignInNeeded: the session has ended.
            M365Error: with status 503: whether it has cannot be told now.
        """
        session = await self.refresher.sessions.find(session_id)
        session = None if session is None else await self.refresher.fresh(session)
        if session is None:
            raise SignInNeeded
        return Caller(session.person, session.upstream.access_token, session.id)

    async def token(self, caller: Caller, refused: RejectedTokens | None = None) -> GraphToken:
        """Return a Graph token for `caller`.

        A sign-in that Microsoft has ended ends the session, so that the next request is a clean 401 and the client has
        the person sign in; a tool error alone would leave it with a token that never works again.

        Args:
            caller: the person.
            refused: tokens that Graph has just refused, if any.

        Raises:
            M365Error: why there is none.
        """
        try:
            return await self._token(caller, refused)
        except SignInNeeded as error:
            await self.end_sign_in(caller, _with_claims(error, refused))
            raise

    async def _token(self, caller: Caller, refused: RejectedTokens | None) -> GraphToken:
        try:
            return await self.on_behalf_of.graph_token(caller, refused)
        except AssertionRefused:
            # It ran out between check and use, or its key was withdrawn; a refreshed one is tried once.
            session = await self.refresher.sessions.find(caller.session_id)
            renewed = None if session is None else await self.refresher.renew_from(session, caller.assertion)
            if renewed is None:
                raise
            return await self._token_for_fresh(replace(caller, assertion=renewed.upstream.access_token), refused)

    async def _token_for_fresh(self, caller: Caller, refused: RejectedTokens | None) -> GraphToken:
        try:
            return await self.on_behalf_of.graph_token(caller, refused)
        except AssertionRefused as error:
            # Entra contradicts itself: it has just renewed this sign-in, so a new one would fare no better.
            raise EntraUnavailable from error

    async def end_sign_in(self, caller: Caller, error: SignInNeeded) -> None:
        """End the caller's session, unless signing in again in the same way would end in the same place."""
        if isinstance(error, StepUpNeeded) and error.claims is None:
            return
        # While the store is away the session cannot be ended; the next call comes here again.
        with contextlib.suppress(StorageUnavailable):
            session = await self.refresher.sessions.find(caller.session_id)
            if session is not None:
                await self.refresher.end_sign_in(session, error)


def _with_claims(error: SignInNeeded, refused: RejectedTokens | None) -> SignInNeeded:
    """Return the refusal, with what Graph asked for when Entra wants a sign-in and does not say for what."""
    if isinstance(error, StepUpNeeded) and error.claims is None and refused is not None:
        return StepUpNeeded(error.sentence, claims=refused.claims, reference=error.reference)
    return error
