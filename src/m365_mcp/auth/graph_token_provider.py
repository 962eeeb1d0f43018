"""Provides Graph tokens for signed-in people, and ends a session when Microsoft has ended the sign-in."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

from m365_mcp.auth.session_refresher import SessionRefresher
from m365_mcp.auth.sign_in_ending import ends_session
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
    """Provides Graph tokens for signed-in people.

    Attributes:
        on_behalf_of: the On-Behalf-Of exchange.
        refresher: refreshes assertions and ends sessions.
    """

    on_behalf_of: OnBehalfOf
    refresher: SessionRefresher

    async def caller(self, session_id: str) -> Caller:
        """Return the person of a session, for a request that has no access token of ours, such as an upload.

        Raises:
            SignInNeeded: the session has ended, and why.
            M365Error: it cannot be found out now.
        """
        session = await self.refresher.sessions.find(session_id)
        session = None if session is None else await self.refresher.fresh(session)
        if session is None:
            raise await self.refresher.sessions.ending(session_id) or SignInNeeded()
        return Caller(session.person, session.upstream.access_token, session.id, session.told_groups)

    async def token(self, caller: Caller, refused: RejectedTokens | None = None) -> GraphToken:
        """Return a Graph token for `caller`.

        When Microsoft has ended the sign-in, the session ends too. Then the next request gets a 401, and the client has
        the person sign in. With a tool error alone, the client would go on with a token that never works again.

        Args:
            caller: the person.
            refused: the tokens that Graph has just refused, if any.

        Raises:
            M365Error: the reason why there is no token.
        """
        try:
            return await self._token(caller, refused)
        except SignInNeeded as error:
            await self.end_sign_in(caller, _with_claims(error, refused))
            raise

    async def _token(self, caller: Caller, refused: RejectedTokens | None) -> GraphToken:
        try:
            return await self.on_behalf_of.graph_token(caller, refused)
        except AssertionRefused as refusal:
            # The assertion expired between check and use, or its key was withdrawn; try once with a refreshed one.
            session = await self.refresher.sessions.find(caller.session_id)
            renewed = None if session is None else await self.refresher.renew_from(session, caller.assertion)
            if renewed is None:
                ending = await self.refresher.sessions.ending(caller.session_id)  # it says more than this refusal
                if ending is None:
                    raise
                raise ending from refusal
            return await self._token_after_refresh(replace(caller, assertion=renewed.upstream.access_token), refused)

    async def _token_after_refresh(self, caller: Caller, refused: RejectedTokens | None) -> GraphToken:
        try:
            return await self.on_behalf_of.graph_token(caller, refused)
        except AssertionRefused as error:
            # Entra has just refreshed this sign-in, so a new sign-in would be refused as well.
            raise EntraUnavailable from error

    async def end_sign_in(self, caller: Caller, error: SignInNeeded) -> None:
        """End the caller's session, unless a new sign-in would be refused in the same way."""
        if not ends_session(error, "on_behalf_of"):
            return
        # During an outage of the store the session cannot be ended; the next call tries again.
        with contextlib.suppress(StorageUnavailable):
            session = await self.refresher.sessions.find(caller.session_id)
            if session is not None:
                await self.refresher.end_sign_in(session, error)


def _with_claims(error: SignInNeeded, refused: RejectedTokens | None) -> SignInNeeded:
    """Return the refusal, with Graph's claims challenge when Entra's refusal has none."""
    if isinstance(error, StepUpNeeded) and error.claims is None and refused is not None:
        return StepUpNeeded(claims=refused.claims)
    return error
