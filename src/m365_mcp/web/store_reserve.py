"""Refuses requests that write to the store without a sign-in while only its reserve is left; see `storage.reserve`."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from m365_mcp.errors import M365Error, StorageUnavailable, StoreNearlyFull, request_error
from m365_mcp.storage.reserve import Reserve
from m365_mcp.web.responses import error_as_json

# At /token and /revoke, documents of clients (CIMD) and used assertions are stored only with a valid code or token. At
# /auth/callback, only what belongs to a sign-in that was begun before.
ANONYMOUS_PATHS = ("/register", "/authorize", "/consent")
RETRY_SECONDS = 60.0


class StoreReserve:
    """ASGI middleware that keeps the reserve of the store for people who are signed in.

    Args:
        app: the application that writes.
        reserve: tells whether only the reserve is left.
    """

    def __init__(self, app: ASGIApp, reserve: Reserve) -> None:
        self._app = app
        self._reserve = reserve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request (ASGI)."""
        is_anonymous = scope["type"] == "http" and scope["path"] in ANONYMOUS_PATHS and scope["method"] != "OPTIONS"
        error = await self._refusal() if is_anonymous else None
        if error is None:
            await self._app(scope, receive, send)
            return
        request_error.note(error)
        await error_as_json(error)(scope, receive, send)

    async def _refusal(self) -> M365Error | None:
        try:
            is_reached = await self._reserve.is_reached()
        except StorageUnavailable as error:
            return error
        return StoreNearlyFull(retry_after=RETRY_SECONDS) if is_reached else None
