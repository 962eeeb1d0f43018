"""Lets pages of allowed origins call /mcp from a browser (CORS). `HostOriginGuard` checks the same origins.

FastMCP 4.2 allows CORS on its OAuth routes for every origin, and does not offer it on /mcp.
"""

from __future__ import annotations

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from m365_mcp import loopback
from m365_mcp.settings import Settings

# MCP 2026-07-28, "Streamable HTTP": the headers that a client sends, and those that it must be able to read.
REQUEST_HEADERS = ["Authorization", "Content-Type", "MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Session-Id"]
RESPONSE_HEADERS = ["WWW-Authenticate", "Mcp-Session-Id", "Retry-After"]


class McpCors:
    """Answers preflight requests to the MCP endpoint and marks its responses as readable.

    Args:
        app: the application.
        settings: which origins are allowed.
        mcp_path: path of the endpoint.
    """

    def __init__(self, app: ASGIApp, settings: Settings, mcp_path: str) -> None:
        self._app = app
        self._mcp_path = mcp_path
        self._with_cors = CORSMiddleware(
            app,
            allow_origins=list(settings.mcp_allowed_origins),
            allow_origin_regex=loopback.ORIGIN_PATTERN if loopback.is_loopback(settings.public_host) else None,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=REQUEST_HEADERS,
            expose_headers=RESPONSE_HEADERS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        is_mcp = scope["type"] == "http" and scope["path"] == self._mcp_path
        await (self._with_cors if is_mcp else self._app)(scope, receive, send)
