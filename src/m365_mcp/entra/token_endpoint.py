"""Posts to Entra's token endpoint for all three grants, with authentication, a deadline and a limit on tries.

Entra redeems a code once (AADSTS54005), so the endpoint repeats it only if no connection was made. A refresh and an
exchange may be repeated. No wait is longer than the rest of the deadline, whatever `Retry-After` says.
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
from m365_mcp.errors import ConsentMissing, EntraUnavailable, M365Error
from m365_mcp.metrics import EntraOperation, Metrics
from m365_mcp.retries import NEVER_CONNECTED, RetryPolicy, parse_retry_after, retry, when_unavailable

RETRIES = RetryPolicy(seconds=10.0, first_pause=0.3, tries=2)
_OPERATIONS: Mapping[str, EntraOperation] = {
    "authorization_code": "authorization_code",
    "refresh_token": "refresh_token",
    "jwt-bearer": "on_behalf_of",
    "client_credentials": "client_credentials",
}


@dataclass(frozen=True)
class TokenEndpoint:
    """Entra's token endpoint for one application.

    Attributes:
        authority: Entra's address, for example `https://login.microsoftonline.com`.
        tenant: the default tenant of a request: a tenant id, or `organizations`.
        client_id: the application.
        credential: authenticates the application.
        http: the shared HTTP client.
        metrics: counts the requests.
    """

    authority: str
    tenant: str
    client_id: str
    credential: ClientCredential
    http: httpx2.AsyncClient
    metrics: Metrics

    async def request(self, form: Mapping[str, str], *, repeatable: bool, tenant: str | None = None) -> dict[str, Any]:
        """Return the token response for `form`, with `expires_in` as an integer.

        Args:
            form: the fields of the grant; this method adds the client id and the client credential.
            repeatable: whether the request may be repeated after a passing fault (429, 5xx, timeout).
            tenant: the person's own tenant, if known; On-Behalf-Of requires it (AADSTS9001023).

        Raises:
            M365Error: the error that `decipher` returns for the response.
            EntraUnavailable: there was no response in time.
        """
        url = f"{self.authority}/{tenant or self.tenant}/oauth2/v2.0/token"

        def may_pass(error: Exception) -> bool | float:
            return (repeatable or isinstance(error, _NeverConnected)) and when_unavailable(error)

        try:
            return await retry(RETRIES, lambda left: self._once(url, form, left), may_pass)
        except ConsentMissing as error:
            error.name_page(self.consent_url(tenant))
            raise

    def consent_url(self, tenant: str | None = None) -> str:
        """Return the page where an administrator consents to what the application asks for.

        Args:
            tenant: the person's own tenant, if known.
        """
        return f"{self.authority}/{tenant or self.tenant}/adminconsent?client_id={self.client_id}"

    async def _once(self, url: str, form: Mapping[str, str], seconds: float) -> dict[str, Any]:
        grant = form["grant_type"].rpartition(":")[2]
        try:
            with self.metrics.entra_request(_OPERATIONS[grant]):
                response = await self._post(url, form, seconds)
                token = _read_token(response)
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


def _read_token(response: httpx2.Response) -> dict[str, Any]:
    retry_after = parse_retry_after(response.headers.get("Retry-After"))
    try:
        body = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        body = None
    if response.status_code == 200 and isinstance(body, dict) and isinstance(body.get("access_token"), str):
        return {**body, "expires_in": _lifetime(body.get("expires_in"))}
    raise decipher(response.status_code if response.status_code != 200 else 502, body, retry_after=retry_after)


def _lifetime(value: Any) -> int:
    """Return `expires_in` in seconds. If it is not a number, return an hour, Entra's shortest default."""
    try:
        return max(int(value), 1)
    except (TypeError, ValueError, OverflowError):
        return 3600
