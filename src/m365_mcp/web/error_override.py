"""Answers with the error that really happened, where the framework would answer with one it made up.

See `errors.request_error` for why. Successful answers, and errors nobody recorded anything for, pass unchanged.
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from m365_mcp.errors import M365Error, request_error
from m365_mcp.metrics import Metrics
from m365_mcp.web.responses import error_as_json, error_as_page, protect_page

# Where a person's browser is, not a program; /authorize is visited by both and decides by Accept.
PAGES = ("/consent", "/auth/callback")


class ErrorOverride:
    """Replaces made-up error answers of `app`."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with request_error.recording() as record:
            answer = _Answer(scope, receive, send, record, self._metrics)
            try:
                await self._app(scope, receive, answer.pass_on)
            except M365Error:
                # Starlette answers first and raises after; the answer has been replaced already.
                if not answer.replaced:
                    raise


class _Answer:
    """Watches one answer and replaces it when something truer is known."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, record: request_error.Record, metrics: Metrics
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._record = record
        self._metrics = metrics
        self.replaced = False

    async def pass_on(self, message: Message) -> None:
        if self.replaced:
            return  # the body of the answer that was replaced
        error = self._record.error
        if message["type"] == "http.response.start" and error is not None and message["status"] >= 400:
            reply = self._truer_reply(error)
            if reply is not None:
                self.replaced = True
                self._metrics.http_refusals.labels(error.code).inc()
                await self._with_cors(reply, message)(self._scope, self._receive, self._send)
                return
        if message["type"] == "http.response.start":
            protect_page(MutableHeaders(raw=message["headers"]))
        await self._send(message)

    def _truer_reply(self, error: M365Error) -> Response | None:
        path = self._scope["path"]
        wants_page = "text/html" in Headers(scope=self._scope).get("accept", "")
        if path.endswith(PAGES) or (path.endswith("/authorize") and wants_page):
            return error_as_page(error)
        # To a program the framework's own 400 and 401 are right when the token or the grant is truly dead.
        return error_as_json(error) if error.status == 503 else None

    def _with_cors(self, reply: Response, original: Message) -> Response:
        for name, value in original["headers"]:
            if name.lower().startswith(b"access-control-"):
                reply.raw_headers.append((name, value))
        return reply
