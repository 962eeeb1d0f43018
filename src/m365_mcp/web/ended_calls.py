"""Challenges a client whose call found its session ended, or no store to ask; see `tools.session_check`.

By then the request is with the tool, whose error the client would read in a response of status 200. So that response
is left out, and the request goes once more to FastMCP's check of the token, which now finds nobody signed in. Its 401,
with the reason that `web.error_override` adds, has the client sign in again; for an outage, `web.error_override` makes
it a 503.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class EndedCalls:
    """Sends a challenge in the place of the response to a request whose user has been signed out meanwhile.

    Args:
        app: FastMCP's application, behind every middleware that copies the scope.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http" or not scope["user"].is_authenticated:
            await self._app(scope, receive, send)
            return

        async def send_of_the_signed_in(message: Message) -> None:
            if scope["user"].is_authenticated:
                await send(message)

        await self._app(scope, receive, send_of_the_signed_in)
        if not scope["user"].is_authenticated:
            await self._app(scope, receive, send)
