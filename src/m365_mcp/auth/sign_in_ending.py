"""Pure: which refusals of Microsoft end a session, at a refresh and at an On-Behalf-Of exchange alike.

On the end of a session, clients delete their tokens and have the person sign in. So only a refusal that a new sign-in
changes may end one. What an administrator or the operator has to change keeps it, and so does what nobody knows.
"""

from __future__ import annotations

from typing import Literal

from m365_mcp.errors import M365Error, SignInNeeded, StepUpNeeded

Grant = Literal["refresh_token", "on_behalf_of"]


def ends_session(refusal: M365Error, grant: Grant) -> bool:
    """Return whether a new sign-in changes this refusal of a grant.

    More proof is asked for at the sign-in itself when the sign-in is refreshed, because both are for this server's own
    scope. An exchange is for Microsoft Graph: there only a claims challenge tells the new sign-in what to ask for.
    """
    if isinstance(refusal, StepUpNeeded) and grant == "on_behalf_of":
        return refusal.claims is not None
    return isinstance(refusal, SignInNeeded)
