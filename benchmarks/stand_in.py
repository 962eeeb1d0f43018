"""A stand-in for Microsoft Graph that costs little: the load generator and it share a core, the contender has its own.

It answers `GET /v1.0/me` with the person in the token and `POST /v1.0/me/sendMail` with 202, after a pause if it is
told so, over TLS, and checks nothing. Run as `python -m benchmarks.stand_in CERTIFICATE KEY READY_FILE PAUSE…`, with a
pause in seconds for each port it is to listen at.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import sys
from email.utils import formatdate
from functools import lru_cache, partial
from pathlib import Path
from typing import cast

import uvloop

REMEMBERED = 20_000  # tokens whose profile is kept ready
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
UNAUTHORIZED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"


@lru_cache(REMEMBERED)
def profile(token: bytes) -> bytes:
    """Return the response for the person whom an unchecked token names; ValueError or KeyError when it names nobody."""
    payload = token.split(b".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
    found = {
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users/$entity",
        "businessPhones": [],
        "displayName": claims.get("name", "Somebody"),
        "mail": claims["upn"],
        "userPrincipalName": claims["upn"],
        "id": claims["oid"],
    }
    return _response("200 OK", json.dumps(found).encode())


def _response(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nDate: {formatdate(usegmt=True)}\r\nrequest-id: 0\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


ACCEPTED = _response("202 Accepted", b"")


def answer(head: bytes) -> bytes:
    """Return the response to a request with this head."""
    line, _, headers = head.partition(b"\r\n")
    token = header(headers, b"authorization").removeprefix(b"Bearer ")
    try:
        known = profile(token)
    except (IndexError, KeyError, ValueError):
        return UNAUTHORIZED
    return known if line.startswith(b"GET ") else ACCEPTED


def header(headers: bytes, name: bytes) -> bytes:
    """Return the value of a header, empty when it is not there."""
    start = (b"\r\n" + headers.lower()).find(b"\r\n" + name + b":")
    if start < 0:
        return b""
    end = headers.find(b"\r\n", start)
    return headers[start + len(name) + 1 : end if end >= 0 else None].strip()


class Connection(asyncio.Protocol):
    """One connection, with one request at a time; `pause` is in seconds."""

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not derived from it

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            length = header(head.partition(b"\r\n")[2], b"content-length") or b"0"
            if not length.isdigit() or b"transfer-encoding: chunked" in head.lower():
                self._transport.write(BAD_REQUEST)
                self._transport.close()
                return
            after = end + 4 + int(length)
            if len(self._buffer) < after:
                return
            self._buffer = self._buffer[after:]
            self._answer(answer(head))

    def _answer(self, response: bytes) -> None:
        if self._pause:
            asyncio.get_running_loop().call_later(self._pause, self._transport.write, response)
        else:
            self._transport.write(response)


async def serve(certificate: str, key: str, ready_file: Path, pauses: list[float]) -> None:
    """Listen at a port for each pause, and write the ports into the file when all listen."""
    trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trust.load_cert_chain(certificate, key)
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(partial(Connection, pause), "127.0.0.1", 0, ssl=trust, backlog=1024)
        for pause in pauses
    ]
    temporary = ready_file.with_suffix(".new")
    temporary.write_text(json.dumps([server.sockets[0].getsockname()[1] for server in servers]))
    temporary.replace(ready_file)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], sys.argv[2], Path(sys.argv[3]), [float(pause) for pause in sys.argv[4:]]))
