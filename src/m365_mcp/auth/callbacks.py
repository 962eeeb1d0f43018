"""The browser's return from Entra: once a sign-in, with the store known to work before Entra's code is spent."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request

from m365_mcp.entra.decipher import decipher
from m365_mcp.errors import PersonDeclined
from m365_mcp.storage.records import ABSENT, Records

_COLLECTION = "m365-returns"
_SECONDS = 60.0


@dataclass
class Callback:
    """One return of a browser.

    Attributes:
        second_round: what Entra has to be asked for in a second round, if anything.
        is_done: whether the sign-in is complete, so that the same return counts no more.
    """

    second_round: SecondRound | None = None
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

    def address(self, first_round: str) -> str:
        """Return where the browser goes: the address of the first round, with what is asked for besides."""
        parts = urlsplit(first_round)
        # Page "OpenID Connect on the Microsoft identity platform": select_account and login_hint exclude each other.
        query = {name: value for name, value in parse_qsl(parts.query) if name != "prompt"}
        query |= {"claims": self.claims, **({"login_hint": self.login_hint} if self.login_hint else {})}
        return parts._replace(query=urlencode(query)).geturl()


class SecondRoundNeeded(Exception):
    """Ends a code redemption whose result is not kept, because the person is sent to Entra once more."""


current: ContextVar[Callback | None] = ContextVar("m365_mcp_callback", default=None)


@dataclass(frozen=True)
class Callbacks:
    """Sees to it that of several returns with one `state` only one counts, on whichever replica."""

    records: Records

    @asynccontextmanager
    async def claim_callback(self, state: str) -> AsyncIterator[Callback | None]:
        """Open the return with this `state`; None when it is being handled, or was.

        Raises:
            StorageUnavailable: before Entra's code was spent, so that the same address may be opened again.
        """
        key = hashlib.sha256(state.encode()).hexdigest()
        stored = await self.records.compare_and_swap(_COLLECTION, key, ABSENT, {"state": "open"}, _SECONDS)
        if stored is None:
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
                await self.records.compare_and_swap(_COLLECTION, key, stored, None)


def explain_refusal(request: Request) -> Request:
    """Return the callback with Entra's error description, or whatever stands there, replaced by our explanation."""
    query = request.query_params
    if "error" not in query:
        return request
    known = query["error"] if query["error"] in _AUTHORIZE_ERRORS else "server_error"
    body = {"error": known, "error_description": query.get("error_description", "")}
    meant = PersonDeclined() if known == "access_denied" else decipher(400, body)
    told = {"error": known, "error_description": meant.explain(), "state": query.get("state", "")}
    return Request({**request.scope, "query_string": urlencode(told).encode()}, request.receive)


# RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6, and Entra's own.
_AUTHORIZE_ERRORS = (
    "access_denied",
    "invalid_request",
    "invalid_scope",
    "invalid_resource",
    "invalid_target",
    "unauthorized_client",
    "unsupported_response_type",
    "server_error",
    "temporarily_unavailable",
    "interaction_required",
    "login_required",
    "consent_required",
)
