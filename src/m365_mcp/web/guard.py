"""Checks `Host` and `Origin` against the public URL (MCP 2026-07-28, "Streamable HTTP": servers MUST validate Origin).

Compared with the public URL and not with what the socket sees, so that it holds behind TLS termination. Health probes
call by address and pass; so do the public metadata documents, which are the same for everybody and reflect nothing.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from m365_mcp.loopback import is_loopback
from m365_mcp.settings import Settings
from m365_mcp.web.responses import json_reply

OPEN_PREFIXES = ("/.well-known/", "/livez", "/readyz")


class HostOriginGuard:
    """Lets through requests that were meant for this server.

    Args:
        app: what is guarded.
        settings: the public URL, and further hosts and origins.
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
            reply = json_reply(421, "misdirected_request", _WRONG_HOST)
        elif "origin" in headers and not self._is_known(headers["origin"]):
            reply = json_reply(403, "forbidden_origin", _WRONG_ORIGIN)
        else:
            await self._app(scope, receive, send)
            return
        await reply(scope, receive, send)

    def _is_our_host(self, host: str) -> bool:
        return host in self._hosts or is_loopback(host)

    def _is_known(self, origin: str) -> bool:
        asked = read_origin(origin)
        # A server on this machine may be used by pages on this machine, such as MCP Inspector's.
        local_page = self._is_local and asked is not None and is_loopback(asked.host)
        return local_page or (asked is not None and asked in self._origins)


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
    """Return the origin of a URL, or None for what has none (`null`, nonsense)."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:
        return None
    return Origin(parts.scheme, parts.hostname, port) if parts.hostname else None


_WRONG_HOST = (
    "This request names a host this server does not answer for. Use the address in MCP_SERVER_BASE_URL, or have the "
    "operator add the host to MCP_ALLOWED_HOSTS."
)
_WRONG_ORIGIN = (
    "A page of another site tried to call this server. If it may, the operator adds its origin to MCP_ALLOWED_ORIGINS."
)
