"""Limits how often one address, one client, and all together may begin a sign-in; whoever is signed in has no limit.

The pages of mail that waits for approval have limits of the same kind. There, a person with a proof of who they are has
a limit of their own, and strangers do not use it up.

The numbers are tokens in ten minutes, and the largest burst. 2,000 people behind one address sign in within ten
minutes, each with one repetition, and so do 2,000 people of one client: a company has one address, and a client with a
metadata document has one id for all. Every limit has a total, which alone counts where the address is not known. Counts
are those of one process; with several replicas, each takes as many.

At the token endpoint and the revocation endpoint a valid code or token is taken however many strangers fail from the
same address: over a limit, the store is asked whether a request has one, and one without is refused before any other
work. What the token endpoint does not refuse is not counted; neither is a valid token at the revocation endpoint. The
MCP endpoint has no limit here, because it needs a valid token. A callback may be a request to Entra, so it counts as a
beginning.

A program is told `temporarily_unavailable`. RFC 6749 section 4.1.2.1 has it for an overloaded server, and clients keep
their tokens on it. `slow_down` (RFC 8628 section 3.5) is an answer to a client that polls, and RFC 7591 has no code.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from m365_mcp.errors import (
    DEFAULT_WAIT_SECONDS,
    ApprovalTooOften,
    ClientMetadataUnavailable,
    M365Error,
    SignInReloaded,
    StorageUnavailable,
    TooManyRequests,
    request_error,
)
from m365_mcp.metrics import Metrics
from m365_mcp.person import PersonId
from m365_mcp.web.bodies import replay
from m365_mcp.web.oauth_parameters import basic_credentials
from m365_mcp.web.responses import error_as_json
from m365_mcp.web.token_buckets import TokenBuckets

WINDOW_SECONDS = 600.0
BYTES_PER_TOKEN = 2048  # of an authorization request or registration, because the store has to take it
PAGE_SECONDS = 3600.0
MAX_PAGES = 8  # of one transaction in that time: each is a record of FastMCP's for 15 minutes
By = Literal["address", "client", "person", "transaction", "total"]


@dataclass(frozen=True)
class Rates:
    """The tokens of one endpoint in ten minutes: of an address, a client, a person, and of all; 0: no such limit."""

    address: int
    total: int
    client: int = 0
    person: int = 0


RATES = {
    "/register": Rates(address=4000, total=8000),
    "/authorize": Rates(address=4000, client=8000, total=12_000),
    "/consent": Rates(address=12_000, total=24_000),
    "/auth/callback": Rates(address=4000, total=12_000),
    "/token": Rates(address=4000, client=8000, total=12_000),
    "/revoke": Rates(address=4000, client=8000, total=12_000),
}
# To read a mail and decide takes three requests of a person with a proof, and 20 mails can wait. Page and text of a
# draft with many pictures are 28 requests to Graph, which serves a mailbox 10,000 in ten minutes.
APPROVALS = Rates(address=4000, person=600, total=12_000)
TOKEN = "/token"  # noqa: S105 - the path of an endpoint
REVOKE = "/revoke"
GRANT_PATHS = (TOKEN, REVOKE)
HasGrant = Callable[[Mapping[str, str]], Awaitable[bool]]


class _Endpoint:
    """The token buckets of one endpoint."""

    def __init__(self, path: str, rates: Rates, clock: Callable[[], float]) -> None:
        sizes: dict[By, int] = {
            "address": rates.address,
            "client": rates.client,
            "person": rates.person,
            "total": rates.total,
        }
        self._buckets = {by: TokenBuckets(size, WINDOW_SECONDS, clock) for by, size in sizes.items() if size}
        if path == "/consent":
            self._buckets["transaction"] = TokenBuckets(MAX_PAGES, PAGE_SECONDS, clock)

    def _known(self, keys: Mapping[By, str | None]) -> list[tuple[By, TokenBuckets, str]]:
        return [(by, bucket, key) for by, bucket in self._buckets.items() if (key := keys.get(by)) is not None]

    def give_back(self, keys: Mapping[By, str | None], tokens: int) -> None:
        """Put tokens back that were taken for all keys."""
        for _, bucket, key in self._known(keys):
            bucket.give_back(key, tokens)

    def take(self, keys: Mapping[By, str | None], tokens: int) -> tuple[By, float] | None:
        """Take tokens for all keys; if one has too few, return which, and the seconds to wait, and take none.

        What is refused takes nothing, so that a flood from one address does not use up the total.
        """
        known = self._known(keys)
        for by, bucket, key in known:
            seconds = bucket.wait_for(key, tokens)
            if seconds > 0:
                return by, seconds
        for _, bucket, key in known:
            bucket.take(key, tokens)
        return None


@dataclass
class _Count:
    """What one request costs at its endpoint, and whether it has paid."""

    endpoint: _Endpoint
    keys: Mapping[By, str | None]
    tokens: int
    is_taken: bool = False

    def take(self) -> tuple[By, float] | None:
        """Take the tokens; see `_Endpoint.take`."""
        over = self.endpoint.take(self.keys, self.tokens)
        self.is_taken = over is None
        return over

    def only_of_a_refusal(self, send: Send) -> Send:
        """Return a `send` that gives the tokens back when the response refuses nothing, or when an outage does."""

        async def forward(message: Message) -> None:
            if message["type"] == "http.response.start" and self.is_taken and not _refuses(message["status"]):
                self.endpoint.give_back(self.keys, self.tokens)
            await send(message)

        return forward


def _refuses(status: int) -> bool:
    if status < 400:
        return False  # whatever was noted on the way
    error = request_error.noted()  # which takes the place of what FastMCP responds to an outage
    # Anybody can name a document that cannot be fetched, so that is no outage of ours.
    is_theirs = isinstance(error, ClientMetadataUnavailable)
    return is_theirs or 400 <= (status if error is None else error.status) < 500


class RateLimits:
    """ASGI middleware that refuses what goes over the limits of the OAuth endpoints of `app`; behind `OAuthBodies`.

    Args:
        app: the application behind the limits.
        address_of: returns the address to count a request by, or None when only totals apply.
        has_grant: returns whether a form has a valid code or token. Raises StorageUnavailable.
        metrics: counts what is refused.
        clock: returns monotonic seconds; for tests.
    """

    def __init__(
        self,
        app: ASGIApp,
        address_of: Callable[[Scope], str | None],
        has_grant: HasGrant,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._address_of = address_of
        self._has_grant = has_grant
        self._metrics = metrics
        self._endpoints = {path: _Endpoint(path, rates, clock) for path, rates in RATES.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request (ASGI)."""
        if scope["type"] != "http" or scope["path"] not in self._endpoints or scope["method"] == "OPTIONS":
            await self._app(scope, receive, send)
            return
        body = b""
        if scope["method"] == "POST":
            body = (await receive())["body"]
            receive = replay(body)
        count = _Count(self._endpoints[scope["path"]], self._keys(scope, body), _tokens(scope, body))
        try:
            error = await self._refusal(scope, dict(_fields(body)), count)
        except StorageUnavailable as outage:
            error = outage  # at once: the application would wait for the store once more
        if error is None:
            await self._app(scope, receive, count.only_of_a_refusal(send) if scope["path"] == TOKEN else send)
            return
        request_error.note(error)
        await error_as_json(error)(scope, receive, send)

    async def _refusal(self, scope: Scope, fields: Mapping[str, str], count: _Count) -> M365Error | None:
        """Count a request and return the error if it goes over a limit and has no valid code or token; else None."""
        # The revocation endpoint answers an invalid token as it answers a valid one (RFC 7009 section 2.2).
        if scope["path"] == REVOKE and await self._has_grant(fields):
            return None
        over = count.take()
        if over is None or (scope["path"] == TOKEN and await self._has_grant(fields)):
            return None
        by, seconds = over
        self._metrics.rate_limited.labels(scope["path"].strip("/"), by).inc()
        kind = SignInReloaded if by == "transaction" else TooManyRequests
        return kind(retry_after=max(seconds, DEFAULT_WAIT_SECONDS))

    def _keys(self, scope: Scope, body: bytes) -> dict[By, str | None]:
        query = dict(_fields(scope["query_string"]))
        sent = {**query, **dict(_fields(body))} if scope["path"] in ("/authorize", *GRANT_PATHS) else query
        client_id = sent.get("client_id") or basic_credentials(Headers(scope=scope).get("authorization", ""))[0]
        shows_page = scope["path"] == "/consent" and scope["method"] != "POST"
        return {
            "address": self._address_of(scope),
            "client": _digest(client_id),
            "transaction": _digest(query.get("txn_id")) if shows_page else None,
            "total": "",
        }


class ApprovalRates:
    """Counts the requests for the pages of mail that waits for approval.

    Args:
        address_of: returns the address to count a request by, or None when only totals apply.
        metrics: counts what is refused.
        clock: returns monotonic seconds; for tests.
    """

    def __init__(
        self,
        address_of: Callable[[Scope], str | None],
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address_of = address_of
        self._metrics = metrics
        self._pages = _Endpoint("/approvals", APPROVALS, clock)

    def count(self, scope: Scope, person: PersonId | None) -> None:
        """Count a request of a person who is known by a proof, or of anybody else. Raises ApprovalTooOften."""
        keys: dict[By, str | None] = {"address": self._address_of(scope), "total": ""}
        over = self._pages.take({"person": person.digest()} if person else keys, 1)
        if over is not None:
            self._metrics.rate_limited.labels("approvals", over[0]).inc()
            raise ApprovalTooOften(retry_after=max(over[1], DEFAULT_WAIT_SECONDS))


def _fields(encoded: bytes) -> list[tuple[str, str]]:
    return parse_qsl(encoded.decode("latin-1"), encoding="latin-1")


def _tokens(scope: Scope, body: bytes) -> int:
    """Return what a request costs: one token, and one more for each 2 KB that may be stored of it."""
    if scope["path"] == "/register":
        return 1 + len(body) // BYTES_PER_TOKEN
    if scope["path"] == "/authorize":
        # What is not ASCII takes more room in the store, and in this encoding too, however it was sent.
        sent = urlencode(_fields(scope["query_string"]) + _fields(body), encoding="latin-1")
        return 1 + len(sent) // BYTES_PER_TOKEN
    return 1


def _digest(text: str | None) -> str | None:
    # A stranger chooses the text, and its length.
    return hashlib.sha256(text.encode(errors="replace")).hexdigest() if text else None
