"""Checks `Host` and `Origin` against the public URL (MCP 2026-07-28, "Streamable HTTP": servers MUST validate Origin).

The guard compares with the public URL and not with the socket's address, so that it works behind TLS termination. It
lets health probes pass, because they call by IP address. It also lets requests for the public metadata documents pass,
because those are the same for every caller and repeat nothing from the request.
Pages of allowed origins may call /mcp from a browser (CORS): FastMCP 4.2 allows CORS on its OAuth routes for every
origin, and does not offer it on /mcp.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from m365_mcp import loopback
from m365_mcp.loopback import is_loopback
from m365_mcp.settings import Settings
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
        self._hosts = {settings.public_host, *(host.lower() for host in settings.mcp_allowed_hosts)}
        self._origins = {read_origin(url) for url in (settings.mcp_server_base_url, *settings.mcp_allowed_origins)}
        self._is_local = is_loopback(settings.public_host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http" or scope["path"].startswith(OPEN_PREFIXES):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not self._is_our_host(_host_name(headers.get("host", ""))):
            # RFC 9110 section 15.5.20: the request was directed at a server that cannot answer for that host.
            response = json_error(421, "misdirected_request", _WRONG_HOST)
        elif "origin" in headers and not self._is_allowed(headers["origin"]):
            response = json_error(403, "forbidden_origin", _WRONG_ORIGIN)
        else:
            await self._app(scope, receive, send)
            return
        await response(scope, receive, send)

    def _is_our_host(self, host: str) -> bool:
        return host in self._hosts or is_loopback(host)

    def _is_allowed(self, origin: str) -> bool:
        found = read_origin(origin)
        # A server on this machine may be used by pages on this machine, such as MCP Inspector's.
        local_page = self._is_local and found is not None and is_loopback(found.host)
        return local_page or (found is not None and found in self._origins)


def _host_name(host: str) -> str:
    """Return the lower-case name in a `Host` header, without port and without a trailing dot."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


class Origin(NamedTuple):
    """Scheme, host and port of a page (RFC 6454 section 4)."""

    scheme: str
    host: str
    port: int


def read_origin(url: str) -> Origin | None:
    """Return the origin of a URL, or None when it has none (`null`, malformed)."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:
        return None
    return Origin(parts.scheme, parts.hostname, port) if parts.hostname else None


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
        self._with_cors = CORSMiddleware(
            app,
            allow_origins=list(settings.mcp_allowed_origins),
            allow_origin_regex=loopback.ORIGIN_PATTERN if loopback.is_loopback(settings.public_host) else None,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=REQUEST_HEADERS,
            expose_headers=RESPONSE_HEADERS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        is_mcp = scope["type"] == "http" and scope["path"] == self._mcp_path
        await (self._with_cors if is_mcp else self._app)(scope, receive, send)
