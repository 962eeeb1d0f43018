"""Makes one request to Microsoft Graph: address, headers, time limits, and the meaning of a broken connection.

The client repeats a read until a deadline. It repeats a request with an effect only if no connection was made.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx2

from m365_mcp.errors import GraphUnavailable, OutcomeUnknown
from m365_mcp.graph.decipher import GraphResponse
from m365_mcp.graph.observed import observing
from m365_mcp.metrics import Metrics
from m365_mcp.retries import NEVER_CONNECTED, RetryPolicy, parse_retry_after, retry

SEND_SECONDS = 20.0
READS = RetryPolicy(seconds=8.0, first_pause=0.5)
CONNECTIONS = RetryPolicy(seconds=SEND_SECONDS, first_pause=0.1, tries=2)


@dataclass(frozen=True)
class GraphRequest:
    """One request to Graph.

    Attributes:
        method: `GET`, `POST`, `PATCH` or `DELETE`.
        path: the path below `/v1.0`.
        token: the person's Graph token.
        operation: the name in the metrics, because a path holds ids.
        headers: additional headers.
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
    """The HTTP client of one Graph endpoint.

    Attributes:
        base_url: the endpoint without `/v1.0`, for example `https://graph.microsoft.com`.
        http: the shared HTTP client.
        metrics: the metrics that record the duration.
        send_seconds: the timeout of a request with an effect; after it the outcome is unknown.
    """

    base_url: str
    http: httpx2.AsyncClient
    metrics: Metrics
    send_seconds: float = SEND_SECONDS

    async def get(
        self, path: str, token: str, *, operation: str, headers: Mapping[str, str] | None = None
    ) -> GraphResponse:
        """Return the response to a GET request; see `read`.

        Args:
            path: the path below `/v1.0`.
            token: the person's Graph token.
            operation: the name in the metrics, because a path holds ids.
            headers: additional headers.
        """
        return await self.read(GraphRequest("GET", path, token, operation, headers))

    async def read(self, request: GraphRequest) -> GraphResponse:
        """Return the response to a read. The client repeats it until the deadline while Graph has a passing fault.

        Raises:
            GraphUnavailable: Graph did not respond in time.
        """

        async def read_once(left: float) -> GraphResponse:
            response = await self._request(request, max(left, 0.1))
            if response.status == 429 or response.status >= 500:
                raise PassingFault(response)
            return response

        try:
            return await retry(READS, read_once, when_passing)
        except PassingFault as fault:
            return fault.response
        except _Interrupted as error:
            raise GraphUnavailable from error.__cause__

    async def act(self, call: GraphRequest) -> GraphResponse:
        """Make a request that has an effect, once, and return the response.

        A cancelled call breaks off the request, but Graph may still carry it out. So a send runs in its own task, which
        is never cancelled: see `sending.delivery.Delivery.send`.

        Raises:
            GraphUnavailable: no byte was sent.
            OutcomeUnknown: the request was sent, and no complete response came back.
        """
        try:
            return await self._request(call, self.send_seconds)
        except _Interrupted as error:
            raise OutcomeUnknown from error.__cause__

    async def _request(self, call: GraphRequest, seconds: float) -> GraphResponse:
        # `client-request-id` is for correlation only; Graph does not use it to recognise repeats.
        headers = {
            "Authorization": f"Bearer {call.token}",
            "client-request-id": str(uuid.uuid4()),
            **(call.headers or {}),
        }
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        url = f"{self.base_url}/v1.0{call.path}"
        with observing(self.metrics, call.operation) as seen:
            try:
                async with asyncio.timeout(seconds):
                    response = await self._connect_and_send(call.method, url, headers, call.body)
            except (httpx2.HTTPError, TimeoutError) as error:
                raise _Interrupted from error
            seen.status = response.status_code
        received = {name.lower(): value for name, value in response.headers.items()}
        return GraphResponse(response.status_code, received, response.content)

    async def _connect_and_send(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None
    ) -> httpx2.Response:
        try:
            return await retry(
                CONNECTIONS,
                lambda _: self.http.request(method, url, headers=headers, content=body),
                lambda error: isinstance(error, NEVER_CONNECTED),
            )
        except NEVER_CONNECTED as error:
            raise GraphUnavailable from error


class PassingFault(Exception):
    """Graph responded with a fault that may pass; `response` is that response."""

    def __init__(self, response: GraphResponse) -> None:
        super().__init__()
        self.response = response


def when_passing(error: Exception) -> bool | float:
    """Return whether `error` is a passing fault of Graph, or the seconds that Graph asks to wait; for `retry`."""
    return isinstance(error, PassingFault) and (parse_retry_after(error.response.headers.get("retry-after")) or 0.0)


class _Interrupted(Exception):
    """The request began, and no complete response came back."""
