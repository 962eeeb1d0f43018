"""Checks requests to the OAuth endpoints: small, complete, uncompressed bodies, forms where they must be, our resource.

FastMCP 4.2 drops the MCP SDK's body limit from its OAuth routes except /revoke (it stored a registration of 40 MB). It
does not check `resource` at the token endpoint (RFC 8707 section 2.2). It parses an invalid form twice, which ends in a
500. It stores an authorization request with a `state` of any size.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from m365_mcp.errors import AuthorizationRequestTooLarge, Filled, request_error
from m365_mcp.web.bodies import SERVED_CODINGS, WRONG_CODING, is_coded, limited, replay, too_large
from m365_mcp.web.responses import json_error

MAX_OAUTH_BODY = 64 * 1024  # bytes; the largest ordinary request is a registration of about 2 KB
MAX_FIELDS = 100  # of a form; Starlette raises an error of its own at 1,000
FORM_PATHS = ("/authorize", "/token", "/consent", "/revoke")
OAUTH_PATHS = ("/register", *FORM_PATHS)
MAX_AUTHORIZATION = 32 * 1024  # bytes of an encoded authorization request; a state of 8 KB may be 24 KB of `%xx`
# Bytes of its decoded parameters; what is stored until the person has signed in has limits of its own.
MAX_STATE = 8 * 1024
MAX_PARAMETER = 4 * 1024
MAX_PARAMETERS = {
    "state": MAX_STATE,
    "client_id": 2048,
    "redirect_uri": 2048,
    "resource": 2048,
    "code_challenge": 128,  # RFC 7636 section 4.2
    "code_challenge_method": 16,
    "response_type": 64,
}


class OAuthBodies:
    """ASGI middleware that passes POST requests to the OAuth endpoints of `app` on with whole, small bodies."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._limited = limited(app, MAX_OAUTH_BODY, _refuse_large)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request (ASGI)."""
        posted = scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in OAUTH_PATHS
        if posted and is_coded(Headers(scope=scope)):
            await json_error(415, "invalid_request", WRONG_CODING, SERVED_CODINGS)(scope, receive, send)
            return
        await (self._limited if posted else self._app)(scope, receive, send)


class OAuthRequests:
    """ASGI middleware that checks requests to the OAuth endpoints of `app`; it runs behind `OAuthBodies`.

    Args:
        app: the application behind the checks.
        is_our_resource: returns whether a resource indicator names this server.
    """

    def __init__(self, app: ASGIApp, is_our_resource: Callable[[str], bool]) -> None:
        self._app = app
        self._is_our_resource = is_our_resource

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request (ASGI)."""
        if scope["type"] != "http" or scope["path"] not in FORM_PATHS:
            await self._app(scope, receive, send)
            return
        oversize = _too_large(scope["query_string"]) if scope["path"] == "/authorize" else None
        if oversize is not None:
            await _refuse_size(oversize)(scope, receive, send)
        elif scope["path"] == "/authorize" and self._names_another_resource(scope["query_string"]):
            await json_error(400, "invalid_target", _ONE_RESOURCE)(scope, receive, send)
        elif scope["method"] == "POST":
            await self._check_form(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _check_form(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        oversize = _too_large(body) if scope["path"] == "/authorize" else None
        if not _is_form(scope) or body.count(b"&") > MAX_FIELDS:
            await json_error(400, "invalid_request", _FORM_REQUIRED)(scope, receive, send)
        elif oversize is not None:
            await _refuse_size(oversize)(scope, receive, send)
        elif scope["path"] == "/token" and not self._names_our_resource(body):
            await json_error(400, "invalid_target", "The resource is not this server's.")(scope, receive, send)
        elif scope["path"] == "/authorize" and self._names_another_resource(body):
            await json_error(400, "invalid_target", _ONE_RESOURCE)(scope, receive, send)
        else:
            await self._app(scope, replay(body), send)

    def _names_our_resource(self, body: bytes) -> bool:
        return all(map(self._is_our_resource, _resources(body)))

    def _names_another_resource(self, encoded: bytes) -> bool:
        # RFC 8707 allows several resources. A token of this server is for one, which may be named more than once.
        # Of one, the proxy says so in a redirect.
        resources = _resources(encoded)
        return len(set(resources)) > 1 and not all(map(self._is_our_resource, resources))


def _refuse_large() -> Response:
    return json_error(413, "invalid_request", too_large(MAX_OAUTH_BODY))


def _too_large(encoded: bytes) -> str | None:
    """Return a sentence about the first parameter of an authorization request that is too large, or None."""
    if len(encoded) > MAX_AUTHORIZATION:
        return Filled("The authorization request is longer than %(limit)s bytes.", limit=str(MAX_AUTHORIZATION))
    for name, values in parse_qs(encoded.decode("latin-1"), encoding="latin-1").items():
        limit = MAX_PARAMETERS.get(name, MAX_PARAMETER)
        if any(len(value) > limit for value in values):
            return _too_long(name, limit)
    return None


def _too_long(name: str, limit: int) -> Filled:
    if name not in MAX_PARAMETERS:  # a stranger chose it
        return Filled(
            "The longest parameter of the authorization request has more than %(limit)s bytes.", limit=str(limit)
        )
    return Filled(
        "The parameter %(name)s of the authorization request is longer than %(limit)s bytes.",
        name=name,
        limit=str(limit),
    )


def _refuse_size(sentence: str) -> Response:
    """Return the refusal of an authorization request that is too large.

    It is no redirect: RFC 6749 section 4.1.2.1 has a redirect bring the `state` back as it was, and one of that size
    would fail at the client or at a proxy before it. So the person in front of the browser is told.
    """
    request_error.note(AuthorizationRequestTooLarge(sentence))
    return json_error(400, "invalid_request", sentence)


def _resources(encoded: bytes) -> list[str]:
    return parse_qs(encoded.decode("latin-1")).get("resource", [])


def _is_form(scope: Scope) -> bool:
    media_type = Headers(scope=scope).get("content-type", "").partition(";")[0]
    return media_type.strip().lower() == "application/x-www-form-urlencoded"


_ONE_RESOURCE = "Request one resource, the one of this server."
_FORM_REQUIRED = (
    f"Send the request as application/x-www-form-urlencoded (RFC 6749 section 4.1.3), with at most {MAX_FIELDS} fields."
)
