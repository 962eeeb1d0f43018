"""Session ids that say what a client declared when it initialized.

A client of MCP 2025-11-25 declares its capabilities once, in `initialize`. A stateless server has forgotten them at the
next request, which may reach another replica. Only one of them matters here: whether the client opens URLs for the
person (elicitation in URL mode). A client that does gets a session id, which it sends with every later request
(MCP 2025-11-25, "Session Management"), and the id says so. It says nothing else, no server stores it, and it is no
secret: a client that makes one up only chooses the form of its own answers. All other clients get no session id.

In stateless mode the MCP SDK 2.3 ignores session ids and answers GET and DELETE with 405; tests/test_upstream.py tells.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_OPENS_URLS = "elicitation-url-"
_MAX_INITIALIZE = 65_536  # bytes; no client says more of itself


class McpSessions:
    """Gives clients that open URLs for the person such a session id; behind `McpRequests`, which joins the body.

    Args:
        app: FastMCP's application, in stateless mode.
        mcp_path: path of the endpoint.
    """

    def __init__(self, app: ASGIApp, mcp_path: str) -> None:
        self._app = app
        self._mcp_path = mcp_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        posted = scope["type"] == "http" and (scope["method"], scope["path"]) == ("POST", self._mcp_path)
        if not posted or not scope["user"].is_authenticated:
            await self._app(scope, receive, send)
            return
        first = await receive()
        waiting: list[Message] = [first]

        async def replay() -> Message:
            return waiting.pop() if waiting else await receive()

        opens_urls = _initializes_with_urls(first.get("body", b""))
        await self._app(scope, replay, _with_session_id(send) if opens_urls else send)


def declares_url(session_id: str | None) -> bool:
    """Return whether the client with this session id has declared that it opens URLs for the person."""
    return session_id is not None and session_id.startswith(_OPENS_URLS)


def _with_session_id(send: Send) -> Send:
    async def add(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 200:
            MutableHeaders(scope=message)[MCP_SESSION_ID_HEADER] = f"{_OPENS_URLS}{secrets.token_hex(16)}"
        await send(message)

    return add


def _initializes_with_urls(body: bytes) -> bool:
    if len(body) > _MAX_INITIALIZE or b"elicitation" not in body:
        return False
    try:
        message: Any = json.loads(body)
    except (ValueError, RecursionError):
        return False  # the SDK refuses it, in its own words
    match message:
        case {"method": "initialize", "params": {"capabilities": {"elicitation": {"url": {}}}}}:
            return True
    return False
