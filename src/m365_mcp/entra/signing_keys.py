"""Fetches and caches Entra's public signing keys, also while Entra cannot be reached.

Source: "Signing key rollover in the Microsoft identity platform": refresh regularly and on an unknown `kid`, keep the
last good set on error. FastMCP 4.2's verifier drops its keys after an hour and refuses every token for 30 s after one
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
from m365_mcp.metrics import Metrics
from m365_mcp.retries import RetryPolicy, retry

FRESH_SECONDS = 3600.0
MAX_AGE_SECONDS = 24 * 3600.0  # how long the keys are used while Entra does not respond
UNKNOWN_KEY_PAUSE_SECONDS = 1.0  # between fetches because of an unknown kid
RETRY_SECONDS = 10.0  # between background fetches that fail
FETCHES = RetryPolicy(seconds=3.0, first_pause=0.2, tries=2)

_NOT_FETCHED = "Microsoft Entra ID's signing keys cannot be fetched."
_log = logs.get(__name__)


class SigningKeys:
    """The key set of one JWKS address.

    Args:
        url: the JWKS address.
        http: the shared HTTP client.
        clock: returns monotonic seconds; for tests.
        metrics: record the duration of a fetch.
    """

    def __init__(
        self,
        url: str,
        http: httpx2.AsyncClient,
        clock: Callable[[], float] = time.monotonic,
        metrics: Metrics | None = None,
    ) -> None:
        self._url = url
        self._http = http
        self._clock = clock
        self._metrics = metrics or Metrics()
        self._keys: list[jwt.PyJWK] = []
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._fetching = asyncio.Lock()
        self._renewal: asyncio.Task[None] | None = None

    async def find(self, kid: str | None) -> jwt.PyJWK | None:
        """Return the key `kid`, or None if Entra does not publish it.

        Raises:
            EntraUnavailable: the key is not cached, and Entra's key set cannot be fetched now.
        """
        cached = self._choose(kid)
        age = self._clock() - self._fetched_at
        if cached is not None and age < MAX_AGE_SECONDS:
            if age >= FRESH_SECONDS:
                self._renew_in_background()  # the call does not wait, because the cached key is good
            return cached
        await self._refresh()
        return self._choose(kid)

    def _choose(self, kid: str | None) -> jwt.PyJWK | None:
        """Return the key with the id `kid`. If ids are missing, which RFC 7517 allows, return the only key."""
        named = [key for key in self._keys if kid is not None and key.key_id == kid]
        if named:
            return named[0]
        nameless = kid is None or not any(key.key_id for key in self._keys)
        return self._keys[0] if nameless and len(self._keys) == 1 else None

    async def warm(self) -> None:
        """Fetch the keys if none is cached. Raises EntraUnavailable."""
        if not self._keys:
            await self._refresh()

    def _renew_in_background(self) -> None:
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        if self._clock() - self._tried_at < RETRY_SECONDS:
            return
        with contextlib.suppress(EntraUnavailable):  # `_fetch` has logged it; the next lookup tries again
            await self._refresh()

    async def _refresh(self) -> None:
        started_at = self._clock()
        async with self._fetching:
            if self._fetched_at >= started_at:
                return  # another request fetched the keys while this one waited
            if self._tried_at >= started_at:
                raise EntraUnavailable(_NOT_FETCHED)  # another request's fetch has failed meanwhile
            # Entra may roll a key right after a fetch, so the call waits for the rest of the pause instead of failing.
            await asyncio.sleep(self._fetched_at + UNKNOWN_KEY_PAUSE_SECONDS - started_at)
            self._tried_at = self._clock()
            self._keys = await self._fetch()
            self._fetched_at = self._clock()

    async def _fetch(self) -> list[jwt.PyJWK]:
        """Return the published keys. After a failure it tries once more, within the same deadline."""
        try:
            async with asyncio.timeout(FETCHES.seconds):
                return await retry(FETCHES, lambda _: self._fetch_once(), lambda error: isinstance(error, _Unusable))
        except (_Unusable, TimeoutError) as error:
            _log.warning("signing_keys_unavailable", cached_keys=len(self._keys))
            raise EntraUnavailable(_NOT_FETCHED) from error

    async def _fetch_once(self) -> list[jwt.PyJWK]:
        try:
            with self._metrics.entra_seconds.labels("keys").time():
                response = await self._http.get(self._url)
            response.raise_for_status()
            # RFC 7517 section 5: a client ignores keys that it does not understand.
            keys = [key for key in jwt.PyJWKSet.from_dict(response.json()).keys if _signs_tokens(key)]
        except (httpx2.HTTPError, ValueError, TypeError, AttributeError, jwt.PyJWTError) as error:
            raise _Unusable from error
        if not keys:
            raise _Unusable
        return keys


class _Unusable(Exception):
    """Entra returned no usable key set."""


def _signs_tokens(key: jwt.PyJWK) -> bool:
    return key.key_type == "RSA" and key.public_key_use in (None, "sig")
