"""Serves the metadata documents at every path clients ask for, and answers in JSON where there is none.

Clients differ: RFC 9728 and RFC 8414 insert the path, older ones append it or ask only at the root, some ask for the
OpenID Connect name. FastMCP 4.1 serves one path each, and its plain-text 404 makes some clients report a JSON error.
May know `web.replies`.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from m365_mcp.web.replies import json_reply

RESOURCE = "/.well-known/oauth-protected-resource"  # RFC 9728 section 3
SERVER = "/.well-known/oauth-authorization-server"  # RFC 8414 section 3
OPENID = "/.well-known/openid-configuration"  # OpenID Connect Discovery section 4


def aliases(mcp_path: str) -> dict[str, str]:
    """Return which path is answered by which, for an MCP endpoint at `mcp_path` of the host's root."""
    resource_forms = (RESOURCE, f"{mcp_path}{RESOURCE}")
    server_forms = (OPENID, *(form for name in (SERVER, OPENID) for form in (f"{name}{mcp_path}", f"{mcp_path}{name}")))
    return {
        # The same endpoint with a slash too many: served as it is, not redirected to whatever Host says.
        f"{mcp_path}/": mcp_path,
        **dict.fromkeys(resource_forms, f"{RESOURCE}{mcp_path}"),
        **dict.fromkeys(server_forms, SERVER),
    }


class Discovery:
    """Rewrites the paths in `aliases` before `app` sees them."""

    def __init__(self, app: ASGIApp, mcp_path: str) -> None:
        self._app = app
        self._aliases = aliases(mcp_path)
        self._served = {*self._aliases.values()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked: str = scope["path"]
        path = self._aliases.get(asked, asked)
        if "/.well-known/" in path and path not in self._served:
            await json_reply(404, "not_found", "There is no such metadata document here.")(scope, receive, send)
            return
        await self._app({**scope, "path": path, "raw_path": path.encode()}, receive, send)
