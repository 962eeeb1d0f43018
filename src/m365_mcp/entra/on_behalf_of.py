"""The On-Behalf-Of exchange: the caller's token for this server becomes a token for Microsoft Graph.

Source: "Microsoft identity platform and OAuth 2.0 On-Behalf-Of flow". All Graph scopes are asked for in one exchange;
its result is kept in this process and, encrypted, in the store, so that all calls of one person on all replicas share
it; the cache holds values only, so that nothing in use is ever closed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cachetools import LRUCache

from m365_mcp.entra.token_endpoint import TokenEndpoint
from m365_mcp.errors import EntraUnavailable, StorageUnavailable
from m365_mcp.metrics import Metrics
from m365_mcp.person import PersonId
from m365_mcp.storage.leases import Leases
from m365_mcp.storage.records import Records, Versioned

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
        person: `tid` and `oid` of the assertion.
        assertion: the person's access token for this server.
        session_id: the session the request came with.
    """

    person: PersonId
    assertion: str = field(repr=False)
    session_id: str = ""


@dataclass(frozen=True)
class RejectedTokens:
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
        max_people: how many people's tokens this process remembers.
    """

    def __init__(
        self,
        endpoint: TokenEndpoint,
        scopes: tuple[str, ...],
        *,
        shared: GraphTokenCache,
        leases: Leases,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
        max_people: int = MAX_PEOPLE,
    ) -> None:
        self._endpoint = endpoint
        self._scopes = " ".join(scopes)
        self._kind = f"{endpoint.client_id} {self._scopes}"
        self._shared = shared
        self._leases = leases
        self._metrics = metrics
        self._clock = clock
        self._tokens: LRUCache[PersonId, GraphToken] = LRUCache(maxsize=max_people)
        # By assertion, not by person: the refusal of one sign-in must not be told to another of the same person.
        self._running: dict[str, asyncio.Task[GraphToken]] = {}

    async def graph_token(self, caller: Caller, refused: RejectedTokens | None = None) -> GraphToken:
        """Return a Graph token for `caller`: from memory, from the store, or by one exchange shared with everybody.

        Args:
            caller: the person.
            refused: tokens that Graph has just refused, and must not come back.

        Raises:
            M365Error: what Entra's refusal means.
        """
        while True:
            known = self._tokens.get(caller.person)
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

    def _is_good(self, token: GraphToken, refused: RejectedTokens | None) -> bool:
        return self._clock() < token.renew_at and (refused is None or token.value not in refused.tokens)

    async def _find(self, caller: Caller, refused: RejectedTokens | None) -> GraphToken:
        try:
            async with asyncio.timeout(BUDGET_SECONDS):
                token = await self._find_shared(caller, refused)
        except StorageUnavailable:
            # Without the store the token is not shared, which costs an exchange and nobody's call.
            token = await self._exchange(caller, refused)
        except TimeoutError as error:
            raise EntraUnavailable from error
        self._tokens[caller.person] = token
        return token

    async def _find_shared(self, caller: Caller, refused: RejectedTokens | None) -> GraphToken:
        _, token = await self._shared.read(caller.person, self._kind)
        if token is None or not self._is_good(token, refused):
            async with self._leases.hold(f"exchange.{self._shared.key(caller.person, self._kind)}", BUDGET_SECONDS):
                stored, token = await self._shared.read(caller.person, self._kind)
                if token is None or not self._is_good(token, refused):
                    token = await self._exchange(caller, refused)
                    await self._shared.write(caller.person, self._kind, stored, token, self._clock())
                    return token
        self._metrics.graph_tokens.labels("store").inc()
        return token

    async def _exchange(self, caller: Caller, refused: RejectedTokens | None) -> GraphToken:
        started = self._clock()
        form = {
            "grant_type": GRANT_TYPE,
            "requested_token_use": "on_behalf_of",
            "assertion": caller.assertion,
            "scope": self._scopes,
            "claims": _claims(refused.claims if refused else None),
        }
        reply = await self._endpoint.request(form, repeatable=True, tenant=caller.person.tenant_id or None)
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


_COLLECTION = "m365-graph-tokens"


@dataclass(frozen=True)
class GraphToken:
    """A token for Graph; when it was exchanged and when it is to be renewed, in epoch seconds."""

    value: str = field(repr=False)
    exchanged_at: float
    renew_at: float


@dataclass(frozen=True)
class GraphTokenCache:
    """The tokens of all people."""

    records: Records

    async def read(self, person: PersonId, kind: str) -> tuple[Versioned, GraphToken | None]:
        """Return the person's token of this kind, if any, and the record. Raises StorageUnavailable."""
        stored = await self.records.read(_COLLECTION, self.key(person, kind))
        if stored.value is None:
            return stored, None
        found = stored.value
        return stored, GraphToken(str(found["token"]), float(found["exchanged_at"]), float(found["renew_at"]))

    async def write(self, person: PersonId, kind: str, stored: Versioned, token: GraphToken, now: float) -> None:
        """Replace the record as it was read; if somebody was faster, theirs is as good. Raises StorageUnavailable."""
        value = {"token": token.value, "exchanged_at": token.exchanged_at, "renew_at": token.renew_at}
        await self.records.compare_and_swap(
            _COLLECTION, self.key(person, kind), stored, value, max(token.renew_at - now, 1)
        )

    def key(self, person: PersonId, kind: str) -> str:
        """Return the record's key; a kind is an application with its scopes, so that a new setting is a new record."""
        return hashlib.sha256(" ".join((*person, kind)).encode()).hexdigest()
