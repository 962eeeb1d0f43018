"""Takes requests to the MCP endpoint past the routes and the checks of the other endpoints."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class McpEndpoint:
    """ASGI middleware that hands requests to one path to another application.

    Args:
        app: the application for all other paths.
        mcp_path: path of the MCP endpoint.
        endpoint: FastMCP's application.
    """

    def __init__(self, app: ASGIApp, mcp_path: str, endpoint: ASGIApp) -> None:
        self._app = app
        self._mcp_path = mcp_path
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        is_mcp = scope["type"] == "http" and scope["path"] == self._mcp_path
        await (self._endpoint if is_mcp else self._app)(scope, receive, send)
