"""Exchanges the caller's token for this server for a Microsoft Graph token (On-Behalf-Of).

Source: "Microsoft identity platform and OAuth 2.0 On-Behalf-Of flow". One exchange requests all Graph scopes. The
process caches the Graph token, and the encrypted store shares it with all replicas. So all calls of one person use
one token. The cache holds plain values and no connections, so an eviction closes nothing that is in use.
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
from m365_mcp.policy.memberships import NOTHING_TOLD, ToldGroups
from m365_mcp.storage.leases import Leases
from m365_mcp.storage.records import Records, Versioned

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"  # RFC 7523 section 8.1
EARLY_SECONDS = 300.0  # a token is renewed this long before it expires, so that it outlives the call
MAX_PEOPLE = 10_000
# For the whole search, including the wait for another replica's exchange. A call may have waited for a refresh before.
BUDGET_SECONDS = 7.5
# "Claims challenges, claims requests, and client capabilities": this capability says that the server handles claims
# challenges. So Graph refuses a revoked sign-in at once, and Entra may issue tokens that live longer.
CAPABILITY = {"xms_cc": {"values": ["cp1"]}}


@dataclass(frozen=True)
class Caller:
    """The signed-in person of one request.

    Attributes:
        person: `tid` and `oid` of the assertion.
        assertion: the person's access token for this server.
        session_id: the id of the request's session.
        groups: what Graph has said about the person's groups since the assertion was issued.
    """

    person: PersonId
    assertion: str = field(repr=False)
    session_id: str = ""
    groups: ToldGroups = NOTHING_TOLD


@dataclass(frozen=True)
class RejectedTokens:
    """Graph tokens that Graph refused in one request.

    Attributes:
        tokens: the refused tokens, the oldest first.
        claims: Graph's claims challenge for a new token, JSON, or None.
    """

    tokens: tuple[str, ...] = field(repr=False)
    claims: str | None = None


class OnBehalfOf:
    """Exchanges and caches Graph tokens.

    Args:
        endpoint: Entra's token endpoint.
        scopes: Graph scopes as full URLs; each exchange requests all of them.
        shared: the tokens that all replicas share.
        leases: let only one replica at a time exchange for a person.
        metrics: counts the sources of tokens.
        clock: returns epoch seconds; for tests.
        max_people: the largest number of people whose tokens this process caches.
        budget_seconds: for finding one token, including the wait for another replica that exchanges.
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
        budget_seconds: float = BUDGET_SECONDS,
    ) -> None:
        self._endpoint = endpoint
        self._scopes = " ".join(scopes)
        self._kind = f"{endpoint.client_id} {self._scopes}"
        self._shared = shared
        self._leases = leases
        self._metrics = metrics
        self._clock = clock
        self._budget_seconds = budget_seconds
        self._tokens: LRUCache[PersonId, GraphToken] = LRUCache(maxsize=max_people)
        # By assertion, not by person: the refusal of one sign-in must not reach another sign-in of the same person.
        self._running: dict[str, asyncio.Task[GraphToken]] = {}

    async def graph_token(self, caller: Caller, refused: RejectedTokens | None = None) -> GraphToken:
        """Return a Graph token for `caller`: from memory, from the store, or from one exchange for all waiting calls.

        Args:
            caller: the person.
            refused: tokens that Graph has just refused; none of them is returned.

        Raises:
            M365Error: the meaning of Entra's refusal.
        """
        while True:
            cached = self._tokens.get(caller.person)
            if cached is not None and self._is_usable(cached, refused):
                self._metrics.graph_tokens.labels("memory").inc()
                return cached
            task = self._running.get(caller.assertion)
            is_own_search = task is None
            if task is None:
                task = asyncio.create_task(self._find(caller, refused))
                self._running[caller.assertion] = task
                task.add_done_callback(lambda done: self._forget(caller.assertion, done))
            # The shield keeps the exchange running for the other calls when this call is cancelled.
            token = await asyncio.shield(task)
            # A search of another call may return the token that Graph has refused.
            if is_own_search or refused is None or token.value not in refused.tokens:
                return token

    def _forget(self, assertion: str, done: asyncio.Task[GraphToken]) -> None:
        self._running.pop(assertion, None)
        if not done.cancelled():
            done.exception()  # retrieved here, because asyncio warns about it if no call waits any more

    def _is_usable(self, token: GraphToken, refused: RejectedTokens | None) -> bool:
        return self._clock() < token.renew_at and (refused is None or token.value not in refused.tokens)

    async def _find(self, caller: Caller, refused: RejectedTokens | None) -> GraphToken:
        try:
            async with asyncio.timeout(self._budget_seconds):
                token = await self._find_shared(caller, refused)
        except StorageUnavailable:
            # Without the store the replica exchanges for itself, so no call fails.
            token = await self._exchange(caller, refused)
        except TimeoutError as error:
            raise EntraUnavailable from error
        self._tokens[caller.person] = token
        return token

    async def _find_shared(self, caller: Caller, refused: RejectedTokens | None) -> GraphToken:
        _, token = await self._shared.read(caller.person, self._kind)
        if token is None or not self._is_usable(token, refused):
            name = f"exchange.{self._shared.key(caller.person, self._kind)}"
            async with self._leases.hold(name, self._budget_seconds):
                stored, token = await self._shared.read(caller.person, self._kind)
                if token is None or not self._is_usable(token, refused):
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
        response = await self._endpoint.request(form, repeatable=True, tenant=caller.person.tenant_id or None)
        self._metrics.graph_tokens.labels("exchange").inc()
        lifetime = response["expires_in"]
        # A token that lives less than EARLY_SECONDS is used for half its life.
        return GraphToken(
            response["access_token"], self._clock(), started + max(lifetime - EARLY_SECONDS, lifetime / 2)
        )


def _claims(challenge: str | None) -> str:
    """Return the `claims` of an exchange: Graph's challenge, and the capability to handle such challenges."""
    try:
        requested: Any = json.loads(challenge or "{}")
        access_token = {**requested.get("access_token", {}), **CAPABILITY}
    except (ValueError, AttributeError, TypeError):
        requested, access_token = {}, CAPABILITY
    return json.dumps({**requested, "access_token": access_token}, separators=(",", ":"))


_COLLECTION = "m365-graph-tokens"


@dataclass(frozen=True)
class GraphToken:
    """A Graph token, with the times of its exchange and of its renewal in epoch seconds."""

    value: str = field(repr=False)
    exchanged_at: float
    renew_at: float


@dataclass(frozen=True)
class GraphTokenCache:
    """The Graph tokens that all replicas share through the store."""

    records: Records

    async def read(self, person: PersonId, kind: str) -> tuple[Versioned, GraphToken | None]:
        """Return the record, and the person's token of this kind or None. Raises StorageUnavailable."""
        stored = await self.records.read(_COLLECTION, self.key(person, kind))
        value = stored.value
        if value is None:
            return stored, None
        return stored, GraphToken(str(value["token"]), float(value["exchanged_at"]), float(value["renew_at"]))

    async def write(self, person: PersonId, kind: str, stored: Versioned, token: GraphToken, now: float) -> None:
        """Replace the record if it is still `stored`; otherwise another replica's token stays, which is equally good.

        Raises:
            StorageUnavailable: the store did not respond.
        """
        value = {"token": token.value, "exchanged_at": token.exchanged_at, "renew_at": token.renew_at}
        await self.records.compare_and_swap(
            _COLLECTION, self.key(person, kind), stored, value, max(token.renew_at - now, 1)
        )

    def key(self, person: PersonId, kind: str) -> str:
        """Return the record's key. `kind` is the application with its scopes, so new settings use a new record."""
        return hashlib.sha256(" ".join((*person, kind)).encode()).hexdigest()
