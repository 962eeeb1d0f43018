"""HSTS and the headers of pages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.apps import opened

YEAR = "max-age=31536000"


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
@pytest.mark.parametrize("path", ["/", "/livez", "/icon", "/mcp", "/none", "/.well-known/oauth-authorization-server"])
async def test_h21_https_is_asked_for_where_the_host_is_ours(
    changes: dict[str, Any], expected: str | None, path: str
) -> None:
    """MCP_HSTS_SECONDS: a year by default; nothing on http or on a shared host; never for subdomains."""
    async with opened(**changes) as http:
        answer = await http.get(path)

    assert answer.headers.get("Strict-Transport-Security") == expected
