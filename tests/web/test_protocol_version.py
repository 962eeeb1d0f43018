"""Which requests to /mcp are looked into for another protocol version than their header's."""

from __future__ import annotations

from typing import Any

import pytest

from m365_mcp.web.mcp_requests import NO_JSON
from m365_mcp.web.protocol_version import with_version_of_body

VERSION = "io.modelcontextprotocol/protocolVersion"


def passed(message: Any, *versions: str) -> list[tuple[bytes, bytes]]:
    """Return the headers of a request with this message and these version headers, as the SDK will see them."""
    headers = [(b"mcp-protocol-version", version.encode()) for version in versions]
    found: list[tuple[bytes, bytes]] = with_version_of_body({"type": "http", "headers": headers}, message)["headers"]
    return found


def request(method: Any = "tools/list", version: Any = "2026-07-28") -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": {VERSION: version}}}


def test_version_of_the_body_takes_the_place_of_the_older_one() -> None:
    """The application sees the body's version and the method."""
    assert dict(passed(request(), "2025-11-25")) == {
        b"mcp-protocol-version": b"2026-07-28",
        b"mcp-method": b"tools/list",
    }


@pytest.mark.parametrize(
    "message",
    [
        request("initialize"),
        request("ping"),
        request(["tools/list"]),
        request(version="2027-01-01"),
        request(version=["2026-07-28"]),
        request(version="2025-11-25"),
        [request()],
        NO_JSON,
        {"jsonrpc": "2.0", "method": "tools/list", "params": {"_meta": {VERSION: "2026-07-28"}}},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"note": VERSION}},
        None,
    ],
)
def test_everything_else_passes_unchanged(message: Any) -> None:
    """What is no request of 2026-07-28 keeps its header."""
    assert passed(message, "2025-11-25") == [(b"mcp-protocol-version", b"2025-11-25")]


@pytest.mark.parametrize("versions", [(), ("2026-07-28",), ("garbage",), ("2025-11-25", "2025-11-25")])
def test_only_one_known_older_version_is_corrected(versions: tuple[str, ...]) -> None:
    """A header that is missing, current, unknown or doubled stays for the SDK to judge."""
    assert [value.decode() for _, value in passed(request(), *versions)] == list(versions)
