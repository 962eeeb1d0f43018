"""Drops requests with an incomplete body before they reach an application.

A client that disconnects in the middle of a body gets no response. Starlette raises ClientDisconnect, and the handlers
of FastMCP 4.2 and the MCP SDK log that as a fault of the server.
"""

from __future__ import annotations

from mcp.server.transport_security import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class WholeBody:
    """ASGI middleware that calls `app` only with complete bodies.

    It runs behind RequestBodyLimitMiddleware, which reads the body and passes it on as one message.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await receive()
        if body["type"] == "http.request" and not body.get("more_body"):
            await self._app(scope, _first(body, receive), send)


def limited(app: ASGIApp, max_bytes: int) -> RequestBodyLimitMiddleware:
    """Return `app` behind a limit of `max_bytes` on bodies; it gets only complete bodies."""
    return RequestBodyLimitMiddleware(WholeBody(app), max_bytes)


def _first(message: Message, rest: Receive) -> Receive:
    pending = [message]

    async def receive() -> Message:
        return pending.pop() if pending else await rest()

    return receive
