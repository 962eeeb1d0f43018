"""ASGI middleware of the tester's side: it refuses requests of foreign web pages.

A request must be addressed to a known host name (against DNS rebinding), and one that a page made must come from its
own origin.
"""

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class TesterGuard:
    """Refuses requests for other host names, and requests by pages of other origins, with 403."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...]) -> None:
        self._app = app
        self._hosts = {*LOOPBACK, *(host.casefold() for host in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and not self._welcome(Headers(scope=scope)):
            body = {
                "code": "foreign_request",
                "sentence": "The request is addressed to an unknown host name or comes from another web page.",
                "advice": "Use http://127.0.0.1 with the control port, or name the host in Options.hosts.",
            }
            await JSONResponse(body, 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _welcome(self, headers: Headers) -> bool:
        host = headers.get("host", "").casefold()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        origin = headers.get("origin")
        return name in self._hosts and (origin is None or origin.casefold() == f"http://{host}")
