"""The On-Behalf-Of exchange: the caller's token for this server becomes a token for Microsoft Graph.

Source: "Microsoft identity platform and OAuth 2.0 On-Behalf-Of flow". All Graph scopes are asked for in one exchange;
its result is kept in this process and, encrypted, in the store, so that all calls of one person on all replicas share
it; the cache holds values only, so that nothing in use is ever closed.
May know `errors`, `metrics`, `storage.leases`, `entra.graph_tokens` and `entra.token_endpoint`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cachetools import LRUCache

from m365_mcp.entra.graph_tokens import GraphToken, GraphTokens
from m365_mcp.entra.token_endpoint import TokenEndpoint
from m365_mcp.errors import EntraUnavailable, StorageUnavailable, request_error
from m365_mcp.metrics import Metrics
from m365_mcp.storage.leases import Leases

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"  # RFC 7523 section 8.1
EARLY_SECONDS = 300.0  # a token is renewed this long before it ends, so that it outlives the call that uses it
MAX_PEOPLE = 10_000
# For everything, the wait for a replica that exchanges already included; a call may have waited for a refresh before.
BUDGET_SECONDS = 7.5
# Page "Claims challenges, claims requests, and client capabilities": says that we answer a challenge, so that Graph
# tells of a revoked sign-in at once and its tokens may live longer.
CAPABLE = {"xms_cc": {"values": ["cp1"]}}


@dataclass(frozen=True)
class Caller:
    """The signed-in person of one request.

    Attributes:
        tenant_id: `tid` of the assertion.
        object_id: `oid` of the assertion; with the tenant it names the person for good.
        assertion: the person's access token for this server.
        session_id: the session the request came with.
    """

    tenant_id: str
    object_id: str
    assertion: str = field(repr=False)
    session_id: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What the person is known by; names and addresses can change."""
        return self.tenant_id, self.object_id


@dataclass(frozen=True)
class Refusal:
    """Graph tokens that Graph did not take, one after the other.

    Attributes:
        tokens: the tokens.
        claims: what Graph asks a new one for, JSON, if it said so.
    """

    tokens: tuple[str, ...] = field(repr=False)
    claims: str | None = None


class OnBehalfOf:
    """Exchanges and remembers Graph tokens.

    Args:
        endpoint: Entra's token endpoint.
        scopes: Graph scopes as full URLs, always asked for together.
        shared: the tokens all replicas know.
        leases: so that one replica at a time exchanges for a person.
        metrics: where the sources of tokens are counted.
        clock: epoch seconds; for tests.
    """

    def __init__(
        self,
        endpoint: TokenEndpoint,
        scopes: tuple[str, ...],
        *,
        shared: GraphTokens,
        leases: Leases,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._endpoint = endpoint
        self._scopes = " ".join(scopes)
        self._kind = f"{endpoint.client_id} {self._scopes}"
        self._shared = shared
        self._leases = leases
        self._metrics = metrics
        self._clock = clock
        self._tokens: LRUCache[tuple[str, str], GraphToken] = LRUCache(maxsize=MAX_PEOPLE)
        # By assertion, not by person: the refusal of one sign-in must not be told to another of the same person.
        self._running: dict[str, asyncio.Task[GraphToken]] = {}

    async def graph_token(self, caller: Caller, refused: Refusal | None = None) -> GraphToken:
        """Return a Graph token for `caller`: from memory, from the store, or by one exchange shared with everybody.

        Args:
            caller: the person.
            refused: tokens that Graph has just refused, and must not come back.

        Raises:
            M365Error: what Entra's refusal means.
        """
        while True:
            known = self._tokens.get(caller.key)
            if known is not None and self._is_good(known, refused):
                self._metrics.graph_tokens.labels("memory").inc()
                return known
            task = self._running.get(caller.assertion)
            mine = task is None
            if task is None:
                task = asyncio.create_task(self._find(caller, refused))
                self._running[caller.assertion] = task
                task.add_done_callback(lambda done: self._forget(caller.assertion, done))
            # Shielded: a client that hangs up must not take the exchange away from the others.
            found = await asyncio.shield(task)
            # Somebody else's search may have found just the token that Graph has refused.
            if mine or refused is None or found.value not in refused.tokens:
                return found

    def _forget(self, assertion: str, done: asyncio.Task[GraphToken]) -> None:
        self._running.pop(assertion, None)
        if not done.cancelled():
            done.exception()  # looked at, because everybody who waited for it may have gone

    def _is_good(self, token: GraphToken, refused: Refusal | None) -> bool:
        return self._clock() < token.renew_at and (refused is None or token.value not in refused.tokens)

    async def _find(self, caller: Caller, refused: Refusal | None) -> GraphToken:
        try:
            async with asyncio.timeout(BUDGET_SECONDS):
                token = await self._find_shared(caller, refused)
        except StorageUnavailable:
            # Without the store the token is not shared, which costs an exchange and nobody's call.
            request_error.forget()
            token = await self._exchange(caller, refused)
        except TimeoutError as error:
            raise request_error.record(EntraUnavailable()) from error
        self._tokens[caller.key] = token
        return token

    async def _find_shared(self, caller: Caller, refused: Refusal | None) -> GraphToken:
        _, token = await self._shared.read(caller.key, self._kind)
        if token is None or not self._is_good(token, refused):
            async with self._leases.hold(f"exchange.{self._shared.key(caller.key, self._kind)}", BUDGET_SECONDS):
                held, token = await self._shared.read(caller.key, self._kind)
                if token is None or not self._is_good(token, refused):
                    token = await self._exchange(caller, refused)
                    await self._shared.write(caller.key, self._kind, held, token, self._clock())
                    return token
        self._metrics.graph_tokens.labels("store").inc()
        return token

    async def _exchange(self, caller: Caller, refused: Refusal | None) -> GraphToken:
        started = self._clock()
        form = {
            "grant_type": GRANT_TYPE,
            "requested_token_use": "on_behalf_of",
            "assertion": caller.assertion,
            "scope": self._scopes,
            "claims": _claims(refused.claims if refused else None),
        }
        reply = await self._endpoint.request(form, repeatable=True, tenant=caller.tenant_id or None)
        self._metrics.graph_tokens.labels("exchange").inc()
        lifetime = reply["expires_in"]
        # A very short-lived token is still used once; half its life keeps the early renewal from being the past.
        return GraphToken(reply["access_token"], self._clock(), started + max(lifetime - EARLY_SECONDS, lifetime / 2))


def _claims(challenge: str | None) -> str:
    """Return the `claims` of an exchange: what Graph asks for, and that this server can answer such challenges."""
    try:
        asked: Any = json.loads(challenge or "{}")
        wanted = {**asked.get("access_token", {}), **CAPABLE}
    except (ValueError, AttributeError, TypeError):
        asked, wanted = {}, CAPABLE
    return json.dumps({**asked, "access_token": wanted}, separators=(",", ":"))
