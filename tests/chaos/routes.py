"""Asks every route that needs the store, and some that do not, all at once, as programs and browsers do."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2

from tests.chaos.light_client import CALLBACK, HEADERS, LightClient

BROWSER = {"Accept": "text/html"}
FREE = {"mcp, bad token": 401, "readyz": 200, "livez": 200, "metadata": 200}
"""Routes that answer without the store, and what."""


async def ask_everywhere(client: LightClient) -> dict[str, httpx2.Response]:
    """Return each route's answer; the client is signed in, and what it asks for is in order."""
    authorize = f"/authorize?client_id={client.client_id}&redirect_uri={CALLBACK}&response_type=code&code_challenge=x"
    listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    good, bad = {"Authorization": f"Bearer {client.access_token}"}, {"Authorization": "Bearer garbage"}
    asked: dict[str, tuple[str, str, dict[str, Any]]] = {
        "mcp": ("POST", "/mcp", {"json": listing, "headers": HEADERS | good}),
        "mcp, bad token": ("POST", "/mcp", {"json": listing, "headers": HEADERS | bad}),
        "register": ("POST", "/register", {"json": {"redirect_uris": [CALLBACK]}}),
        "authorize": ("GET", authorize, {}),
        "authorize, browser": ("GET", authorize, {"headers": BROWSER}),
        "consent": ("GET", "/consent?txn_id=x", {"headers": BROWSER}),
        "callback": ("GET", "/auth/callback?code=x&state=x", {"headers": BROWSER}),
        "token, code": ("POST", "/token", {"data": client.code_form("x", "y")}),
        "token, refresh": ("POST", "/token", {"data": client.refresh_form}),
        "readyz": ("GET", "/readyz", {}),
        "livez": ("GET", "/livez", {}),
        "metadata": ("GET", "/.well-known/oauth-protected-resource/mcp", {}),
    }
    requests = [client.http.request(method, client.public_url + path, **what) for method, path, what in asked.values()]
    return dict(zip(asked, await asyncio.gather(*requests), strict=True))


def expected(status: int) -> dict[str, int]:
    """Return every route's status when all that need the store answer with this one."""
    needing = ("mcp", "register", "authorize", "authorize, browser", "consent", "callback", "token, code")
    return {**dict.fromkeys((*needing, "token, refresh"), status), **FREE}
