"""Serves the endpoint and the metadata documents at every path that a proxy or a client may use for them.

A public URL may have a path (`https://host/mcp-o365`). RFC 9728 and RFC 8414 insert it into the address of the
metadata. Older clients append it or ask only at the root; some clients ask for the OpenID Connect name. FastMCP 4.2
serves one path each, and its plain-text 404 makes some clients report a JSON error.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from m365_mcp.urls import escape_path
from m365_mcp.web.responses import json_error

RESOURCE = "/.well-known/oauth-protected-resource"  # RFC 9728 section 3
SERVER = "/.well-known/oauth-authorization-server"  # RFC 8414 section 3
OPENID = "/.well-known/openid-configuration"  # OpenID Connect Discovery section 4
KEYS = "/.well-known/jwks.json"  # of no ID token; see `auth.server_metadata`


def aliases(prefix: str, mcp_path: str) -> dict[str, str]:
    """Return, for each path that a client may request, the path that FastMCP serves.

    `RequestPaths` has removed the prefix of the public URL already.

    Args:
        prefix: decoded path of the public URL without a trailing slash; empty for a whole host.
        mcp_path: path of the MCP endpoint below it.
    """
    suffixes = {"", prefix, mcp_path, f"{prefix}{mcp_path}"}
    resource = {form for suffix in suffixes for form in (f"{RESOURCE}{suffix}", f"{mcp_path}{RESOURCE}")}
    named = {
        form: name
        for name in (SERVER, OPENID)
        for suffix in suffixes
        for form in (f"{name}{suffix}", f"{mcp_path}{name}")
    }
    return {
        # FastMCP's routes have the prefix as it is in the URL, with escapes.
        **dict.fromkeys(resource, f"{RESOURCE}{escape_path(prefix)}{mcp_path}"),
        **named,
        KEYS: KEYS,
    }


class Discovery:
    """Rewrites the path of a metadata document before `app` sees it; behind `RequestPaths`.

    Args:
        app: FastMCP's application and the probes, whose paths have no prefix.
        prefix: decoded path of the public URL, or empty.
        mcp_path: path of the MCP endpoint below it.
        further: routes of documents that are served as they are.
    """

    def __init__(self, app: ASGIApp, prefix: str, mcp_path: str, further: Iterable[Route] = ()) -> None:
        self._app = app
        self._aliases = aliases(prefix, mcp_path)
        self._served = {*self._aliases.values(), *(route.path for route in further)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        requested: str = scope["path"]
        path = self._aliases.get(requested, requested)
        if "/.well-known/" in path and path not in self._served:
            await json_error(404, "not_found", "There is no such metadata document here.")(scope, receive, send)
            return
        await self._app({**scope, "path": path, "raw_path": path.encode()}, receive, send)
