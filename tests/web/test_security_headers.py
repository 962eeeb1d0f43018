"""HSTS and the headers of pages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.apps import opened

YEAR = "max-age=31536000"


PATHS = ("/", "/livez", "/icon", "/mcp", "/none", "/.well-known/oauth-authorization-server")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"mcp_server_base_url": "https://mcp.example.com"}, YEAR),
        ({"mcp_server_base_url": "https://mcp.example.com:8443"}, YEAR),
        ({"mcp_server_base_url": "https://example.com/mcp-o365"}, None),
        ({"mcp_server_base_url": "https://example.com/mcp-o365", "mcp_hsts_seconds": 300}, "max-age=300"),
        ({"mcp_server_base_url": "https://mcp.example.com", "mcp_hsts_seconds": 0}, None),
        ({"mcp_server_base_url": "http://localhost:8000"}, None),
        ({"mcp_server_base_url": "http://localhost:8000", "mcp_hsts_seconds": 300}, None),
    ],
)
@pytest.mark.sample(3)
async def test_h21_https_is_asked_for_where_the_host_is_ours(changes: dict[str, Any], expected: str | None) -> None:
    """MCP_HSTS_SECONDS: a year by default; nothing on http or on a shared host; never for subdomains."""
    async with opened(**changes) as http:
        answers = {path: await http.get(path) for path in PATHS}

    found = {path: answer.headers.get("Strict-Transport-Security") for path, answer in answers.items()}
    assert found == dict.fromkeys(PATHS, expected)
