"""One POST to the token endpoint over an in-process transport: which requests are repeated, and for how long."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from m365_mcp.entra.client_credential import ClientSecret
from m365_mcp.entra.token_endpoint import TokenEndpoint
from m365_mcp.errors import ConsentMissing, EntraUnavailable
from m365_mcp.metrics import Metrics

CODE, REFRESH = {"grant_type": "authorization_code"}, {"grant_type": "refresh_token"}
TOKEN = {"access_token": "token", "expires_in": 3600}


class Entra:
    """A token endpoint that returns these responses, one a request; an exception breaks the connection."""

    def __init__(self, *responses: httpx2.Response | Exception) -> None:
        self.responses = list(responses)
        self.asked = 0

    async def __call__(self, _: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        response = self.responses.pop(0)
        if isinstance(response, Exception):
            raise response
        return response

    def endpoint(self) -> TokenEndpoint:
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(self))
        return TokenEndpoint("https://login.example.com", "t", "app", ClientSecret("s"), http, Metrics())


def good() -> httpx2.Response:
    return httpx2.Response(200, json=TOKEN)


@pytest.mark.parametrize("kind", [httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout])
async def test_code_without_a_connection_is_repeated_once(kind: type[httpx2.HTTPError]) -> None:
    """Entra has not seen the code, so it is still valid; a second failure is raised."""
    entra = Entra(kind("away"), good())
    away = Entra(kind("away"), kind("away"))

    assert await entra.endpoint().request(CODE, repeatable=False) == TOKEN
    with pytest.raises(EntraUnavailable):
        await away.endpoint().request(CODE, repeatable=False)
    assert (entra.asked, away.asked) == (2, 2)


@pytest.mark.parametrize(
    "lost",
    [httpx2.Response(503), httpx2.Response(429, headers={"Retry-After": "0"}), httpx2.ReadError("broke off")],
    ids=str,
)
async def test_code_that_entra_may_have_seen_is_never_repeated(lost: httpx2.Response | Exception) -> None:
    """AADSTS54005: a code is redeemed once, so it is not repeated after an unclear response; a refresh token is."""
    code, refresh = Entra(lost, good()), Entra(lost, good())

    with pytest.raises(EntraUnavailable):
        await code.endpoint().request(CODE, repeatable=False)
    assert await refresh.endpoint().request(REFRESH, repeatable=True) == TOKEN
    assert (code.asked, refresh.asked) == (1, 2)


async def test_refusal_is_not_repeated() -> None:
    """Entra would refuse the same request again."""
    entra = Entra(httpx2.Response(400, json={"error": "invalid_grant", "suberror": "consent_required"}), good())

    with pytest.raises(ConsentMissing):
        await entra.endpoint().request(REFRESH, repeatable=True)
    assert entra.asked == 1


async def test_no_retry_after_extends_the_deadline() -> None:
    """Entra asks for ten seconds, the whole deadline: the error comes at once."""
    entra = Entra(httpx2.Response(429, headers={"Retry-After": "10"}), good())

    async with asyncio.timeout(8):
        with pytest.raises(EntraUnavailable):
            await entra.endpoint().request(REFRESH, repeatable=True)
    assert entra.asked == 1
