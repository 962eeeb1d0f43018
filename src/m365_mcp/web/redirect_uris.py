"""Refuses redirect URIs, and other URIs of a client, with characters that no URI has (RFC 3986 section 2).

It does so before a parser removes them.

Pydantic, which reads them for the MCP SDK 2.3, follows the URL Standard of the WHATWG: it removes tabs and line breaks,
and blanks and control characters at both ends, and makes `/` of a backslash. Another URI would be registered than sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from m365_mcp.auth.client_texts import spoilt_uris
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
        refusal = _refuse_registration(body) if scope["path"] == "/register" else _refuse_request(scope, body)
        await (refusal or self._app)(scope, receive, send)


def _refuse_request(scope: Scope, body: bytes) -> Response | None:
    parameters = [parse_qs(encoded.decode("latin-1")) for encoded in (scope["query_string"], body)]
    if not _have_other_characters(uri for each in parameters for uri in each.get("redirect_uri", [])):
        return None
    if scope["path"] == "/authorize":
        request_error.note(AuthorizationRequestInvalid(_SENTENCE))
    return json_error(400, "invalid_request", _SENTENCE)


def _refuse_registration(body: bytes) -> Response | None:
    metadata = _registered(body)
    uris = metadata.get("redirect_uris")
    if _have_other_characters(uris if isinstance(uris, list) else []):
        return json_error(400, "invalid_redirect_uri", _SENTENCE)
    spoilt = spoilt_uris(metadata)
    if spoilt:
        return json_error(400, "invalid_client_metadata", f"{spoilt[0]} has a control character in it.")
    return None


def _have_other_characters(uris: Iterable[Any]) -> bool:
    return any(_OUTSIDE_URIS.search(uri) for uri in uris if isinstance(uri, str))


def _registered(body: bytes) -> dict[str, Any]:
    try:
        metadata = json.loads(body)
    except (ValueError, RecursionError):
        return {}  # the SDK refuses it, in its own words
    return metadata if isinstance(metadata, dict) else {}
