"""The whole server in this process with its MCP endpoint at work, and calls to it as a client sends them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from tests.inprocess import World, running

HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}


@asynccontextmanager
async def serving(**changes: Any) -> AsyncIterator[World]:
    """Run a server with these settings; here `/mcp` answers, too."""
    async with running(**changes) as world:
        app = world.server
        async with app.router.lifespan_context(app):
            yield world


async def post_mcp(world: World, token: str, body: Any, **headers: str) -> httpx2.Response:
    """Send one message with this token."""
    async with world.http() as http:
        return await http.post("/mcp", json=body, headers={**HEADERS, "Authorization": f"Bearer {token}", **headers})


async def call(world: World, token: str, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool and return its result."""
    params = {"name": tool, "arguments": arguments}
    answer = await post_mcp(world, token, {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["result"]
    return found
