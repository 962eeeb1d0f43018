"""Goes by the protocol version in the body of a request to /mcp when the header names an older one.

Some Claude connectors send `MCP-Protocol-Version: 2025-11-25` with the body of a client that negotiated 2026-07-28
(anthropics/claude-code#93290). The MCP SDK 2.3 reads only the header and answers in the form of 2025-11-25. The client
cannot read that answer: it lacks `resultType`, `ttlMs` and `cacheScope`. In stateful mode the SDK answers 400.
This module may go when the SDK chooses by the body (its `StreamableHTTPSessionManager` calls that a follow-up):
tests/test_upstream.py tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
from starlette.types import Scope

Request = Mapping[str, Any]


def with_version_of_body(scope: Scope, message: Any) -> Scope:
    """Return the scope of an authenticated request to the MCP endpoint, with the protocol version of its body.

    Args:
        scope: the request.
        message: what its body says; anything, if that is no JSON.
    """
    versions = Headers(scope=scope).getlist(MCP_PROTOCOL_VERSION_HEADER)
    if len(versions) != 1 or versions[0] not in HANDSHAKE_PROTOCOL_VERSIONS:
        return scope
    request = _request_of_later_version(message)
    return scope if request is None else {**scope, "headers": _corrected(scope, request).raw}


def _request_of_later_version(message: Any) -> Request | None:
    """Return the message if it is a request of a protocol version without handshake."""
    match message:
        case {"id": _, "method": str(method), "params": {"_meta": {**meta}}}:
            version = meta.get(PROTOCOL_VERSION_META_KEY)
            is_later = version in MODERN_PROTOCOL_VERSIONS and (method, version) in CLIENT_REQUESTS
            return dict(message) if is_later else None
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
