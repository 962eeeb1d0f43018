"""Has every tool that can write read the session from the store before it acts.

A request is authenticated by a session that may have been read a moment ago (`auth.verified_sessions`). That is enough
for tools whose hint says that they only read. All others, also those that nobody knows, go through here.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

from fastmcp.exceptions import ToolError
from fastmcp.server.auth import AccessToken
from fastmcp.server.dependencies import get_access_token, get_http_request
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import ToolResult
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp_types import CallToolRequestParams
from starlette.authentication import UnauthenticatedUser

from m365_mcp import logs
from m365_mcp.auth.mcp_tokens import RememberedAccess
from m365_mcp.errors import InternalError, M365Error, SignInNeeded
from m365_mcp.tools import Tool, name_of, writes

_log = logs.get(__name__)


class SessionCheck(Middleware):
    """Reads the session of a call that may write.

    Args:
        read_anew: returns what the store says of the caller's access token; None if the session has ended.
        tools: the tools of the server.
    """

    def __init__(
        self, read_anew: Callable[[AccessToken], Awaitable[AccessToken | None]], tools: Sequence[Tool]
    ) -> None:
        self._read_anew = read_anew
        self._readers = frozenset(name_of(tool) for tool in tools if not writes(tool))

    async def on_call_tool(
        self, context: MiddlewareContext[CallToolRequestParams], call_next: CallNext[CallToolRequestParams, ToolResult]
    ) -> ToolResult:
        """Run the tool, as the person that the store has; run none that can write for a session that has ended."""
        access = get_access_token()
        if context.message.name not in self._readers and isinstance(access, RememberedAccess):
            try:
                await self._authenticate(access)
            except M365Error as error:
                raise ToolError(error.explain(), log_level=logging.DEBUG) from error
            except Exception as fault:  # FastMCP 4.2 would pass its text on to the client
                _log.exception("session_check_failed")
                raise ToolError(InternalError().explain(), log_level=logging.DEBUG) from fault
        return await call_next(context)

    async def _authenticate(self, access: AccessToken) -> None:
        """Authenticate the request anew. FastMCP 4.2's `get_access_token` asks the request's scope first.

        Where that fails, the client gets a 401 or 503 in the place of the error; see `web.ended_calls`.
        """
        scope = get_http_request().scope
        try:
            found = await self._read_anew(access)
        except M365Error:
            scope["user"] = UnauthenticatedUser()
            raise
        scope["user"] = UnauthenticatedUser() if found is None else AuthenticatedUser(found)
        if found is None:
            raise SignInNeeded
