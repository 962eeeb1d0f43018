"""The browser's return from Entra: once a sign-in, with the store known to work before Entra's code is spent.

May know `errors`, `storage.records`, `entra.step_up`.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from m365_mcp.storage.records import NOTHING, Records

_COLLECTION = "m365-returns"
_SECONDS = 60.0


@dataclass
class Callback:
    """One return of a browser.

    Attributes:
        again: what Entra has to be asked for in a second round, if anything.
        is_done: whether the sign-in is complete, so that the same return counts no more.
    """

    again: SecondRound | None = None
    is_done: bool = False


@dataclass(frozen=True)
class SecondRound:
    """What the person must be asked for at Entra.

    Attributes:
        claims: JSON, for the `claims` parameter.
        login_hint: who is asked, so that nobody has to choose the account again.
    """

    claims: str
    login_hint: str


class SecondRoundNeeded(Exception):
    """Ends a code redemption whose result is not kept, because the person is sent to Entra once more."""


current: ContextVar[Callback | None] = ContextVar("m365_mcp_callback", default=None)


@dataclass(frozen=True)
class Callbacks:
    """Sees to it that of several returns with one `state` only one counts, on whichever replica."""

    records: Records

    @asynccontextmanager
    async def only_one(self, state: str) -> AsyncIterator[Callback | None]:
        """Open the return with this `state`; None when it is being handled, or was.

        Raises:
            StorageUnavailable: before Entra's code was spent, so that the same address may be opened again.
        """
        key = hashlib.sha256(state.encode()).hexdigest()
        held = await self.records.swap(_COLLECTION, key, NOTHING, {"state": "open"}, _SECONDS)
        if held is None:
            yield None
            return
        callback = Callback()
        token = current.set(callback)
        try:
            yield callback
        finally:
            current.reset(token)
            if not callback.is_done:
                # A page that says "reload" must keep its word.
                await self.records.swap(_COLLECTION, key, held, None)
