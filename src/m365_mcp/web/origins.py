"""Checks `Host` and `Origin` against the public URL (MCP 2026-07-28, "Streamable HTTP": servers MUST validate Origin).

The guard compares with the public URL and not with the socket's address, so that it works behind TLS termination. Both
sides are in the normal form of `m365_mcp.urls`. The guard lets health probes pass, because they call by IP address. It
also lets requests for the public metadata documents pass, because those are the same for every caller and repeat
nothing from the request.
Pages of allowed origins may call /mcp from a browser (CORS): FastMCP 4.2 allows CORS on its OAuth routes for every
origin, and does not offer it on /mcp.
"""

from __future__ import annotations

from typing import Any

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from m365_mcp.loopback import is_loopback
from m365_mcp.settings import Settings
from m365_mcp.urls import DEFAULT_PORTS, normal_origin, read_authority, read_url
from m365_mcp.web.responses import json_error

OPEN_PREFIXES = ("/.well-known/", "/livez", "/readyz")


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
        if not self._is_our_host(_host_name(headers.get("host", ""))):
            # RFC 9110 section 15.5.20: the request was directed at a server that cannot answer for that host.
            response = json_error(421, "misdirected_request", _WRONG_HOST)
        elif "origin" in headers and headers["origin"] not in self._origins:
            response = json_error(403, "forbidden_origin", _WRONG_ORIGIN)
        else:
            await self._app(scope, receive, send)
            return
        await response(scope, receive, send)

    def _is_our_host(self, host: str) -> bool:
        return host in self._hosts or is_loopback(host)


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


_WRONG_HOST = (
    "This server does not serve the host that the request names. Use the address in MCP_SERVER_BASE_URL, or have the "
    "operator add the host to MCP_ALLOWED_HOSTS."
)
_WRONG_ORIGIN = (
    "A page of another site tried to call this server. To allow it, the operator adds its origin to "
    "MCP_ALLOWED_ORIGINS."
)


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
