"""Replaces an error response that the framework made up with the error that really happened; see `request_error`.

A person's browser gets one of our pages for every error, also where nothing was recorded. A program keeps the
framework's response, unless the recorded error is temporary or says why a sign-in has ended. Successful responses pass
unchanged. It runs behind `RequestPaths`, so that a path has one form.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from m365_mcp.auth.sign_in_events import NO_TOKEN, SignInLog
from m365_mcp.errors import (
    AddressForClients,
    AuthorizationRequestInvalid,
    ClientUnknown,
    InternalError,
    M365Error,
    PageUnknown,
    RequestRefused,
    SignInElsewhere,
    SignInExpired,
    SignInNeeded,
    Unavailable,
    request_error,
)
from m365_mcp.metrics import Metrics
from m365_mcp.web.pages import Pages
from m365_mcp.web.responses import challenge, error_as_json, is_for_programs, retry_header

AUTHORIZE = "/authorize"
# Paths that only a person's browser visits. Everywhere else the Accept header tells it from a program.
PAGES = ("/consent", "/auth/callback")
# Of the replaced response; the rest describes its body.
_KEPT = ("access-control-", "allow", "link", "retry-after", "set-cookie", "vary", "www-authenticate")


class ErrorOverride:
    """Replaces error responses of `app`.

    Args:
        app: the application.
        metrics: counts what is replaced, and the requests that are being answered.
        pages: renders the errors for people.
        mcp_path: path of the MCP endpoint.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, pages: Pages, mcp_path: str) -> None:
        self._app = app
        self.metrics = metrics
        self.log = SignInLog(metrics)
        self.pages = pages
        self.mcp_path = mcp_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self.metrics.in_flight.track_inprogress(), request_error.recording() as record:
            response = _ResponseFilter(self, scope, receive, send, record)
            try:
                await self._app(scope, receive, response.send)
            except M365Error:
                # Starlette sends its response first and raises afterwards; that response has been replaced already.
                if not response.is_replaced:
                    raise


def is_for_a_person(scope: Scope) -> bool:
    """Return whether a person's browser sent the request, so that an error is told on a page."""
    accepts_html = "text/html" in Headers(scope=scope).get("accept", "")
    return scope["path"] in PAGES or (accepts_html and scope["method"] in ("GET", "HEAD", "POST"))


class _ResponseFilter:
    """Passes the messages of one response on, or sends another response instead."""

    def __init__(
        self, parent: ErrorOverride, scope: Scope, receive: Receive, send: Send, record: request_error.Record
    ) -> None:
        self._parent = parent
        self._scope = scope
        self._receive = receive
        self._send = send
        self._record = record
        self.is_replaced = False

    async def send(self, message: Message) -> None:
        if self.is_replaced:
            return  # the body of the response that was replaced
        if message["type"] == "http.response.start":
            replacement = self._replacement(message["status"], Headers(raw=message["headers"]))
            if replacement is not None:
                self.is_replaced = True
                await replacement(self._scope, self._receive, self._send)
                return
        await self._send(message)

    def _replacement(self, status: int, headers: Headers) -> Response | None:
        """Return the response to send instead of the one that begins so, or None to keep that one."""
        if status < 400:
            return None
        error = self._record.error
        if status == 401 and self._scope["path"] == self._parent.mcp_path:
            self._parent.log.write_token("mcp", self._code_of_401())
        if is_for_a_person(self._scope):
            shown = error or self._error_of(status, headers)
            response = self._page(shown, status if error is None else shown.status)
        elif error is not None and is_for_programs(error):
            shown, response = error, error_as_json(error)
        elif isinstance(error, SignInNeeded) and status == 401 and "www-authenticate" in headers:
            shown, response = error, challenge(error, headers["www-authenticate"])
        else:
            return None
        self._parent.metrics.http_refusals.labels(shown.code).inc()
        sent = {name for name, _ in response.raw_headers}
        kept = [(name, value) for name, value in headers.raw if name.decode("latin-1").lower().startswith(_KEPT)]
        response.raw_headers.extend(header for header in kept if header[0] not in sent - {b"set-cookie"})
        return response

    def _code_of_401(self) -> str:
        if self._record.error is not None:
            return self._record.error.code
        sent = Headers(scope=self._scope).get("authorization", "")
        return "invalid_token" if sent.lower().startswith("bearer ") else NO_TOKEN

    def _page(self, error: M365Error, status: int) -> Response:
        return self._parent.pages.error(Request(self._scope), error, status=status, headers=retry_header(error))

    def _error_of(self, status: int, headers: Headers) -> M365Error:
        """Return the error that a response without a recorded one means."""
        path = self._scope["path"]
        if status >= 500:
            return Unavailable() if status == 503 else InternalError()
        if path in PAGES:
            # FastMCP 4.2: 403 for a form or a callback without its cookie, 400 for what is unknown or expired.
            found = {403: SignInElsewhere, 400: SignInExpired}
            return found.get(status, RequestRefused)()
        if path == AUTHORIZE:
            # FastMCP 4.2 names the registration endpoint in this header when it does not know the client.
            return ClientUnknown() if "link" in headers else AuthorizationRequestInvalid()
        if path == self._parent.mcp_path:
            return AddressForClients()
        return PageUnknown() if status == 404 else RequestRefused()
