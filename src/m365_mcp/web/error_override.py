"""Replaces an error response that the framework made up with the error that really happened; see `request_error`.

Successful responses pass unchanged, and so do error responses for which no error was recorded.
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from m365_mcp.errors import ClientMetadataInvalid, M365Error, request_error
from m365_mcp.metrics import Metrics
from m365_mcp.web.pages import error_page, protect_page
from m365_mcp.web.responses import error_as_json, json_error

# Paths that a person's browser visits. A browser or a program may visit /authorize; the Accept header tells which.
PAGES = ("/consent", "/auth/callback")


class ErrorOverride:
    """Replaces the error responses of `app` for which an error was recorded."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with request_error.recording() as record:
            response = _ResponseFilter(scope, receive, send, record, self._metrics)
            try:
                await self._app(scope, receive, response.send)
            except M365Error:
                # Starlette sends its response first and raises afterwards; that response has been replaced already.
                if not response.is_replaced:
                    raise


class _ResponseFilter:
    """Passes the messages of one response on, or sends another response instead."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, record: request_error.Record, metrics: Metrics
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._record = record
        self._metrics = metrics
        self.is_replaced = False

    async def send(self, message: Message) -> None:
        if self.is_replaced:
            return  # the body of the response that was replaced
        if message["type"] == "http.response.start":
            replacement = self._replacement(message)
            if replacement is not None:
                self.is_replaced = True
                await replacement(self._scope, self._receive, self._send)
                return
            protect_page(MutableHeaders(raw=message["headers"]))
        await self._send(message)

    def _replacement(self, start: Message) -> Response | None:
        """Return the response to send instead of the one that begins with `start`, or None to keep that one."""
        error = self._record.error
        response = self._error_response(error) if error is not None and start["status"] >= 400 else None
        if error is not None and response is not None:
            self._metrics.http_refusals.labels(error.code).inc()
            cors = [(name, value) for name, value in start["headers"] if name.lower().startswith(b"access-control-")]
            response.raw_headers.extend(cors)
        return response

    def _error_response(self, error: M365Error) -> Response | None:
        path = self._scope["path"]
        accepts_html = "text/html" in Headers(scope=self._scope).get("accept", "")
        if path.endswith(PAGES) or (path.endswith("/authorize") and accepts_html):
            return error_page(error)
        if isinstance(error, ClientMetadataInvalid):
            return json_error(error.status, "invalid_client", error.explain())
        # For a program, the framework's own 400 or 401 is right when the token or the grant is really invalid.
        return error_as_json(error) if error.status == 503 else None
