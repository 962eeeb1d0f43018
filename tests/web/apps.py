"""A whole application in this process, and a person's browser or a program in front of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from m365_mcp import settings
from m365_mcp.app import assemble
from m365_mcp.container import build_container

IDS = {
    "azure_client_id": "66666666-7777-4888-9999-aaaaaaaaaaaa",
    "azure_client_secret": "a~secret.of-an-app",
    "azure_tenant_id": "11111111-2222-4333-8444-555555555555",
}
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Language": "en-GB,en;q=0.9"}
CHINESE = {"Accept-Language": "zh-TW,zh;q=0.9,en;q=0.8"}
CALLBACK = "http://localhost:1234/callback"


@asynccontextmanager
async def opened(headers: dict[str, str] | None = None, **changes: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """Open a browser, or with other `headers` a program, at a server with these settings."""
    chosen = settings.load(**{**IDS, "redis_url": "memory://", **changes}, _env_file=None)
    container = build_container(chosen)
    transport = httpx2.ASGITransport(app=assemble(container), raise_app_exceptions=False)
    given = {**BROWSER, **(headers or {})}
    async with httpx2.AsyncClient(transport=transport, base_url=chosen.mcp_server_base_url, headers=given) as http:
        yield http
    await container.close()


async def register(http: httpx2.AsyncClient, **changes: Any) -> str:
    """Register a client and return its id."""
    body = {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none", "client_name": "Claude", **changes}
    response = await http.post("/register", json=body)
    assert response.status_code == 201, response.text
    client_id: str = response.json()["client_id"]
    return client_id


async def authorize(http: httpx2.AsyncClient, client_id: str, **changes: str) -> httpx2.Response:
    """Begin a sign-in and return the answer of /authorize."""
    query = {"response_type": "code", "client_id": client_id, "redirect_uri": CALLBACK, "state": "s"}
    query |= {"code_challenge": "c" * 43, "code_challenge_method": "S256", **changes}
    return await http.get("/authorize", params=query)


async def consent(http: httpx2.AsyncClient, query: str = "", **changes: Any) -> httpx2.Response:
    """Register a client, begin a sign-in and return the consent page."""
    redirect_uri = changes.get("redirect_uris", [CALLBACK])[0]
    begun = await authorize(http, await register(http, **changes), redirect_uri=redirect_uri)
    return await http.get(begun.headers["Location"] + query)
