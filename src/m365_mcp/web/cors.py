"""Lets pages of known origins call /mcp from a browser (CORS). What is known is decided by `web.guard`'s settings.

FastMCP 4.2 answers CORS on its OAuth routes, for everybody, and not on /mcp.
"""

from __future__ import annotations

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from m365_mcp import loopback
from m365_mcp.settings import Settings

# MCP 2026-07-28, "Streamable HTTP": what a client sends, and what it has to be able to read.
SENT = ["Authorization", "Content-Type", "MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Session-Id"]
READ = ["WWW-Authenticate", "Mcp-Session-Id", "Retry-After"]


class McpCors:
    """Answers preflight requests to the MCP endpoint and marks its answers as readable.

    Args:
        app: the application.
        settings: which origins are known.
        mcp_path: path of the endpoint.
    """

    def __init__(self, app: ASGIApp, settings: Settings, mcp_path: str) -> None:
        self._app = app
        self._mcp_path = mcp_path
        self._shared = CORSMiddleware(
            app,
            allow_origins=list(settings.mcp_allowed_origins),
            allow_origin_regex=loopback.ORIGIN_PATTERN if loopback.is_loopback(settings.public_host) else None,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=SENT,
            expose_headers=READ,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        shared = scope["type"] == "http" and scope["path"] == self._mcp_path
        await (self._shared if shared else self._app)(scope, receive, send)
