"""The revocation endpoint (RFC 7009): a client signs its person out, on all replicas at once.

The MCP SDK 2.3's own endpoint insists on a `client_secret` field, which public clients never have.
"""

from __future__ import annotations

from dataclasses import dataclass

from mcp.server.auth.middleware.client_auth import AuthenticationError, ClientAuthenticator
from mcp.server.auth.routes import cors_middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from m365_mcp.auth.mcp_tokens import McpTokens
from m365_mcp.auth.sessions import Sessions
from m365_mcp.errors.request_error import recorded

PATH = "/revoke"
_NOT_KEPT = {"Cache-Control": "no-store", "Pragma": "no-cache"}


@dataclass(frozen=True)
class Revocation:
    """Ends the session a token belongs to.

    Attributes:
        authenticator: says which client asks.
        tokens: reads the token.
        sessions: where it ends.
    """

    authenticator: ClientAuthenticator
    tokens: McpTokens
    sessions: Sessions

    def route(self) -> Route:
        """Return the route, open to pages of other origins as the token endpoint is."""
        return Route(PATH, cors_middleware(self._answer, ["POST", "OPTIONS"]), methods=["POST", "OPTIONS"])

    @recorded
    async def _answer(self, request: Request) -> Response:
        try:
            client = await self.authenticator.authenticate_request(request)
        except AuthenticationError as error:
            return _refuse(401, "invalid_client", error.message)
        token = (await request.form()).get("token")
        if not isinstance(token, str) or not token:
            return _refuse(400, "invalid_request", "Send the token in the field 'token' (RFC 7009 section 2.1).")
        reference = self.tokens.read(token, None)
        # RFC 7009 section 2.2: a token that is none, or somebody else's, is no error. The other tokens of the session
        # die with it (section 2.1).
        if reference is not None and reference.client_id == client.client_id:
            await self.sessions.end(reference.session_id, "by_client")
        return Response(status_code=200, headers=_NOT_KEPT)


def _refuse(status: int, error: str, description: str) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status, _NOT_KEPT)
