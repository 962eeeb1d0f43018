"""One request to Microsoft Graph: address, headers, time limits, and what a broken connection means.

A read is repeated within a deadline; of a send, only a connection that was never made.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx2

from m365_mcp.errors import GraphUnavailable, OutcomeUnknown
from m365_mcp.graph.decipher import GraphResponse
from m365_mcp.metrics import Metrics
from m365_mcp.retry_after import parse_retry_after

READ_SECONDS = 8.0
FIRST_PAUSE_SECONDS = 0.5
SEND_SECONDS = 20.0
CONNECT_TRIES = 2


@dataclass(frozen=True)
class GraphRequest:
    """One request to Graph.

    Attributes:
        method: `GET`, `POST`, `PATCH` or `DELETE`.
        path: below `/v1.0`.
        token: the person's Graph token.
        operation: its name in the metrics; a path holds ids.
        headers: further ones.
        body: JSON, or None.
    """

    method: str
    path: str
    token: str = field(repr=False)
    operation: str
    headers: Mapping[str, str] | None = None
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class GraphClient:
    """Speaks to one Graph.

    Attributes:
        base_url: `https://graph.microsoft.com` or the like; `/v1.0` is added.
        http: the shared client.
        metrics: where the time is measured.
        send_seconds: how long a request with an effect may take; then its outcome counts as unknown.
    """

    base_url: str
    http: httpx2.AsyncClient
    metrics: Metrics
    send_seconds: float = SEND_SECONDS
    _sends: set[asyncio.Task[GraphResponse]] = field(default_factory=set, init=False, repr=False)

    async def get(
        self, path: str, token: str, *, operation: str, headers: Mapping[str, str] | None = None
    ) -> GraphResponse:
        """Return the reply to a read, which is repeated within a deadline while Graph has a passing trouble.

        Args:
            path: below `/v1.0`.
            token: the person's Graph token.
            operation: its name in the metrics; a path holds ids.
            headers: further ones.

        Raises:
            GraphUnavailable: there was no answer in time.
        """
        deadline = time.monotonic() + READ_SECONDS
        pause = FIRST_PAUSE_SECONDS
        while True:
            left = deadline - time.monotonic()
            try:
                response = await self._request(GraphRequest("GET", path, token, operation, headers), max(left, 0.1))
            except _Interrupted as error:
                raise GraphUnavailable from error.__cause__
            wait = max(pause, parse_retry_after(response.headers.get("retry-after")) or 0)
            if (response.status != 429 and response.status < 500) or wait >= left:
                return response
            await asyncio.sleep(wait)
            pause *= 2

    async def act(self, call: GraphRequest) -> GraphResponse:
        """Return the reply to a request that has an effect; it is made once.

        Raises:
            GraphUnavailable: no byte was sent.
            OutcomeUnknown: it was sent, and no whole answer came back.
        """
        send = asyncio.create_task(self._request(call, self.send_seconds))
        self._sends.add(send)
        send.add_done_callback(self._sends.discard)
        try:
            # Shielded: a caller who cancels must not cut a request that Graph may already be carrying out.
            return await asyncio.shield(send)
        except _Interrupted as error:
            raise OutcomeUnknown from error.__cause__

    async def finish_sends(self) -> None:
        """Return when no send is under way any more."""
        await asyncio.gather(*self._sends, return_exceptions=True)

    async def _request(self, call: GraphRequest, seconds: float) -> GraphResponse:
        # Correlation only; Graph does not use it to recognise a repeated request.
        headers = {
            "Authorization": f"Bearer {call.token}",
            "client-request-id": str(uuid.uuid4()),
            **(call.headers or {}),
        }
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        url = f"{self.base_url}/v1.0{call.path}"
        with self.metrics.graph_seconds.labels(call.operation).time():
            try:
                async with asyncio.timeout(seconds):
                    response = await self._connect_and_send(call.method, url, headers, call.body)
            except (httpx2.HTTPError, TimeoutError) as error:
                raise _Interrupted from error
        lowered = {name.lower(): value for name, value in response.headers.items()}
        return GraphResponse(response.status_code, lowered, response.content)

    async def _connect_and_send(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None
    ) -> httpx2.Response:
        for tries_left in reversed(range(CONNECT_TRIES)):
            try:
                return await self.http.request(method, url, headers=headers, content=body)
            except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
                if not tries_left:
                    raise GraphUnavailable from error
        raise AssertionError("the loop above returns or raises")


class _Interrupted(Exception):
    """The request began and did not end with an answer."""
