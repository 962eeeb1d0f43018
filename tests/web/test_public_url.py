"""One server for each spelling of a public URL: what it publishes, serves and accepts is the same everywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx2
import pytest

from m365_mcp import settings
from m365_mcp.app import assemble
from m365_mcp.container import build_container
from tests.ids import IDS

SPELLINGS = [
    ("https://bücher.example", "https://xn--bcher-kva.example"),
    ("HTTPS://MCP.Example.com.:443/", "https://mcp.example.com"),
    ("https://mcp.example.com/a%20b/ä/", "https://mcp.example.com/a%20b/%C3%A4"),
]


@asynccontextmanager
async def server_at(url: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser in front of a server with this public URL."""
    container = build_container(settings.load(**IDS, redis_url="memory://", mcp_server_base_url=url))
    transport = httpx2.ASGITransport(app=assemble(container))
    async with httpx2.AsyncClient(transport=transport) as http:
        yield http
    await container.close()


@pytest.mark.parametrize(("spelling", "normal"), SPELLINGS)
async def test_f6_metadata_is_where_the_published_url_says(spelling: str, normal: str) -> None:
    """The challenge leads to the metadata, and both documents name the normal form."""
    origin, path = normal.removesuffix(urlsplit(normal).path), urlsplit(normal).path
    async with server_at(spelling) as http:
        challenge = (await http.post(f"{normal}/mcp", json={})).headers["WWW-Authenticate"]
        resource = (await http.get(f"{origin}/.well-known/oauth-protected-resource{path}/mcp")).json()
        server = (await http.get(f"{origin}/.well-known/oauth-authorization-server{path}")).json()

    assert f'resource_metadata="{origin}/.well-known/oauth-protected-resource{path}/mcp"' in challenge
    assert resource["resource"] == f"{normal}/mcp"
    assert server["issuer"].removesuffix("/") == resource["authorization_servers"][0].removesuffix("/") == normal
    assert server["authorization_endpoint"] == f"{normal}/authorize"


@pytest.mark.parametrize(
    ("resource", "is_ours"),
    [
        ("https://mcp.example.com/mcp", True),
        ("https://mcp.example.com:443/mcp", True),
        ("HTTPS://MCP.example.com./mcp/?x=1", True),
        ("https://mcp.example.com//mcp", True),
        ("https://mcp.example.com/%6dcp", True),
        ("https://mcp.example.com:444/mcp", False),
        ("http://mcp.example.com/mcp", False),
        ("https://mcp.example.com/MCP", False),
        ("https://mcp.example.com", False),
        ("https://mcp.example.com/mcp#x", False),
        ("https://user@mcp.example.com/mcp", False),
        ("https://mcp.example.com%2Fmcp", False),
        ("https://evil.example/mcp", False),
        ("[", False),
    ],
)
async def test_f6_resource_is_compared_in_its_normal_form(resource: str, is_ours: bool) -> None:
    """A client may spell our resource in every equal way; another resource is refused at the token endpoint."""
    form = {"grant_type": "authorization_code", "code": "x", "client_id": "x", "resource": resource}
    async with server_at("https://mcp.example.com") as http:
        reply = await http.post("https://mcp.example.com/token", data=form)

    assert (reply.json()["error"] != "invalid_target") is is_ours
