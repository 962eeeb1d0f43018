"""Remembers for a week why a session ended, and tells it to whoever presents a token of that session.

The call that meets the end of a sign-in is often not the one that the person or the operator looks at: after a tool
call, the client gets a 401 and then a refused refresh. All of them say the same. Only somebody with a token that this
server signed for the session asks here, and an ending has our own texts and Microsoft's number, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from m365_mcp.errors import AssertionRefused, M365Error, PersonDeclined, SignInNeeded, StepUpNeeded
from m365_mcp.metrics import EndReason
from m365_mcp.storage.records import ABSENT, Records

COLLECTION = "m365-session-endings"
ENDING_SECONDS = 7 * 24 * 3600.0
_KINDS = {kind.code: kind for kind in (AssertionRefused, PersonDeclined, SignInNeeded, StepUpNeeded)}
_TEXTS = ("sentence", "advice", "for_person", "for_administrator", "needs_administrator")
BY_CLIENT = "Your assistant has signed out of this server."
BY_OPERATOR = "The people who run this server have ended the sign-in."
CODE_REPLAYED = "The authorization code of the sign-in was used a second time, so the sign-in has ended."
TOKEN_REUSED = "A refresh token of the sign-in was used a second time, so the sign-in has ended."  # noqa: S105
_ENDINGS: Mapping[EndReason, SignInNeeded] = {
    "by_client": SignInNeeded(BY_CLIENT),
    "by_operator": SignInNeeded(BY_OPERATOR),
    "code_replayed": SignInNeeded(CODE_REPLAYED),
    "refresh_token_reused": SignInNeeded(TOKEN_REUSED),
}


@dataclass(frozen=True)
class SessionEndings:
    """Why sessions ended, shared by all replicas."""

    records: Records

    async def remember(self, session_id: str, reason: EndReason, refusal: M365Error | None) -> None:
        """Remember why a session ends; the first reason stays.

        Args:
            session_id: the session.
            reason: why it ends.
            refusal: Microsoft's refusal, if that is why.

        Raises:
            StorageUnavailable: the store did not respond.
        """
        error = refusal or _ENDINGS.get(reason, SignInNeeded())
        told = {"code": error.code, "reference": error.reference, **{name: getattr(error, name) for name in _TEXTS}}
        await self.records.compare_and_swap(COLLECTION, session_id, ABSENT, told, ENDING_SECONDS)

    async def find(self, session_id: str) -> SignInNeeded | None:
        """Return why the session has ended, as the error that ended it; None when that is not known (any more).

        Raises:
            StorageUnavailable: the store did not respond.
        """
        told = (await self.records.read(COLLECTION, session_id)).value
        return None if told is None else _error_of(told)


def _error_of(told: Mapping[str, Any]) -> SignInNeeded:
    error = _KINDS.get(told["code"], SignInNeeded)(told["sentence"], reference=told["reference"])
    for name in _TEXTS:
        setattr(error, name, told[name])
    return error
