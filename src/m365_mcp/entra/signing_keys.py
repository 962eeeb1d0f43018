"""Entra's public signing keys, kept per `kid` and kept when Entra cannot be reached.

Source: "Signing key rollover in the Microsoft identity platform": refresh regularly and on an unknown `kid`, keep the
last good set on error. FastMCP 4.2's verifier drops its keys after an hour and refuses everybody for 30 s after one
failed fetch.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

import httpx2
import jwt

from m365_mcp import logs
from m365_mcp.errors import EntraUnavailable
from m365_mcp.retries import RetryPolicy, retry

FRESH_SECONDS = 3600.0
KEPT_SECONDS = 24 * 3600.0  # how long keys serve while Entra does not answer
UNKNOWN_KEY_PAUSE_SECONDS = 1.0  # between fetches that an unknown kid asks for
RETRY_SECONDS = 10.0  # between background fetches that fail
FETCHES = RetryPolicy(seconds=3.0, first_pause=0.2, tries=2)

_NOT_FETCHED = "Microsoft Entra ID's signing keys cannot be fetched."
_log = logs.get(__name__)


class SigningKeys:
    """The key set behind one JWKS address.

    Args:
        url: the JWKS address.
        http: the shared client.
        clock: seconds that only grow; for tests.
    """

    def __init__(self, url: str, http: httpx2.AsyncClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._http = http
        self._clock = clock
        self._keys: list[jwt.PyJWK] = []
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._fetching = asyncio.Lock()
        self._renewal: asyncio.Task[None] | None = None

    async def find(self, kid: str | None) -> jwt.PyJWK | None:
        """Return the key `kid`, or None when Entra does not know it.

        Raises:
            EntraUnavailable: the key is not at hand and the key set cannot be fetched now.
        """
        known = self._choose(kid)
        age = self._clock() - self._fetched_at
        if known is not None and age < KEPT_SECONDS:
            if age >= FRESH_SECONDS:
                self._renew_in_background()  # nobody waits for it: the key at hand is good
            return known
        await self._refresh()
        return self._choose(kid)

    def _choose(self, kid: str | None) -> jwt.PyJWK | None:
        """Return the key of that name; where names are missing, which RFC 7517 allows, the only key there is."""
        named = [key for key in self._keys if kid is not None and key.key_id == kid]
        if named:
            return named[0]
        nameless = kid is None or not any(key.key_id for key in self._keys)
        return self._keys[0] if nameless and len(self._keys) == 1 else None

    async def warm(self) -> None:
        """Fetch the keys if there are none yet. Raises EntraUnavailable."""
        if not self._keys:
            await self._refresh()

    def _renew_in_background(self) -> None:
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        if self._clock() - self._tried_at < RETRY_SECONDS:
            return
        with contextlib.suppress(EntraUnavailable):  # logged where it happens; the next look-up tries again
            await self._refresh()

    async def _refresh(self) -> None:
        asked_at = self._clock()
        async with self._fetching:
            if self._fetched_at >= asked_at:
                return  # another request fetched them while this one waited
            if self._tried_at >= asked_at:
                raise EntraUnavailable(_NOT_FETCHED)  # another request has just found out that it fails
            # A key may be rolled right after a fetch; the rest of the pause is waited out, not answered with an error.
            await asyncio.sleep(self._fetched_at + UNKNOWN_KEY_PAUSE_SECONDS - asked_at)
            self._tried_at = self._clock()
            self._keys = await self._fetch()
            self._fetched_at = self._clock()

    async def _fetch(self) -> list[jwt.PyJWK]:
        """Return the published keys; a failure is tried once more, within the same time."""
        try:
            async with asyncio.timeout(FETCHES.seconds):
                return await retry(FETCHES, lambda _: self._fetch_once(), lambda error: isinstance(error, _Unusable))
        except (_Unusable, TimeoutError) as error:
            _log.warning("signing_keys_unavailable", held_while=len(self._keys))
            raise EntraUnavailable(_NOT_FETCHED) from error

    async def _fetch_once(self) -> list[jwt.PyJWK]:
        try:
            reply = await self._http.get(self._url)
            reply.raise_for_status()
            # RFC 7517 section 5: keys that are not understood are passed over.
            keys = [key for key in jwt.PyJWKSet.from_dict(reply.json()).keys if _signs_tokens(key)]
        except (httpx2.HTTPError, ValueError, TypeError, AttributeError, jwt.PyJWTError) as error:
            raise _Unusable from error
        if not keys:
            raise _Unusable
        return keys


class _Unusable(Exception):
    """What came back is no key set."""


def _signs_tokens(key: jwt.PyJWK) -> bool:
    return key.key_type == "RSA" and key.public_key_use in (None, "sig")
