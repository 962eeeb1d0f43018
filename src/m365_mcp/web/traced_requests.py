"""Lets the spans of a request continue the trace that its `traceparent` names; there only while spans are exported."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from m365_mcp import tracing

# Paths that get a span; others may hold what a person or a client wrote.
_NAMED = frozenset({"/register", "/authorize", "/consent", "/auth/callback", "/token", "/revoke"})


class TracedRequests:
    """Continues traces.

    Args:
        app: the application.
        mcp_path: path of the MCP endpoint, whose spans FastMCP makes; `traceparent` in `_meta` goes before the header.
    """

    def __init__(self, app: ASGIApp, mcp_path: str) -> None:
        self._app = app
        self._mcp_path = mcp_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        path = scope.get("path")
        if scope["type"] != "http" or (path != self._mcp_path and path not in _NAMED):
            await self._app(scope, receive, send)
            return
        with tracing.continuing(Headers(scope=scope), None if path == self._mcp_path else f"{scope['method']} {path}"):
            await self._app(scope, receive, send)
