"""Refuses requests to /mcp that the MCP SDK 2.3 drops silently, or refuses in words that do not tell what to change.

- A body with an `id` that is no string and no integer: the SDK takes it for a notification, answers 202, and the client
  waits for ever. JSON-RPC 2.0 section 4 has `-32600` for it. `1.0` counts as `1`, as in JSON.
- `MCP-Protocol-Version` names no version of MCP: the SDK complains of a missing `_meta`. An `initialize` negotiates the
  version in its body, whatever the header says.
- A body that is no message of JSON-RPC: the SDK answers with `-32602`, without the id, in the words of Pydantic.
- A body in a coding or a media type that is not served: the SDK answers "Parse error", or plain text.

Only authenticated requests are looked into; the others are challenged as before. The session of a request was read
before its body, so a body that comes late counts like a session that was read for an earlier request.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp_types import (
    INVALID_REQUEST,
    PROTOCOL_VERSION_META_KEY,
    UNSUPPORTED_PROTOCOL_VERSION,
    jsonrpc_message_adapter,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, KNOWN_PROTOCOL_VERSIONS
from pydantic import ValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from m365_mcp import tracing
from m365_mcp.auth.mcp_tokens import RememberedAccess
from m365_mcp.web.bodies import SERVED_CODINGS, WRONG_CODING, is_coded, limited, too_large
from m365_mcp.web.protocol_version import with_version_of_body

NO_JSON = object()
_MESSAGE = "m365_mcp.message"  # in the scope, so that nobody behind parses the body again
_BEGAN = "m365_mcp.began"  # when the request was authenticated, in monotonic seconds
LATE_SECONDS = 0.1  # for a body: `tools.session_check` then reads the session again before a tool writes
_SURROGATE = re.compile("[\ud800-\udfff]")
MAX_ECHO = 256  # characters of a client's text in an answer


class McpRequests:
    """Checks POST requests to the MCP endpoint.

    Args:
        app: FastMCP's application, behind the middleware that reads the access token.
        mcp_path: path of the endpoint.
        max_body: bytes; a larger request is answered with 413.
    """

    def __init__(self, app: ASGIApp, mcp_path: str, max_body: int) -> None:
        self._app = app
        self._mcp_path = mcp_path
        self._limited = limited_messages(self._check_body, max_body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        posted = scope["type"] == "http" and (scope["method"], scope["path"]) == ("POST", self._mcp_path)
        if not posted or not scope["user"].is_authenticated:
            await self._app(scope, receive, send)
            return
        refusal = _refuse_headers(Headers(scope=scope))
        await (refusal or self._limited)({**scope, _BEGAN: time.monotonic()}, receive, send)

    async def _check_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        first = await receive()  # the limit above has joined the parts of the body
        if time.monotonic() - scope[_BEGAN] > LATE_SECONDS:
            scope = {**scope, "user": AuthenticatedUser(RememberedAccess(**dict(scope["user"].access_token)))}
        message = _parse(first.get("body", b""))
        if refusal := _refuse_message(message):
            await refusal(scope, receive, send)
            return
        if _negotiates(message):
            scope = {**scope, "headers": _without_unknown_version(scope).raw}
        elif refusal := _refuse_version(Headers(scope=scope), message):
            await refusal(scope, receive, send)
            return
        read = _with_integer_id(message)
        scope = {**with_version_of_body(scope, read), _MESSAGE: read}
        waiting: list[Message] = [first if read is message else {**first, "body": json.dumps(read).encode()}]

        async def replay() -> Message:
            return waiting.pop() if waiting else await receive()

        with tracing.below(_meta(read)):  # FastMCP 4.2 reads it only where no header names a trace
            await self._app(scope, replay, send)


def _meta(message: Any) -> Mapping[Any, Any]:
    match message:
        case {"params": {"_meta": {**meta}}}:
            return meta
    return {}


def message_of(scope: Scope) -> Any:
    """Return the message of a request that `McpRequests` has passed on; None for any other."""
    return scope.get(_MESSAGE)


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return NO_JSON  # the SDK refuses it, in its own words


def limited_messages(app: ASGIApp, max_body: int) -> ASGIApp:
    """Return `app` behind a limit of `max_body` bytes on messages; a larger one is answered with 413."""
    return limited(app, max_body, lambda: _error(413, INVALID_REQUEST, too_large(max_body)))


def limited_unless_read(app: ASGIApp, max_body: int) -> ASGIApp:
    """Return `app` behind the same limit, but for messages that `McpRequests` has read, and so has measured."""
    measuring = limited_messages(app, max_body)

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        await (measuring if message_of(scope) is None else app)(scope, receive, send)

    return call


def _refuse_headers(headers: Headers) -> Response | None:
    if is_coded(headers):
        return _error(415, INVALID_REQUEST, WRONG_CODING, headers=SERVED_CODINGS)
    types = headers.get("content-type", "").partition(";")[0].lower().split(",")
    if "application/json" not in [media_type.strip() for media_type in types]:
        return _error(415, INVALID_REQUEST, _WRONG_TYPE)
    return None


def _refuse_message(message: Any) -> Response | None:
    """Return the refusal of what is JSON and no message (JSON-RPC 2.0 section 5: the id is null if it has none)."""
    if message is NO_JSON:
        return None
    if isinstance(message, list):
        return _error(400, INVALID_REQUEST, _BATCH)
    if _is_id_wrong(message):
        return _error(400, INVALID_REQUEST, _WRONG_ID)
    try:
        jsonrpc_message_adapter.validate_python(_with_integer_id(message), by_name=False)
    except ValidationError:
        return _error(400, INVALID_REQUEST, _WRONG_MESSAGE, _echoed_id(message))
    return None


def _is_id_wrong(message: Any) -> bool:
    if not isinstance(message, dict) or "id" not in message:
        return False
    request_id = message["id"]
    if request_id is None:
        # JSON-RPC 2.0 section 5: the answer to a request whose id could not be read has the id null.
        return "error" not in message or "method" in message
    if isinstance(request_id, float):
        return not request_id.is_integer()
    return isinstance(request_id, bool) or not isinstance(request_id, str | int)


def _with_integer_id(message: Any) -> Any:
    """Return the message with its id as an integer where it is spelled `1.0`; the SDK knows integers only."""
    if not isinstance(message, dict) or not isinstance(message.get("id"), float):
        return message
    return {**message, "id": int(message["id"])}


def _negotiates(message: Any) -> bool:
    return isinstance(message, dict) and message.get("method") == "initialize" and not _names_version(message)


def _names_version(message: Any) -> bool:
    """Return whether the body says which version without handshake it is written in."""
    return PROTOCOL_VERSION_META_KEY in _meta(message)


def _without_unknown_version(scope: Scope) -> Headers:
    headers = MutableHeaders(raw=list(scope["headers"]))
    if not {*headers.getlist(MCP_PROTOCOL_VERSION_HEADER)} <= {*HANDSHAKE_PROTOCOL_VERSIONS}:
        del headers[MCP_PROTOCOL_VERSION_HEADER]
    return headers


def _refuse_version(headers: Headers, message: Any) -> Response | None:
    unknown = [v for v in headers.getlist(MCP_PROTOCOL_VERSION_HEADER) if v not in KNOWN_PROTOCOL_VERSIONS]
    if not unknown or _names_version(message):  # the SDK compares both, and names the versions that it serves
        return None
    # The form of this error's data: MCP 2026-07-28, "Protocol version negotiation".
    data = {"supported": list(KNOWN_PROTOCOL_VERSIONS), "requested": unknown[0][:MAX_ECHO]}
    return _error(400, UNSUPPORTED_PROTOCOL_VERSION, _WRONG_VERSION, _echoed_id(message), data)


def _echoed_id(message: Any) -> str | int | None:
    request_id = _with_integer_id(message).get("id") if isinstance(message, dict) else None
    # Half of a surrogate pair is JSON, but cannot be sent.
    is_short = isinstance(request_id, str | int) and len(str(request_id)) <= MAX_ECHO
    return request_id if is_short and not _SURROGATE.search(str(request_id)) else None


def _error(
    status: int,
    code: int,
    message: str,
    request_id: str | int | None = None,
    data: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """Return a JSON-RPC error (section 5.1)."""
    error = {"code": code, "message": message} | ({} if data is None else {"data": data})
    return JSONResponse({"jsonrpc": "2.0", "id": request_id, "error": error}, HTTPStatus(status), headers)


_WRONG_ID = (
    "The id of a request is not a string and not an integer. Give every request an id of its own; leave the member out "
    "of a notification."
)
_BATCH = "This server takes no batches (MCP 2025-06-18 has removed them). Send one message in each request."
_WRONG_MESSAGE = (
    'The body is no message of JSON-RPC 2.0. Send an object with "jsonrpc": "2.0" and the method as a string; if there '
    "are params, they are an object."
)
_WRONG_TYPE = "The body is not declared as JSON. Send the request again with Content-Type: application/json."
_WRONG_VERSION = (
    "MCP-Protocol-Version names a version that this server does not serve. It serves "
    f"{', '.join(KNOWN_PROTOCOL_VERSIONS)}. Send one of these, or initialize again to negotiate one."
)
