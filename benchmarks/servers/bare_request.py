"""FastMCP with one tool that asks Graph, through one client for all calls: what our server cannot do without."""

from __future__ import annotations

from typing import Any

import httpx2
from fastmcp import FastMCP

from benchmarks.contender import Place
from benchmarks.servers import place


def build(here: Place) -> FastMCP[None]:
    """Return the server."""
    server: FastMCP[None] = FastMCP("Bare, with one request")
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {here.graph_token}"})
    url = f"{here.graph}/v1.0/me"

    @server.tool
    async def get_my_profile() -> dict[str, Any]:
        """Return name and address of the person whose token this is."""
        reply = await http.get(url)
        found = reply.raise_for_status().json()
        return {name: found.get(name) for name in ("displayName", "mail", "userPrincipalName")}

    return server


if __name__ == "__main__":
    build(place()).run(
        transport="http", host="127.0.0.1", port=place().port, show_banner=False, json_response=True, stateless=True
    )
