"""Answers `tools/list` with the answer that FastMCP gave before, because the tools are fixed when the server starts.

What a server offers depends on its settings alone. So two requests that say the same get the same answer, whoever asks:
the same scopes, the same headers that FastMCP 4.2 and the MCP SDK 2.3 read, and the same parameters (the cursor of a
page and the declarations of 2026-07-28 are among them). Only the id differs, which is put in. The first answer is
always FastMCP's own, and no error is remembered.

It is for stateless servers; with sessions, a request belongs to one.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from cachetools import LRUCache
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from m365_mcp.web.mcp_requests import message_of

MAX_ANSWERS = 32
MAX_PARAMETERS = 4096  # characters of JSON; no client says more of itself
_READ_HEADERS = ("accept", "content-type", "last-event-id")  # besides those of MCP
_SESSION_ID = "mcp-session-id"  # `McpSessions` has clients send one, and stateless servers do not read it
_KEPT_HEADERS = {b"content-type", b"content-length", b"cache-control"}


@dataclass(frozen=True)
class _Answer:
    """An answer of status 200: its headers without the length, and its body from behind the id."""

    headers: list[tuple[bytes, bytes]]
    rest: bytes


class ToolLists:
    """ASGI middleware that repeats answers to `tools/list`; behind `McpRequests`, which has read the message.

    Args:
        app: FastMCP's application, in stateless mode.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._answers: LRUCache[Hashable, _Answer] = LRUCache(MAX_ANSWERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        message = message_of(scope)
        key = _key(scope, message)
        if key is None:
            await self._app(scope, receive, send)
            return
        before = _before(message["id"])
        known = self._answers.get(key)
        if known is None:
            await self._app(scope, receive, _Copy(send, self._answers, key, before).send)
            return
        body = before + known.rest
        headers = [*known.headers, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _key(scope: Scope, message: Any) -> Hashable | None:
    """Return what the answer depends on; None: the request is not asked for a list, or in an unusual form."""
    if not isinstance(message, Mapping) or message.get("method") != "tools/list":
        return None
    if not message.keys() <= {"jsonrpc", "id", "method", "params"} or not _is_plain(message.get("id")):
        return None
    try:
        parameters = json.dumps(message.get("params"), sort_keys=True)
    except RecursionError:  # this is deeper in the stack than what has parsed the message
        return None
    if len(parameters) > MAX_PARAMETERS:
        return None
    headers = sorted(
        (name, value)
        for name, value in Headers(scope=scope).items()
        if name in _READ_HEADERS or (name.startswith("mcp-") and name != _SESSION_ID)
    )
    return (tuple(scope["auth"].scopes), tuple(headers), parameters)


def _is_plain(request_id: Any) -> bool:
    if isinstance(request_id, str):
        return request_id.isascii() and request_id.isprintable()
    return isinstance(request_id, int) and not isinstance(request_id, bool)


def _before(request_id: str | int) -> bytes:
    """Return the body of an answer up to its result, as the SDK writes it."""
    return b'{"jsonrpc":"2.0","id":%b,' % json.dumps(request_id).encode()


class _Copy:
    """Passes an answer on, and remembers it if it can be repeated."""

    def __init__(self, send: Send, answers: LRUCache[Hashable, _Answer], key: Hashable, before: bytes) -> None:
        self._send = send
        self._answers = answers
        self._key = key
        self._before = before
        self._headers: list[tuple[bytes, bytes]] | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 200:
            names = {name.lower() for name, _ in message["headers"]}
            is_json = Headers(raw=message["headers"]).get("content-type") == "application/json"
            if is_json and names <= _KEPT_HEADERS:
                self._headers = [(name, value) for name, value in message["headers"] if name != b"content-length"]
        elif self._headers is not None and not message.get("more_body"):
            self._remember(self._headers, message.get("body", b""))
        await self._send(message)

    def _remember(self, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        # An error of JSON-RPC may have status 200, too.
        if body.startswith(self._before + b'"result":'):
            self._answers[self._key] = _Answer(headers, body.removeprefix(self._before))
