"""Refuses redirect URIs with characters that no URI has (RFC 3986 section 2), before a parser removes them.

Pydantic, which reads them for the MCP SDK 2.3, follows the URL Standard of the WHATWG: it removes tabs and line breaks,
and blanks and control characters at both ends, and makes `/` of a backslash. Another URI would be registered than sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Receive, Scope, Send

from m365_mcp.errors import AuthorizationRequestInvalid, request_error
from m365_mcp.web.bodies import replay
from m365_mcp.web.responses import json_error

PATHS = ("/register", "/authorize", "/token")
_OUTSIDE_URIS = re.compile(r"[\x00-\x20\x7f\\]")
_SENTENCE = "A redirect URI has a blank, a control character or a backslash in it."


class RedirectUris:
    """ASGI middleware that checks the redirect URIs of OAuth requests to `app`; it runs behind `OAuthRequests`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request (ASGI)."""
        if scope["type"] != "http" or scope["path"] not in PATHS:
            await self._app(scope, receive, send)
            return
        body = b""
        if scope["method"] == "POST":
            body = (await receive()).get("body", b"")
            receive = replay(body)
        sent = _registered(body) if scope["path"] == "/register" else _parameters(scope["query_string"], body)
        if not any(_OUTSIDE_URIS.search(uri) for uri in sent):
            await self._app(scope, receive, send)
            return
        if scope["path"] == "/authorize":
            request_error.note(AuthorizationRequestInvalid(_SENTENCE))
        error = "invalid_redirect_uri" if scope["path"] == "/register" else "invalid_request"
        await json_error(400, error, _SENTENCE)(scope, receive, send)


def _parameters(query: bytes, body: bytes) -> Iterable[str]:
    for encoded in (query, body):
        yield from parse_qs(encoded.decode("latin-1")).get("redirect_uri", [])


def _registered(body: bytes) -> Iterable[str]:
    try:
        metadata = json.loads(body)
    except (ValueError, RecursionError):
        return []  # the SDK refuses it, in its own words
    uris = metadata.get("redirect_uris") if isinstance(metadata, dict) else None
    return [uri for uri in uris if isinstance(uri, str)] if isinstance(uris, list) else []
