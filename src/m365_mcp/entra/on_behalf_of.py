"""The On-Behalf-Of exchange: the caller's token for this server becomes a token for Microsoft Graph.

Source: "Microsoft identity platform and OAuth 2.0 On-Behalf-Of flow". Both Graph scopes are asked for in one
exchange; any number of simultaneous calls of one person share one exchange; the cache holds values only, so that
nothing in use is ever closed. May know `errors`, `logs` and `entra.token_endpoint`.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cachetools import LRUCache, TTLCache

from m365_mcp.entra.token_endpoint import TokenEndpoint
from m365_mcp.errors import SignInNeeded, StepUpNeeded

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"  # RFC 7523 section 8.1
ENDED_SECONDS = 2 * 3600.0  # longer than an assertion lives
EARLY_SECONDS = 300.0  # a token is renewed this long before it ends, so that it outlives the call that uses it
MAX_PEOPLE = 10_000


@dataclass(frozen=True)
class Caller:
    """The signed-in person of one request.

    Attributes:
        tenant_id: `tid` of the assertion.
        object_id: `oid` of the assertion; with the tenant it names the person for good.
        assertion: the person's access token for this server.
    """

    tenant_id: str
    object_id: str
    assertion: str = field(repr=False)

    @property
    def key(self) -> tuple[str, str]:
        """What the person is known by; names and addresses can change."""
        return self.tenant_id, self.object_id


@dataclass(frozen=True)
class GraphToken:
    """A token for Graph and when it is to be renewed."""

    value: str = field(repr=False)
    renew_at: float


class OnBehalfOf:
    """Exchanges and remembers Graph tokens.

    Args:
        endpoint: Entra's token endpoint.
        scopes: Graph scopes as full URLs, always asked for together.
        clock: seconds that only grow; for tests.
    """

    def __init__(
        self, endpoint: TokenEndpoint, scopes: tuple[str, ...], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._endpoint = endpoint
        self._scopes = " ".join(scopes)
        self._clock = clock
        self._tokens: LRUCache[tuple[str, str], GraphToken] = LRUCache(maxsize=MAX_PEOPLE)
        self._running: dict[tuple[str, str], asyncio.Task[GraphToken]] = {}
        self._ended: TTLCache[str, bool] = TTLCache(maxsize=MAX_PEOPLE, ttl=ENDED_SECONDS)

    async def graph_token(self, caller: Caller) -> str:
        """Return a Graph token for `caller`, from memory or by one exchange shared with everybody who waits for it.

        Raises:
            M365Error: what Entra's refusal means.
        """
        known = self._tokens.get(caller.key)
        if known is not None and self._clock() < known.renew_at:
            return known.value
        task = self._running.get(caller.key)
        if task is None:
            task = asyncio.create_task(self._exchange(caller))
            self._running[caller.key] = task
            task.add_done_callback(lambda _: self._running.pop(caller.key, None))
        # Shielded: a client that hangs up must not take the exchange away from the others.
        return (await asyncio.shield(task)).value

    def forget(self, caller: Caller, rejected: str) -> None:
        """Drop the token that Graph rejected, unless a newer one has taken its place."""
        known = self._tokens.get(caller.key)
        if known is not None and known.value == rejected:
            del self._tokens[caller.key]

    def is_ended(self, assertion: str) -> bool:
        """Return whether Entra has said that the sign-in behind this assertion is over.

        The next request with it is then a 401, on which the client refreshes or has the person sign in; a tool error
        alone would leave the client with a token that never works again.
        """
        return _fingerprint(assertion) in self._ended

    async def _exchange(self, caller: Caller) -> GraphToken:
        started = self._clock()
        form = {
            "grant_type": GRANT_TYPE,
            "requested_token_use": "on_behalf_of",
            "assertion": caller.assertion,
            "scope": self._scopes,
        }
        try:
            reply = await self._endpoint.request(form, repeatable=True)
        except StepUpNeeded:
            raise  # signing in again in the same way would end in the same place
        except SignInNeeded:
            self._ended[_fingerprint(caller.assertion)] = True
            raise
        lifetime = reply["expires_in"]
        # A very short-lived token is still used once; half its life keeps the early renewal from being the past.
        token = GraphToken(reply["access_token"], started + max(lifetime - EARLY_SECONDS, lifetime / 2))
        self._tokens[caller.key] = token
        return token


def _fingerprint(assertion: str) -> str:
    return hashlib.sha256(assertion.encode()).hexdigest()
