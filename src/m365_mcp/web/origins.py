"""Checks `Host` and `Origin` against the public URL (MCP 2026-07-28, "Streamable HTTP": servers MUST validate Origin).

The guard compares with the public URL and not with the socket's address, so that it works behind TLS termination. Both
sides are in the normal form of `m365_mcp.urls`. The guard lets health probes pass, because they call by IP address. It
also lets requests for the public metadata documents, the server card and the icon pass, because those are the same for
every caller and repeat nothing from the request.

The form of the consent page comes with our own origin, because our pages have the referrer policy `same-origin`, also
where a proxy adds `no-referrer` (Fetch, "append a request Origin header"). It comes with `null` from a sandboxed window
or through a redirect of another site. Chromium sends no SameSite cookie from such a window, so that the form would fail
behind this guard, too.

Pages of allowed origins may call /mcp from a browser (CORS): FastMCP 4.2 allows CORS on its OAuth routes for every
origin, and does not offer it on /mcp.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from m365_mcp import logs
from m365_mcp.auth import sign_in_events
from m365_mcp.errors import HostNotServed, M365Error, OriginHidden, OriginNotAllowed, request_error
from m365_mcp.loopback import is_loopback
from m365_mcp.settings import Settings
from m365_mcp.urls import DEFAULT_PORTS, normal_origin, read_authority, read_url
from m365_mcp.web.pages.product import ICON_PATH
from m365_mcp.web.responses import json_error
from m365_mcp.web.server_card import CARD_PATH

CONSENT = "/consent"
OPEN_PREFIXES = ("/.well-known/", "/livez", "/readyz", ICON_PATH, "/favicon.ico", CARD_PATH)
_log = logs.get(__name__)


class HostOriginGuard:
    """Refuses requests that name another host, and requests from pages of other sites.

    Args:
        app: the application behind the guard.
        settings: the public URL, and the further hosts and origins that are allowed.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._hosts = {settings.public_host, *settings.mcp_allowed_hosts}
        self._origins = AllowedOrigins(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http" or scope["path"].startswith(OPEN_PREFIXES):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        error = self._refusal(scope, headers)
        if error is None:
            await self._app(scope, receive, send)
            return
        request_error.note(error)
        _tell_operator(error, headers)
        await json_error(error.status, error.code, f"{error.sentence} {error.advice}")(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> M365Error | None:
        """Return why a request does not pass, or None."""
        if not self._is_our_host(_host_name(headers.get("host", ""))):
            return HostNotServed()
        origin = headers.get("origin")
        if origin is None or origin in self._origins:
            return None
        if origin == "null" and (scope["method"], scope["path"]) == ("POST", CONSENT):
            return OriginHidden()
        return OriginNotAllowed()

    def _is_our_host(self, host: str) -> bool:
        return host in self._hosts or is_loopback(host)


def _tell_operator(error: M365Error, headers: Headers) -> None:
    """Write who was refused into the event of the sign-in, or where there is no sign-in, into a line of its own."""
    refused = {"host": headers.get("host", "")} if error.status == 421 else {"origin": headers["origin"]}
    told = {name: sign_in_events.clean(value, sign_in_events.MAX_ID) for name, value in refused.items()}
    attempt = sign_in_events.followed()
    if attempt is None:
        _log.info("request_refused", code=error.code, **told)
    else:
        attempt.refused_caller = told


@lru_cache(maxsize=64)
def _host_name(header: str) -> str:
    """Return the normal host in a `Host` header, without its port; empty when it has none."""
    try:
        # Starlette decodes headers as Latin-1; a host that is not in ASCII comes in UTF-8.
        return read_authority(header.encode("latin-1").decode())[0]
    except ValueError:
        return ""


class AllowedOrigins:
    """The origins whose pages may call this server: its own, the listed ones, and at home every page of the machine.

    Args:
        settings: the public URL, and the further origins that are allowed.
    """

    def __init__(self, settings: Settings) -> None:
        self._origins = {read_url(settings.mcp_server_base_url).origin, *settings.mcp_allowed_origins}
        self._is_local = is_loopback(settings.public_host)

    def __contains__(self, origin: str) -> bool:
        try:
            normal = normal_origin(origin)
        except ValueError:
            return False
        scheme, _, authority = normal.partition("://")
        if scheme not in DEFAULT_PORTS:
            return normal in self._origins or f"{scheme}://*" in self._origins
        # A server on this machine may be used by pages on this machine, such as MCP Inspector's.
        local_page = self._is_local and is_loopback(read_authority(authority)[0])
        return local_page or normal in self._origins


# MCP 2026-07-28, "Streamable HTTP": the headers that a client sends, and those that it must be able to read.
REQUEST_HEADERS = ["Authorization", "Content-Type", "MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Session-Id"]
RESPONSE_HEADERS = ["WWW-Authenticate", "Mcp-Session-Id", "Retry-After"]


class _Cors(CORSMiddleware):
    """Starlette's CORS, for the origins that the guard lets pass."""

    def __init__(self, app: ASGIApp, origins: AllowedOrigins, **options: Any) -> None:
        super().__init__(app, **options)
        self._origins = origins

    def is_allowed_origin(self, origin: str) -> bool:
        return origin in self._origins


class McpCors:
    """Answers preflight requests to the MCP endpoint and marks its responses as readable.

    Args:
        app: the application.
        settings: which origins are allowed.
        mcp_path: path of the endpoint.
    """

    def __init__(self, app: ASGIApp, settings: Settings, mcp_path: str) -> None:
        self._app = app
        self._mcp_path = mcp_path
        self._with_cors = _Cors(
            app,
            AllowedOrigins(settings),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=REQUEST_HEADERS,
            expose_headers=RESPONSE_HEADERS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        is_mcp = scope["type"] == "http" and scope["path"] == self._mcp_path
        await (self._with_cors if is_mcp else self._app)(scope, receive, send)
