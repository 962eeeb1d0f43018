"""Which requests to /mcp are looked into for another protocol version than their header's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.authentication import SimpleUser, UnauthenticatedUser
from starlette.types import Message, Receive, Scope, Send

from m365_mcp.web.protocol_version import ProtocolVersionOfBody

VERSION = "io.modelcontextprotocol/protocolVersion"


class Seen:
    """An application that keeps what arrives."""

    headers: list[tuple[bytes, bytes]]
    body: bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.headers = scope["headers"]
        self.body = (await receive()).get("body", b"")


async def pass_through(body: bytes, *versions: str, user: Any = None, path: str = "/mcp") -> tuple[Seen, list[str]]:
    """Send `body` through the middleware; return what arrived, and what the middleware itself answered."""
    seen, answers = Seen(), []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        answers.append(message["type"])

    headers = [(b"mcp-protocol-version", version.encode()) for version in versions]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "user": user or SimpleUser("client")}
    await ProtocolVersionOfBody(seen, "/mcp", 200)(scope, receive, send)
    return seen, answers


def request(method: Any = "tools/list", version: Any = "2026-07-28") -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": {VERSION: version}}}).encode()


async def test_version_of_the_body_takes_the_place_of_the_older_one() -> None:
    """The application sees the body's version and the method, and the body unchanged."""
    seen, _ = await pass_through(request(), "2025-11-25")

    assert dict(seen.headers) == {b"mcp-protocol-version": b"2026-07-28", b"mcp-method": b"tools/list"}
    assert seen.body == request()


@pytest.mark.parametrize(
    "body",
    [
        request("initialize"),
        request("ping"),
        request(["tools/list"]),
        request(version="2027-01-01"),
        request(version=["2026-07-28"]),
        request(version="2025-11-25"),
        b"[" + request() + b"]",
        request()[:-2],
        json.dumps({"jsonrpc": "2.0", "method": "tools/list", "params": {"_meta": {VERSION: "2026-07-28"}}}).encode(),
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"note": VERSION}}).encode(),
        b"",
    ],
)
async def test_everything_else_passes_unchanged(body: bytes) -> None:
    """What is no request of 2026-07-28 keeps its header, and its body."""
    seen, _ = await pass_through(body, "2025-11-25")

    assert seen.headers == [(b"mcp-protocol-version", b"2025-11-25")]
    assert seen.body == body


@pytest.mark.parametrize("versions", [(), ("2026-07-28",), ("garbage",), ("2025-11-25", "2025-11-25")])
async def test_only_one_known_older_version_is_corrected(versions: tuple[str, ...]) -> None:
    """A header that is missing, current, unknown or doubled stays for the SDK to judge."""
    seen, _ = await pass_through(request(), *versions)

    assert [value.decode() for _, value in seen.headers] == list(versions)


async def test_body_of_a_request_without_a_good_token_is_not_read() -> None:
    """A stranger's body is not collected: what is too large is left to the refusal that follows anyway."""
    too_large = b" " * 201

    seen, answers = await pass_through(too_large, "2025-11-25", user=UnauthenticatedUser())
    assert (seen.body, answers) == (too_large, [])

    _, answers = await pass_through(too_large, "2025-11-25")
    assert answers == ["http.response.start", "http.response.body"]


async def test_other_paths_are_left_alone() -> None:
    """Only the MCP endpoint speaks MCP."""
    seen, _ = await pass_through(request(), "2025-11-25", path="/token")

    assert seen.headers == [(b"mcp-protocol-version", b"2025-11-25")]
