"""The stand-in for Graph: it answers with the person in the token, whole requests only."""

import asyncio
import json

import jwt
import pytest

from benchmarks.stand_in import Connection, answer, header

KEY = "a-key-of-which-nobody-looks-at-the-signature"
TOKEN = jwt.encode({"upn": "ada@contoso.example", "oid": "1", "name": "Ada"}, KEY)


def request(method: str, token: str = TOKEN, body: str = "") -> bytes:
    """Return a request to Graph."""
    head = f"{method} /v1.0/me HTTP/1.1\r\nauthorization: Bearer {token}\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n{body}".encode()


@pytest.mark.parametrize(("method", "status"), [("GET", b"200 OK"), ("POST", b"202 Accepted")])
def test_answer_is_for_the_person_in_the_token(method: str, status: bytes) -> None:
    """A profile names them; a message is accepted; without a token that names somebody the answer is 401."""
    found = answer(request(method).partition(b"\r\n\r\n")[0])

    assert found.startswith(b"HTTP/1.1 " + status)
    if method == "GET":
        assert json.loads(found.partition(b"\r\n\r\n")[2])["userPrincipalName"] == "ada@contoso.example"
    assert answer(request(method, "rubbish").partition(b"\r\n\r\n")[0]).startswith(b"HTTP/1.1 401")


def test_header_is_found_whatever_its_case() -> None:
    """The name is compared without case, the value keeps its own."""
    headers = b"A: 1\r\nAuthorization: Bearer Xy\r\nLast: z"

    assert header(headers, b"authorization") == b"Bearer Xy"
    assert header(headers, b"last") == b"z"
    assert header(headers, b"uthorization") == b""


async def test_requests_are_answered_one_by_one_however_they_arrive() -> None:
    """Two requests in single bytes get two answers, the second after its body."""
    server = await asyncio.get_running_loop().create_server(lambda: Connection(0), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
    for byte in request("POST", body="{}") + request("GET"):
        writer.write(bytes([byte]))
        await writer.drain()
    first = await reader.readuntil(b"\r\n\r\n")
    second = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    server.close()

    assert first.startswith(b"HTTP/1.1 202")
    assert second.startswith(b"HTTP/1.1 200")
