"""Goes by the protocol version in the body of a request to /mcp when the header names an older one.

Some Claude connectors send `MCP-Protocol-Version: 2025-11-25` with the body of a client that negotiated 2026-07-28
(anthropics/claude-code#93290). The MCP SDK 2.3 reads only the header and answers in the form of 2025-11-25. The client
cannot read that answer: it lacks `resultType`, `ttlMs` and `cacheScope`. In stateful mode the SDK answers 400.
This module may go when the SDK chooses by the body (its `StreamableHTTPSessionManager` calls that a follow-up):
tests/test_upstream.py tells.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mcp.server.transport_security import RequestBodyLimitMiddleware
from mcp.shared.inbound import (
    MCP_METHOD_HEADER,
    MCP_NAME_HEADER,
    MCP_PROTOCOL_VERSION_HEADER,
    NAME_BEARING_METHODS,
    encode_header_value,
)
from mcp_types import PROTOCOL_VERSION_META_KEY
from mcp_types.methods import CLIENT_REQUESTS
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Request = Mapping[str, Any]


class ProtocolVersionOfBody:
    """Corrects the version header of authenticated requests to the MCP endpoint.

    Args:
        app: FastMCP's application, behind the middleware that reads the access token.
        mcp_path: path of the endpoint.
        max_body: bytes; a larger request is answered with 413.
    """

    def __init__(self, app: ASGIApp, mcp_path: str, max_body: int) -> None:
        self._app = app
        self._mcp_path = mcp_path
        self._limited = RequestBodyLimitMiddleware(self._correct, max_body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        await (self._limited if self._may_differ(scope) else self._app)(scope, receive, send)

    def _may_differ(self, scope: Scope) -> bool:
        if scope["type"] != "http" or (scope["method"], scope["path"]) != ("POST", self._mcp_path):
            return False
        versions = Headers(scope=scope).getlist(MCP_PROTOCOL_VERSION_HEADER)
        # The body of a request without a good token is not read: it is refused anyway.
        return len(versions) == 1 and versions[0] in HANDSHAKE_PROTOCOL_VERSIONS and scope["user"].is_authenticated

    async def _correct(self, scope: Scope, receive: Receive, send: Send) -> None:
        first = await receive()  # the limit above has joined the parts of the body
        waiting: list[Message] = [first]

        async def replay() -> Message:
            return waiting.pop() if waiting else await receive()

        request = _request_of_later_version(first.get("body", b""))
        if request is not None:
            scope = {**scope, "headers": _corrected(scope, request).raw}
        await self._app(scope, replay, send)


def _request_of_later_version(body: bytes) -> Request | None:
    """Return the request in `body` if it is one of a protocol version without handshake."""
    if PROTOCOL_VERSION_META_KEY.encode() not in body:
        return None
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return None  # the SDK refuses it, in its own words
    match request:
        case {"id": _, "method": str(method), "params": {"_meta": {**meta}}}:
            version = meta.get(PROTOCOL_VERSION_META_KEY)
            is_later = version in MODERN_PROTOCOL_VERSIONS and (method, version) in CLIENT_REQUESTS
            return request if is_later else None
    return None


def _corrected(scope: Scope, request: Request) -> Headers:
    """Return the headers that 2026-07-28 asks for; what the client said of method and name stays, and is compared."""
    method, params = request["method"], request["params"]
    headers = MutableHeaders(raw=list(scope["headers"]))
    headers[MCP_PROTOCOL_VERSION_HEADER] = params["_meta"][PROTOCOL_VERSION_META_KEY]
    headers.setdefault(MCP_METHOD_HEADER, method)
    name = params.get(NAME_BEARING_METHODS.get(method))
    if isinstance(name, str):
        headers.setdefault(MCP_NAME_HEADER, encode_header_value(name))
    return headers
