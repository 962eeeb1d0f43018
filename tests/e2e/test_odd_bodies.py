"""Malformed bodies: every endpoint responds with 4xx, and the log contains no traceback."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.e2e.grants import HEADERS, signed_in
from tests.e2e.person import direct_client
from tests.e2e.programs import Server, Simulator

pytestmark = pytest.mark.full

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
CUT_MULTIPART = b'--x\r\nContent-Disposition: form-data; name="client_id"\r\n\r\nab'
BODIES: dict[str, tuple[str | None, bytes]] = {
    "deep lists": (JSON, b"[" * 5_000),
    "deep lists that end": (JSON, b"[" * 20_000 + b"]" * 20_000),
    "deep objects": (JSON, b'{"a":' * 5_000),
    "deep member": (JSON, b'{"redirect_uris": ' + b"[" * 5_000 + b"]" * 5_000 + b"}"),
    "list": (JSON, b"[1, 2]"),
    "text": (JSON, b'"text"'),
    "number": (JSON, b"1e999"),
    "no number": (JSON, b'{"redirect_uris": NaN}'),
    "half of a surrogate pair": (JSON, b'{"client_name": "\\ud800", "redirect_uris": ["http://localhost:1/cb"]}'),
    "no UTF-8": (JSON, b'{"client_name": "\xff\xfe"}'),
    "UTF-16": ("application/json; charset=utf-16", json.dumps({"client_id": "a"}).encode("utf-16")),
    "unknown charset": (f"{FORM}; charset=no-such-charset", b"client_id=a&token=b"),
    "form that is no UTF-8": (FORM, b"client_id=\xff\xfe&token=%ff%fe"),
    "form of NULs": (FORM, b"\0" * 1_000),
    "form of separators": (FORM, b"&=" * 10_000),
    "multipart without boundary": ("multipart/form-data", b"a=b"),
    "multipart with an empty boundary": ("multipart/form-data; boundary=", b"a=b"),
    "multipart with a strange boundary": ("multipart/form-data; boundary=\x7f\xe4", b"--\x7f\xe4\r\n\r\n"),
    "multipart without its parts": ("multipart/form-data; boundary=x", b"a=b"),
    "multipart without a name": (
        "multipart/form-data; boundary=x",
        b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n",
    ),
    "multipart with an unknown charset": (
        "multipart/form-data; boundary=x; charset=no-such-charset",
        b'--x\r\nContent-Disposition: form-data; name="client_id"\r\n\r\na\r\n--x--\r\n',
    ),
    "multipart of a file": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="client_id"; filename="a"\r\n\r\na\r\n--x--\r\n',
    ),
    "multipart that is cut": ("multipart/form-data; boundary=x", CUT_MULTIPART),
    "content type of letters": ("\xe4/\xf6; ===", b"a=b"),
    "no content type": (None, b"a=b"),
    "nothing": (JSON, b""),
}
OAUTH = ("/register", "/authorize", "/token", "/consent", "/revoke", "/auth/callback")


@asynccontextmanager
async def quiet(server: Server) -> AsyncIterator[httpx2.AsyncClient]:
    """Insist that the server writes no traceback while the block runs, and still answers."""
    before = len(server.log)
    async with direct_client() as http:
        yield http
        assert (await http.get(f"{server.url}/livez")).status_code == 200
    assert "Traceback" not in server.log[before:]


async def post(
    http: httpx2.AsyncClient, url: str, body: tuple[str | None, bytes], headers: dict[str, str]
) -> httpx2.Response:
    content_type, content = body
    given = [(name.encode(), value.encode()) for name, value in headers.items()]
    if content_type is not None:
        given.append((b"Content-Type", content_type.encode("latin-1")))
    return await http.post(url, content=content, headers=given)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.sample(8)
async def test_h20_odd_body_is_answered_with_4xx_by_every_oauth_endpoint(
    whole_server: Server, body: tuple[str | None, bytes]
) -> None:
    """No body makes an OAuth endpoint answer 5xx, or log a traceback, for a program or for a browser."""
    async with quiet(whole_server) as http:
        for path in OAUTH:
            for accept in ("application/json", "text/html"):
                answer = await post(http, whole_server.url + path, body, {"Accept": accept})
                allowed = range(200, 500) if path == "/register" and b"localhost" in body[1] else range(400, 500)
                assert answer.status_code in allowed, (path, accept, answer.status_code, answer.text)


@pytest.fixture(scope="module")
def token(whole_server: Server, shared_simulator: Simulator) -> str:
    """The access token of a person who has signed in once for all these tests."""
    return asyncio.run(signed_in(whole_server, shared_simulator)).access


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_odd_body_is_answered_with_4xx_by_mcp_and_upload(
    whole_server: Server, token: str, body: tuple[str | None, bytes]
) -> None:
    """The MCP endpoint and the upload links take no harm, with a token or without."""
    permissions: tuple[dict[str, str], ...] = ({}, {"Authorization": f"Bearer {token}"})
    async with quiet(whole_server) as http:
        for revision in ("2025-11-25", "2026-07-28"):
            for permission in permissions:
                headers = {**HEADERS, "MCP-Protocol-Version": revision, **permission}
                answer = await post(http, f"{whole_server.url}/mcp", body, headers)
                assert 400 <= answer.status_code < 500, (revision, permission, answer.status_code, answer.text)
        answer = await post(http, f"{whole_server.url}/upload/guess", body, {})
        assert 400 <= answer.status_code < 500, answer.text


CUT = [
    *((path, FORM) for path in OAUTH),
    *((path, "multipart/form-data; boundary=x") for path in OAUTH),
    ("/register", JSON),
    ("/mcp", JSON),
    ("/upload/guess", "application/octet-stream"),
]


@pytest.mark.parametrize(("path", "content_type"), CUT)
@pytest.mark.parametrize("is_closed", [True, False])
async def test_body_that_is_cut_off_is_no_fault_of_the_server(
    whole_server: Server, token: str, path: str, content_type: str, is_closed: bool
) -> None:
    """A client that hangs up in the middle of a body leaves no traceback, and its half request has no effect."""
    address = urlsplit(whole_server.url)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: {content_type}\r\nContent-Length: 1000\r\n"
        f"Accept: application/json, text/event-stream\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
    async with quiet(whole_server):
        with socket.create_connection((address.hostname, address.port), timeout=10) as client:
            client.sendall(head.encode() + CUT_MULTIPART)
            if not is_closed:
                client.shutdown(socket.SHUT_WR)
                answer = client.recv(65_536)
                assert not answer or answer.startswith(b"HTTP/1.1 4"), answer
