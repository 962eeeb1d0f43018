"""A real server under requests that are too large, too slow, or that several proxies would read in different ways."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.person import Assistant, direct_client
from tests.e2e.programs import PATIENCE_SECONDS, Server

SLOW = 300
HEAD = b"POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"


def memory(server: Server, name: str = "VmHWM") -> int:
    """Return the memory that the server uses, or has used at most, in bytes."""
    assert server.program.process is not None
    status = Path(f"/proc/{server.program.process.pid}/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) * 1024


class Connection:
    """A connection of somebody who knows no HTTP library."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> bytes:
        """Return what comes until the server closes the connection."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.reader.read()

    async def trickle(self) -> bytes:
        """Send a byte now and then, until the server closes the connection; return what it answered."""
        answer = asyncio.create_task(self.answer())
        while not (await asyncio.wait([answer], timeout=1))[0]:
            self.writer.write(b"a")
        return answer.result()


async def connect(server: Server, stack: AsyncExitStack) -> Connection:
    address = urlsplit(server.url)
    opened = Connection(*await asyncio.open_connection(address.hostname, address.port))
    stack.callback(opened.writer.close)
    return opened


async def test_h9_header_of_150_mb_is_refused_and_not_kept(server: Server) -> None:
    """The server answers 431 before it has seen the whole header, and needs no memory for it."""
    before = memory(server)
    async with AsyncExitStack() as stack:
        connection = await connect(server, stack)
        connection.writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: ")
        answer = asyncio.create_task(connection.answer())
        with suppress(ConnectionError):  # the server takes the rest for two seconds only
            for _ in range(150):
                connection.writer.write(b"a" * 1_000_000)
                await connection.writer.drain()
        refused = await answer

    assert refused.startswith(b"HTTP/1.1 431 ")
    assert memory(server) - before < 15_000_000


@pytest.mark.full
async def test_j5_h9_slow_clients_go_and_people_work_meanwhile(server: Server, signed_in_ada: Assistant) -> None:
    """300 half requests, which send a byte now and then, are all ended; /livez and a signed-in person are answered."""
    async with AsyncExitStack() as stack:
        slow = [await connect(server, stack) for _ in range(SLOW)]
        for number, connection in enumerate(slow):
            connection.writer.write(HEAD if number % 2 else HEAD + b"Content-Length: 1000\r\n\r\n")
        answers = [asyncio.create_task(connection.trickle()) for connection in slow]
        async with direct_client() as http:
            assert (await http.get(f"{server.url}/livez")).status_code == 200
        result = await signed_in_ada.call("get_my_profile")
        ended = await asyncio.gather(*answers)

    assert not result.is_error
    assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in ended), set(ended)
    assert "Traceback" not in server.log


@pytest.mark.parametrize("path", [b"/livez", b"/", b"/mcp", b"/.well-known/oauth-protected-resource"])
async def test_h21_several_hosts_are_400(server: Server, path: bytes) -> None:
    """No path is served to a request that two proxies could send to two hosts."""
    async with AsyncExitStack() as stack:
        connection = await connect(server, stack)
        connection.writer.write(b"GET %b HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n" % path)
        answer = await connection.answer()

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"evil.example" not in answer
