"""Bodies of requests: whole, small, and without a coding.

The MCP SDK 2.3 reads a compressed body as if it were not compressed, and refuses a large one in plain text.
"""

from __future__ import annotations

from collections.abc import Callable

from mcp.server.transport_security import RequestBodyLimitMiddleware
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

WRONG_CODING = "This server takes no compressed body. Send the request again without Content-Encoding."
# RFC 9110 section 15.5.16: the answer says which codings are served.
SERVED_CODINGS = {"Accept-Encoding": "identity"}


def is_coded(headers: Headers) -> bool:
    """Return whether the body of a request has a coding, such as gzip (RFC 9110 section 8.4)."""
    codings = {coding.strip().lower() for coding in ",".join(headers.getlist("content-encoding")).split(",")}
    return bool(codings - {"", "identity"})


def too_large(max_bytes: int) -> str:
    """Return the sentence about a body that is larger than `max_bytes`."""
    return f"The body is larger than {max_bytes} bytes. Send a smaller request."


def limited(app: ASGIApp, max_bytes: int, refuse: Callable[[], Response]) -> ASGIApp:
    """Return `app` behind a limit of `max_bytes` on bodies; it gets only complete bodies.

    Args:
        app: the application behind the limit.
        max_bytes: the size of the largest body.
        refuse: returns the response (413) to a larger one.
    """
    whole = WholeBody(app)

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_refusal(message: Message) -> None:
            if message["type"] == "http.response.start":
                await refuse()(scope, receive, send)

        async def pass_on(scope: Scope, receive: Receive, _: Send) -> None:
            await whole(scope, receive, send)

        # What the middleware sends itself is its refusal in plain text.
        await RequestBodyLimitMiddleware(pass_on, max_bytes)(scope, receive, send_refusal)

    return call


class WholeBody:
    """ASGI middleware that calls `app` only with complete bodies.

    It runs behind RequestBodyLimitMiddleware, which reads the body and passes it on as one message.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await receive()
        if body["type"] == "http.request" and not body.get("more_body"):
            await self._app(scope, _first(body, receive), send)


def replay(body: bytes) -> Receive:
    """Return a `receive` that returns this body."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _first(message: Message, rest: Receive) -> Receive:
    pending = [message]

    async def receive() -> Message:
        return pending.pop() if pending else await rest()

    return receive
