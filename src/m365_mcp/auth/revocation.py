"""The revocation endpoint (RFC 7009): a client ends its session, on all replicas at once.

The endpoint of the MCP SDK 2.3 requires a `client_secret` field, which public clients do not have.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mcp.server.auth.middleware.client_auth import AuthenticationError, ClientAuthenticator
from mcp.server.auth.provider import TokenError
from mcp.server.auth.routes import cors_middleware
from mcp.shared.auth import OAuthClientInformationFull
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from m365_mcp.auth.mcp_tokens import McpTokens
from m365_mcp.auth.sessions import Sessions
from m365_mcp.errors.request_error import recorded

PATH = "/revoke"
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


@dataclass(frozen=True)
class Revocation:
    """Ends the session that a token belongs to.

    Attributes:
        authenticator: authenticates the client.
        tokens: reads the token.
        sessions: ends the session.
        use_assertion: counts the assertion of a client that sends a valid token; raises TokenError.
    """

    authenticator: ClientAuthenticator
    tokens: McpTokens
    sessions: Sessions
    use_assertion: Callable[[OAuthClientInformationFull], Awaitable[None]]

    def route(self) -> Route:
        """Return the route; it allows CORS for every origin, as the token endpoint does."""
        return Route(PATH, cors_middleware(self._respond, ["POST", "OPTIONS"]), methods=["POST", "OPTIONS"])

    @recorded
    async def _respond(self, request: Request) -> Response:
        try:
            client = await self.authenticator.authenticate_request(request)
        except AuthenticationError as error:
            return _error(401, "invalid_client", error.message)
        token = (await request.form()).get("token")
        if not isinstance(token, str) or not token:
            return _error(400, "invalid_request", "Send the token in the field 'token' (RFC 7009 section 2.1).")
        reference = self.tokens.read(token, None)
        # RFC 7009 section 2.2: an invalid token, or a token of another client, is not an error. The other tokens of the
        # session become invalid too (section 2.1).
        if reference is not None and reference.client_id == client.client_id:
            return await self._end(client, reference.session_id)
        return Response(status_code=200, headers=_NO_STORE)

    async def _end(self, client: OAuthClientInformationFull, session_id: str) -> Response:
        if await self.sessions.find(session_id) is not None:
            try:
                await self.use_assertion(client)
            except TokenError as error:
                return _error(401, error.error, error.error_description or "")
        await self.sessions.end(session_id, "by_client")
        return Response(status_code=200, headers=_NO_STORE)


def _error(status: int, error: str, description: str) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status, _NO_STORE)
