"""Headers that protect browsers: HSTS in every response over https, and those of pages in every HTML response."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# MCP security best practices: no framing, no copies, and no address with a code in it for the next site.
# `same-origin` and not `no-referrer`: the latter turns the Origin of our own consent form into "null".
PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class SecurityHeaders:
    """ASGI middleware that adds the headers that a response lacks.

    Args:
        app: the application.
        hsts_seconds: for Strict-Transport-Security (RFC 6797); 0: no such header. It never includes subdomains, because
            this server knows only its own host.
    """

    def __init__(self, app: ASGIApp, hsts_seconds: int) -> None:
        self._app = app
        self._hsts_seconds = hsts_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""

        async def protect(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add(MutableHeaders(raw=message["headers"]))
            await send(message)

        await self._app(scope, receive, protect if scope["type"] == "http" else send)

    def _add(self, headers: MutableHeaders) -> None:
        if self._hsts_seconds:
            headers["Strict-Transport-Security"] = f"max-age={self._hsts_seconds}"
        if headers.get("content-type", "").startswith("text/html"):
            for name, value in PAGE_HEADERS.items():
                headers.setdefault(name, value)
