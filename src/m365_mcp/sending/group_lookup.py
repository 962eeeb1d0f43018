"""Finds out which of the groups that policies name a person is in: once for each access token of Entra's in a session.

The answer is kept in the session, so a send asks nobody. It ends with the token, which lives about an hour.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import jwt

from m365_mcp.auth.session import Session
from m365_mcp.auth.sessions import Sessions
from m365_mcp.entra.on_behalf_of import Caller
from m365_mcp.errors import M365Error, PolicyUnavailable, SignInNeeded, Unavailable
from m365_mcp.graph.groups import member_groups
from m365_mcp.graph.mailbox import Mailbox
from m365_mcp.policy.memberships import ToldGroups
from m365_mcp.storage.leases import Leases

CONSENT_SECONDS = 300.0  # an administrator needs longer than a passing fault
_GRANT = (
    "An administrator grants admin consent for GroupMember.Read.All in the app registration. "
    "Then try again; a new sign-in is not needed."
)
WAIT_SECONDS = 10.0  # for another call that asks the same, on any replica


@dataclass(frozen=True)
class GroupLookup:
    """Looks groups up, and keeps the answer in the session.

    Attributes:
        sessions: the sessions.
        leases: let one call at a time ask for a session.
        mailbox: returns what makes requests for a person, with the permission to ask for groups.
    """

    sessions: Sessions
    leases: Leases
    mailbox: Callable[[Caller], Mailbox]

    async def find(self, caller: Caller, groups: frozenset[str]) -> ToldGroups:
        """Return what Graph says about these groups of the person's tenant; asks only for what it has not said yet.

        Raises:
            SignInNeeded: the session has ended.
            PolicyUnavailable: it cannot be found out now.
        """
        if groups <= caller.groups.asked:
            return caller.groups
        try:
            async with self.leases.hold(f"groups.{caller.session_id}", WAIT_SECONDS):
                return await self._find(caller, groups)
        except SignInNeeded:
            raise
        except (M365Error, TimeoutError) as error:
            raise _unavailable(error) from error

    async def _find(self, caller: Caller, groups: frozenset[str]) -> ToldGroups:
        session = await self.sessions.find(caller.session_id)
        if session is None:
            raise await self.sessions.ending(caller.session_id) or SignInNeeded()
        told, assertion = session.told_groups, session.upstream.access_token
        missing = groups - told.asked
        if not missing:
            return told
        member = await member_groups(self.mailbox(replace(caller, assertion=assertion)), missing)

        def keep(now: Session) -> Session | None:
            # The answer is older than a token that was issued meanwhile, and does not outlive its own.
            if now.upstream.access_token != assertion:
                return None
            return now.with_groups(now.told_groups.with_answer(missing, member))

        await self.sessions.change(session.id, keep)
        return told.with_answer(missing, member)


def _unavailable(error: M365Error | TimeoutError) -> PolicyUnavailable:
    """Return the refusal of a message for which membership cannot be told."""
    if isinstance(error, M365Error) and not isinstance(error, Unavailable):
        refusal = PolicyUnavailable(
            "A policy names groups, and Microsoft does not let this server look up which of them you are in.",
            advice=_GRANT,
            retry_after=CONSENT_SECONDS,
            reference=error.reference,
        )
        refusal.needs_administrator = True
        refusal.for_person = "Nothing was sent. Press Send again when your administrator has allowed it."
        refusal.for_administrator = _GRANT
        return refusal
    return PolicyUnavailable(
        "A policy names groups, and it cannot be looked up at the moment which of them you are in.",
        retry_after=error.retry_after if isinstance(error, Unavailable) else None,
        reference=error.reference if isinstance(error, M365Error) else None,
    )


def roles_in(assertion: str) -> frozenset[str] | None:
    """Return the app roles in an access token of Entra's that was verified when it arrived; None: it tells none."""
    try:
        claims = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.PyJWTError:
        return None
    roles = claims.get("roles", [])
    return frozenset(map(str, roles)) if isinstance(roles, list) else None
