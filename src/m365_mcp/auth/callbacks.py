"""Entra's callback to /auth/callback: handled once per sign-in, and only while the store works, so no code is lost."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request

from m365_mcp.entra.decipher import decipher
from m365_mcp.errors import ConsentMissing, M365Error, SignInFailed, Unavailable, request_error
from m365_mcp.storage.records import Records, Versioned

_COLLECTION = "m365-returns"
_SECONDS = 60.0
_TRANSACTION_SECONDS = 900.0  # FastMCP keeps a sign-in for so long after its consent
MAX_TRIES = 5  # of one sign-in: a reload after a fault, a second round; each is a request to Entra


@dataclass
class Callback:
    """One request of a browser to the callback address.

    Attributes:
        second_round: the second round at Entra that the sign-in needs, if any.
        is_done: whether the sign-in is complete, so that the same callback is refused from now on.
    """

    second_round: SecondRound | None = None
    is_done: bool = False


@dataclass(frozen=True)
class SecondRound:
    """A second authorization request to Entra, in the same sign-in.

    Attributes:
        claims: the claims challenge, JSON, for the `claims` parameter.
        login_hint: the person's sign-in name, so that they do not choose the account again.
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
    """Stops the redemption of a code, because the browser goes to Entra a second time."""


current: ContextVar[Callback | None] = ContextVar("m365_mcp_callback", default=None)


@dataclass(frozen=True)
class Callbacks:
    """Makes sure that only one of several callbacks with the same `state` is handled, across all replicas."""

    records: Records

    @asynccontextmanager
    async def claim_callback(self, state: str) -> AsyncIterator[Callback | None]:
        """Claim the callback with this `state`, which is one of a sign-in; None when another request has claimed it.

        Raises:
            SignInFailed: Entra was asked for this sign-in as often as it may be.
            StorageUnavailable: before Entra's code was redeemed, so that the browser can open the same address again.
        """
        key = _key(state)
        found = await self.records.read(_COLLECTION, key)
        tries = int((found.value or {}).get("tries", 0))
        if tries >= MAX_TRIES and not _is_open(found):
            raise SignInFailed
        opened = {"state": "open", "tries": tries + 1}
        stored = None if _is_open(found) else await self._swap(key, found, opened, _SECONDS)
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
                # The error page tells the person to reload, so the same callback must work again.
                await self._swap(key, stored, {**opened, "state": "failed"}, _TRANSACTION_SECONDS)

    async def _swap(self, key: str, stored: Versioned, value: Mapping[str, object], seconds: float) -> Versioned | None:
        return await self.records.compare_and_swap(_COLLECTION, key, stored, value, seconds)

    async def is_claimed(self, state: str) -> bool:
        """Return whether a callback with this `state` is handled, or was a moment ago. Raises StorageUnavailable."""
        return _is_open(await self.records.read(_COLLECTION, _key(state)))


def _is_open(stored: Versioned) -> bool:
    return stored.version is not None and (stored.value or {}).get("state") != "failed"


def _key(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()


def explain_refusal(request: Request, consent_url: str = "") -> Request:
    """Return the callback request with its error description replaced by our explanation.

    Anyone can write the description into the URL, so its text is never shown. The error is noted on the request, for
    the page that is shown when the client cannot be told.

    Args:
        request: the callback.
        consent_url: where an administrator consents, for a refusal that says that consent is missing; empty: not named.
    """
    query = request.query_params
    if "error" not in query:
        return request
    refusal = read_refusal(query)
    if consent_url and isinstance(refusal, ConsentMissing):
        refusal.name_page(consent_url)
    request_error.note(refusal)
    told = {"error": _oauth_error(query["error"], refusal), "error_description": refusal.explain()}
    query_string = urlencode({**told, "state": query.get("state", "")})
    return Request({**request.scope, "query_string": query_string.encode()}, request.receive)


def read_refusal(query: Mapping[str, str]) -> M365Error:
    """Return the meaning of the refusal in the query of a callback."""
    # `invalid_client` without a number says at the token endpoint that a secret is wrong; nobody has sent one here.
    error = query["error"] if query["error"] in _AUTHORIZE_ERRORS else None
    return decipher(400, {**query, "error": error})


def _oauth_error(error: str, refusal: M365Error) -> str:
    """Return the `error` for the client: Entra's own if it is one of an authorization endpoint."""
    return error if error in _AUTHORIZE_ERRORS else refusal_code(refusal)


def refusal_code(refusal: M365Error) -> str:
    """Return the `error` that tells a client of a refusal of ours (RFC 6749 section 4.1.2.1)."""
    if isinstance(refusal, Unavailable):
        return "temporarily_unavailable"
    return "server_error" if refusal.status >= 500 else "access_denied"


# RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6, and Entra's own. Any other counts as `server_error`.
_AUTHORIZE_ERRORS = (
    "access_denied",
    "invalid_request",
    "invalid_scope",
    "invalid_resource",
    "invalid_target",
    "unauthorized_client",
    "unsupported_response_type",
    "temporarily_unavailable",
    "interaction_required",
    "login_required",
    "consent_required",
)
