"""Brings the MCP SDK's OAuth errors into the form that OAuth allows: the characters of their sentences, and the status.

RFC 6749 sections 4.1.2.1 and 5.2 allow ASCII without line breaks, quotation marks and backslashes in
`error_description`. The SDK 2.3 writes one line for each mistake, `place: sentence`, with an empty place for the whole
body, and repeats text of the request. It answers `invalid_client` with 401 while it authenticates the client, and with
400 where the provider finds out later, for one reason and the other: RFC 6749 section 5.2 says 401.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote, unquote_plus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATHS = ("/register", "/authorize", "/token", "/revoke")
NAME = "error_description"
_NOT_ALLOWED = re.compile(r"[^\x20-\x7e]")


class ErrorDescriptions:
    """ASGI middleware that respells `error_description` in JSON errors and redirects of `app`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        respells = scope["type"] == "http" and scope["path"] in PATHS
        await self._app(scope, receive, _Respelling(scope["path"], send).send if respells else send)


class _Respelling:
    """Passes one response on, and holds a JSON error back until its whole body is known."""

    def __init__(self, path: str, send: Send) -> None:
        self._path = path
        self._send = send
        self._start: Message | None = None
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = Headers(raw=message["headers"])
            if message["status"] >= 400 and headers.get("content-type", "").startswith("application/json"):
                self._start = message
                return
            message = _respell_redirect(message)
        if self._start is None:
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if not message.get("more_body"):
            await self._send_error(self._start)

    async def _send_error(self, start: Message) -> None:
        error: Any = json.loads(self._body)
        body = _respell_json(error, bytes(self._body))
        headers = MutableHeaders(raw=list(start["headers"]))
        headers["content-length"] = str(len(body))
        refuses_client = isinstance(error, dict) and error.get("error") == "invalid_client" and self._path == "/token"
        status = 401 if refuses_client and start["status"] == 400 else start["status"]
        self._start = None
        await self._send({**start, "status": status, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": body})


def one_sentence(text: str) -> str:
    """Return an error description on one line, in the characters of RFC 6749."""
    lines = (line.strip().lstrip(": ") for line in text.splitlines())
    plain = "; ".join(line for line in lines if line)
    return _NOT_ALLOWED.sub("?", plain.replace('"', "'").replace("\\", "/"))


def _respell_json(error: Any, body: bytes) -> bytes:
    if not isinstance(error, dict) or not isinstance(error.get(NAME), str):
        return body
    return json.dumps({**error, NAME: one_sentence(error[NAME])}).encode()


def _respell_redirect(message: Message) -> Message:
    headers = MutableHeaders(raw=list(message["headers"]))
    address, mark, query = headers.get("location", "").partition("?")
    parameters = query.split("&")
    if not any(parameter.startswith(f"{NAME}=") for parameter in parameters):
        return message
    headers["location"] = f"{address}{mark}{'&'.join(map(_respell_parameter, parameters))}"
    return {**message, "headers": headers.raw}


def _respell_parameter(parameter: str) -> str:
    name, _, value = parameter.partition("=")
    return f"{name}={quote(one_sentence(unquote_plus(value)), safe='')}" if name == NAME else parameter
