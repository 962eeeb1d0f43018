"""Host and Origin are compared with the public URL, also behind TLS termination."""

import httpx2
import pytest
from starlette.responses import PlainTextResponse

from m365_mcp import settings
from m365_mcp.web.origins import HostOriginGuard
from tests.ids import IDS


async def ask(path: str, headers: dict[str, str], **changes: object) -> int:
    """Return the status of a request that reaches the guard as plain HTTP, as it does behind an Ingress."""
    chosen = settings.load(**IDS, mcp_server_base_url="https://mcp.example.com", **changes)
    guard = HostOriginGuard(PlainTextResponse("in"), chosen)
    transport = httpx2.ASGITransport(app=guard)
    async with httpx2.AsyncClient(transport=transport, base_url="http://mcp.example.com") as client:
        return (await client.post(path, headers=headers)).status_code


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "MCP.Example.COM:443"}, 200),
        ({"Host": "mcp.example.com."}, 200),
        ({"Host": "localhost:8000"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Host": "10.1.2.3:8000"}, 421),
        ({"Host": "mcp.example.com.evil.example"}, 421),
        ({"Host": "mcp.example.com@evil.example"}, 421),
        ({"Host": "[half"}, 421),
        ({"Origin": "https://mcp.example.com"}, 200),
        ({"Origin": "https://mcp.example.com:443"}, 200),
        ({"Origin": "http://mcp.example.com"}, 403),
        ({"Origin": "https://mcp.example.com:8443"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://localhost:6274"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://mcp.example.com.evil.example"}, 403),
        ({"Origin": "http://[half"}, 403),
    ],
)
async def test_only_what_was_meant_for_this_server_passes(headers: dict[str, str], status: int) -> None:
    """The public host and this machine's names pass, and pages of the public origin only."""
    assert await ask("/mcp", headers) == status


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/.well-known/oauth-protected-resource/mcp"])
async def test_probes_and_metadata_pass_with_any_host(path: str) -> None:
    """A probe by pod address and a metadata request from any page are answered."""
    assert await ask(path, {"Host": "10.1.2.3:8000", "Origin": "https://evil.example"}) == 200


async def test_operator_can_add_hosts_and_origins() -> None:
    """What is configured is let through as well."""
    changes = {"mcp_allowed_hosts": ("inner.example.com",), "mcp_allowed_origins": ("https://tools.example.com",)}

    assert await ask("/mcp", {"Host": "inner.example.com"}, **changes) == 200
    assert await ask("/mcp", {"Origin": "https://tools.example.com"}, **changes) == 200
