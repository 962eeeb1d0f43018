"""One POST to Entra's token endpoint, for all three grants: authenticated, bounded in time and in tries.

A code is redeemed once (AADSTS54005), so only a connection that was never made is tried again; a refresh and an
exchange may be repeated. No wait is longer than what is left of the deadline, whatever `Retry-After` says.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from m365_mcp.entra.client_credential import ClientCredential
from m365_mcp.entra.decipher import decipher
from m365_mcp.errors import EntraUnavailable, M365Error
from m365_mcp.metrics import Metrics
from m365_mcp.retries import NEVER_CONNECTED, RetryPolicy, parse_retry_after, retry, when_unavailable

RETRIES = RetryPolicy(seconds=10.0, first_pause=0.3, tries=2)


@dataclass(frozen=True)
class TokenEndpoint:
    """Entra's token endpoint, as seen by one application.

    Attributes:
        authority: `https://login.microsoftonline.com` or the like.
        tenant: whose endpoint is used when a request names no other: the id of a tenant, or `organizations`.
        client_id: the application.
        credential: proves that the requests come from it.
        http: the shared client.
        metrics: where requests are counted.
    """

    authority: str
    tenant: str
    client_id: str
    credential: ClientCredential
    http: httpx2.AsyncClient
    metrics: Metrics

    async def request(self, form: Mapping[str, str], *, repeatable: bool, tenant: str | None = None) -> dict[str, Any]:
        """Return the token reply for `form`.

        Args:
            form: the grant's own fields; the client's credentials are added here.
            repeatable: whether the grant may be sent again after an answer that may pass (429, 5xx, silence).
            tenant: the person's own tenant, where it is known (On-Behalf-Of works nowhere else, AADSTS9001023).

        Raises:
            M365Error: what `decipher` makes of the reply; EntraUnavailable when there is none in time.
        """
        url = f"{self.authority}/{tenant or self.tenant}/oauth2/v2.0/token"

        def may_pass(error: Exception) -> bool | float:
            return (repeatable or isinstance(error, _NeverConnected)) and when_unavailable(error)

        return await retry(RETRIES, lambda left: self._once(url, form, left), may_pass)

    async def _once(self, url: str, form: Mapping[str, str], seconds: float) -> dict[str, Any]:
        grant = form["grant_type"].rpartition(":")[2]
        try:
            reply = await self._post(url, form, seconds)
            token = _read(reply)
        except M365Error as error:
            self.metrics.token_requests.labels(grant, error.code).inc()
            raise
        self.metrics.token_requests.labels(grant, "ok").inc()
        return token

    async def _post(self, url: str, form: Mapping[str, str], seconds: float) -> httpx2.Response:
        data = {**form, "client_id": self.client_id, **self.credential.fields(url)}
        try:
            async with asyncio.timeout(max(0.1, seconds)):
                return await self.http.post(url, data=data, headers={"Accept": "application/json"})
        except NEVER_CONNECTED as error:
            raise _NeverConnected from error
        except (httpx2.HTTPError, TimeoutError) as error:
            raise EntraUnavailable from error


class _NeverConnected(EntraUnavailable):
    """No byte of the request was sent."""


def _read(reply: httpx2.Response) -> dict[str, Any]:
    retry_after = parse_retry_after(reply.headers.get("Retry-After"))
    try:
        body = reply.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        body = None
    if reply.status_code == 200 and isinstance(body, dict) and isinstance(body.get("access_token"), str):
        return {**body, "expires_in": _lifetime(body.get("expires_in"))}
    raise decipher(reply.status_code if reply.status_code != 200 else 502, body, retry_after=retry_after)


def _lifetime(value: Any) -> int:
    """Return `expires_in` in seconds; an hour, as Entra's shortest default, when it cannot be read."""
    try:
        return max(int(value), 1)
    except (TypeError, ValueError, OverflowError):
        return 3600
