"""What a request to the OAuth endpoints must look like: small, and for this server's resource.

FastMCP 4.2 drops the MCP SDK's body limit from its OAuth routes but /revoke (a 40 MB registration was stored) and does
not look at `resource` at the token endpoint (RFC 8707 section 2.2).
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs

from mcp.server.transport_security import RequestBodyLimitMiddleware
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from m365_mcp.web.responses import json_reply

MAX_OAUTH_BODY = 64 * 1024  # bytes; the largest honest request is a registration of about 2 KB
OAUTH_PATHS = ("/register", "/authorize", "/token", "/consent", "/revoke")


class OAuthRequests:
    """Checks what is posted to the OAuth endpoints of `app`.

    Args:
        app: what is guarded.
        is_our_resource: tells whether a resource indicator names this server.
    """

    def __init__(self, app: ASGIApp, is_our_resource: Callable[[str], bool]) -> None:
        self._app = app
        self._is_our_resource = is_our_resource
        self._limited = RequestBodyLimitMiddleware(self._check_resource, MAX_OAUTH_BODY)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] == "http" and scope["path"] == "/authorize" and _asks_twice(scope):
            await json_reply(400, "invalid_target", _ONE_RESOURCE)(scope, receive, send)
            return
        posted = scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in OAUTH_PATHS
        await (self._limited if posted else self._app)(scope, receive, send)

    async def _check_resource(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/token":
            await self._app(scope, receive, send)
            return
        if not Headers(scope=scope).get("content-type", "").startswith("application/x-www-form-urlencoded"):
            await json_reply(400, "invalid_request", _FORM_WANTED)(scope, receive, send)
            return
        body = await _read(receive)
        resources = parse_qs(body.decode("latin-1")).get("resource", [])
        if all(self._is_our_resource(resource) for resource in resources):
            await self._app(scope, _replay(body), send)
            return
        await json_reply(400, "invalid_target", "The resource is not this server's.")(scope, receive, send)


def _asks_twice(scope: Scope) -> bool:
    # RFC 8707 allows several; a token here is for one, and of several only one would be looked at.
    return len(parse_qs(scope["query_string"].decode("latin-1")).get("resource", [])) > 1


_ONE_RESOURCE = "Ask for one resource, this server's."
_FORM_WANTED = "Send the request as application/x-www-form-urlencoded (RFC 6749 section 4.1.3)."


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _replay(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
