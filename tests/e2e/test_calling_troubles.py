"""`m365-mcp call` where something is wrong: tokens, values, what stands at the address, and an answer that is lost."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.programs import Server, Simulator
from tests.e2e.test_calling import Terminal

Answer = Callable[[str, dict[str, Any]], tuple[int, dict[str, Any] | str] | None]


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[str]:
    """Serve HTTP, one request a connection, and give the URL; where `answer` is None, the connection just ends."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next((int(line[15:]) for line in head.lower().split("\r\n") if line.startswith("content-length:")), 0)
        body = json.loads(await reader.readexactly(length)) if length else {}
        if (found := answer(head.split()[1], body)) is not None:
            status, content = found
            text = (content if isinstance(content, str) else json.dumps(content)).encode()
            kind = "text/html" if isinstance(content, str) else "application/json"
            writer.write(f"HTTP/1.1 {status} x\r\nContent-Type: {kind}\r\nLocation: https://a.example/mcp\r\n".encode())
            writer.write(f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n".encode() + text)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("status", "said"),
    [(200, "There is no MCP server"), (404, "There is no MCP server"), (308, "redirects"), (503, "status 503")],
)
async def test_what_stands_at_the_address_is_named(
    server: Server, simulator: Simulator, tmp_path: Path, status: int, said: str
) -> None:
    """A page, nothing, a redirect and an outage are told apart, in one line, and exit code 3."""
    async with answering(lambda *_: (status, "<p>Hello</p>")) as url:
        ended = await Terminal(tmp_path, server.url, simulator).call("get_my_profile", url=f"{url}/mcp")

    assert (ended[0], ended[1], ended[2].count("\n")) == (3, "", 1)
    assert said in ended[2]


async def test_tokens_that_cannot_be_read_are_told_and_replaced(
    server: Server, simulator: Simulator, tmp_path: Path
) -> None:
    """A file that was cut off costs a sign-in; at the sign-out, it is said that the session goes on."""
    terminal = Terminal(tmp_path, server.url, simulator)

    def cut_off() -> None:
        for path in terminal.kept():
            if path.name.endswith(".json") and "_tokens" in path.name:
                path.write_text("{")

    await terminal.call()
    cut_off()
    again = await terminal.call("get_my_profile")
    cut_off()
    ended = await terminal.call("--sign-out")

    assert (again[0], terminal.sign_ins) == (0, 2)
    assert "could not be read, and are deleted" in again[2]
    assert (ended[0], "could not be told" in ended[2]) == (3, True)
    assert (await terminal.call("--sign-out"))[2] == "Nobody was signed in.\n"


async def test_values_that_are_no_text_are_refused_before_the_call(
    server: Server, simulator: Simulator, tmp_path: Path
) -> None:
    """Bytes that are not UTF-8 and a missing file are wrong usage; `--help` shows the tool's own arguments."""
    terminal = Terminal(tmp_path, server.url, simulator)
    (tmp_path / "picture").write_bytes(b"\xff\xd8\xff")

    binary = await terminal.call("send_mail", "body=@picture")
    missing = await terminal.call("send_mail", "body=@nowhere")
    helped = await terminal.call("send_mail", "--help")

    assert (binary[0], missing[0], helped[0]) == (2, 2, 0)
    assert "UTF-8" in binary[2]
    assert "cannot be read" in missing[2]
    assert "subject (string, required)" in helped[1]


async def test_call_whose_answer_is_lost_is_not_repeated(server: Server, simulator: Simulator, tmp_path: Path) -> None:
    """The tools/call leaves once, and the person is told that it may have been done."""
    seen: Counter[str] = Counter()
    about = {
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "x", "version": "1"},
    }
    tool = {"name": "send_mail", "inputSchema": {"type": "object", "properties": {}}}
    results: dict[str, Any] = {"initialize": about, "tools/list": {"tools": [tool]}}

    def answer(path: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any] | str] | None:
        method = asked.get("method", "")
        seen[method] += 1
        if "oauth-protected-resource" in path:
            return 200, {"resource": f"{url}/mcp", "authorization_servers": [url]}
        if "oauth-authorization-server" in path:
            ends = {f"{name}_endpoint": f"{url}/{name}" for name in ("authorization", "token")}
            return 200, {"issuer": url, "response_types_supported": ["code"], **ends}
        if method == "tools/call":
            return None
        if "id" not in asked:
            return (202, {}) if method else (405, {})
        error = {"error": {"code": -32601, "message": "unknown"}}
        found = {"result": results[method]} if method in results else error
        return 200, {"jsonrpc": "2.0", "id": asked["id"], **found}

    async with answering(answer) as url:
        ended = await Terminal(tmp_path, server.url, simulator).call("send_mail", url=f"{url}/mcp")

    assert (ended[0], seen["tools/call"]) == (3, 1), ended
    assert "may have been done" in ended[2]
