"""Brings the path of a request into the one form that every part of this server compares.

A public URL may have a path (`https://host/mcp-o365`), and an Ingress may strip that prefix or pass it on. A client
that joins an address and a path as text makes a slash too many, which is passed over. The path in its one form is
served directly, because a redirect would follow the Host header.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from m365_mcp.urls import merge_slashes


class RequestPaths:
    """Rewrites the path of a request before `app` sees it.

    Args:
        app: the application, whose paths have no prefix.
        prefix: decoded path of the public URL without a trailing slash, or empty.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] == "http":
            path = self._without_prefix(merge_slashes(scope["path"]))
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(scope, receive, send)

    def _without_prefix(self, path: str) -> str:
        if self._prefix and f"{path}/".startswith(f"{self._prefix}/"):
            return path.removeprefix(self._prefix) or "/"
        return path
