"""Brings request headers into the one spelling that FastMCP 4.2 and the MCP SDK 2.3 read.

Media types and authentication schemes have no case (RFC 9110 sections 8.3.1 and 11.1), and several blanks may follow
`Bearer` (RFC 6750 section 2.1). The SDK compares media types and `Basic` exactly, and cuts off one blank.

White space around a value does not belong to it (RFC 9110 section 5.5). Uvicorn keeps what stands behind it, and the
SDK compares `Mcp-Method` and `Mcp-Name` exactly.

`Accept` at the MCP endpoint: MCP has clients list JSON and event streams, and no rule to refuse one that does not. A
client that names neither a type nor a preference gets JSON (RFC 9110 section 12.5.1). A client that reads only event
streams gets the answer as a stream of one event. A client that takes neither is left to the SDK, which answers 406.
"""

from __future__ import annotations

import re
from functools import lru_cache

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

JSON = "application/json"
EVENTS = "text/event-stream"
_JSON_RANGES = {"*/*", "application/*", JSON}
_EVENT_RANGES = {"*/*", "text/*", EVENTS}
_CREDENTIALS = re.compile(r"(bearer|basic) +(.*)", re.IGNORECASE)
_REFUSED = re.compile(r"q=0(\.0{0,3})?", re.IGNORECASE)  # RFC 9110 section 12.4.2


class RequestHeaders:
    """ASGI middleware that respells headers.

    Args:
        app: the application that reads them.
        mcp_path: path of the MCP endpoint.
    """

    def __init__(self, app: ASGIApp, mcp_path: str) -> None:
        self._app = app
        self._mcp_path = mcp_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = MutableHeaders(raw=[(name, value.strip(b" \t")) for name, value in scope["headers"]])
        _respell_credentials(headers)
        if scope["method"] == "POST":
            _respell_media_type(headers)
            if scope["path"] == self._mcp_path and _respell_accept(headers):
                send = _as_events(send)
        await self._app({**scope, "headers": headers.raw}, receive, send)


def _respell_credentials(headers: MutableHeaders) -> None:
    found = headers.getlist("authorization")
    parts = _CREDENTIALS.fullmatch(found[0]) if len(found) == 1 else None
    if parts is not None:
        headers["authorization"] = f"{parts[1].capitalize()} {parts[2].strip()}"


def _respell_media_type(headers: MutableHeaders) -> None:
    found = headers.getlist("content-type")
    if len(found) == 1:
        media_type, semicolon, parameters = found[0].partition(";")
        headers["content-type"] = f"{media_type.strip().lower()}{semicolon}{parameters}"


def _respell_accept(headers: MutableHeaders) -> bool:
    """Write `Accept` as the SDK wants it; return whether the client reads only event streams."""
    headers["accept"], reads_only_events = _read_accept(",".join(headers.getlist("accept")))
    return reads_only_events


@lru_cache(maxsize=64)
def _read_accept(sent: str) -> tuple[str, bool]:
    """Return `Accept` as the SDK wants it, and whether the client reads only event streams."""
    ranges = _media_ranges(sent) if sent.strip(" ,") else {"*/*"}
    reads_json, reads_events = bool(ranges & _JSON_RANGES), bool(ranges & _EVENT_RANGES)
    if reads_json or reads_events:
        return f"{JSON}, {EVENTS}" if reads_events else JSON, reads_events and not reads_json
    return ", ".join(sorted(ranges)), False


def _media_ranges(sent: str) -> set[str]:
    ranges = set()
    for item in sent.split(","):
        media_range, *parameters = (part.strip() for part in item.split(";"))
        if media_range and not any(map(_REFUSED.fullmatch, parameters)):
            ranges.add(media_range.lower())
    return ranges


def _as_events(send: Send) -> Send:
    """Return a `send` that turns a JSON answer of status 200 into a stream of one event (WHATWG HTML, section 9.2)."""
    start: list[Message] = []
    body = bytearray()

    async def forward(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = Headers(raw=message["headers"])
            if message["status"] == 200 and headers.get("content-type", "").startswith(JSON):
                start.append(message)
                return
        if not start or message["type"] != "http.response.body":
            await send(message)
            return
        body.extend(message.get("body", b""))
        if not message.get("more_body"):
            await _send_event(start.pop(), bytes(body), send)

    return forward


async def _send_event(start: Message, body: bytes, send: Send) -> None:
    lines = b"".join(b"data: " + line + b"\n" for line in body.splitlines())
    event = b"event: message\n" + lines + b"\n"
    headers = MutableHeaders(raw=list(start["headers"]))
    headers["content-type"] = EVENTS
    headers["content-length"] = str(len(event))
    await send({**start, "headers": headers.raw})
    await send({"type": "http.response.body", "body": event})
