"""Keeps requests whose body was cut off from an application.

A client that hangs up in the middle of a body leaves nobody to answer. Starlette raises ClientDisconnect then, which
the handlers of FastMCP 4.2 and the MCP SDK log as a fault of the server.
"""

from __future__ import annotations

from mcp.server.transport_security import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class WholeBody:
    """Calls `app` only with a request whose body has arrived whole.

    It stands behind RequestBodyLimitMiddleware, which has read the body and hands it on as one message.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await receive()
        if body["type"] == "http.request" and not body.get("more_body"):
            await self._app(scope, _first(body, receive), send)


def limited(app: ASGIApp, max_bytes: int) -> RequestBodyLimitMiddleware:
    """Return `app` behind a limit on bodies, called only with whole ones."""
    return RequestBodyLimitMiddleware(WholeBody(app), max_bytes)


def _first(message: Message, rest: Receive) -> Receive:
    waiting = [message]

    async def receive() -> Message:
        return waiting.pop() if waiting else await rest()

    return receive
