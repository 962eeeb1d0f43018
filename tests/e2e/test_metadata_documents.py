"""Clients that bring a metadata document (CIMD) instead of registering.

FastMCP fetches such documents from public addresses only, and tests talk to loopback only; so the document is put where
FastMCP 4.2 keeps fetched ones, and everything after the fetch is real.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
import uvicorn
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.server.auth.cimd import CIMDDocument, _CIMDCacheEntry

from m365_mcp import settings
from m365_mcp.app import Container, assemble, build_container
from tests.e2e.person import Assistant, PersonAtBrowser, PersonOAuth, direct_client
from tests.e2e.programs import Simulator, free_port
from tests.trust import NO_AUTHORITY

CLIENT_ID = "https://client.example.com/oauth/metadata.json"


@asynccontextmanager
async def running(container: Container) -> AsyncIterator[None]:
    """Run the application on its port within this test."""
    config = uvicorn.Config(assemble(container), port=container.settings.mcp_port, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event to wait for
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def container(simulator: Simulator, tmp_path: Path) -> AsyncIterator[Container]:
    """A server in this process that has fetched the client's metadata document."""
    port = free_port()
    chosen = settings.load(
        **{name.lower(): value for name, value in simulator.settings.items()},
        mcp_server_base_url=f"http://localhost:{port}",
        mcp_host="127.0.0.1",
        mcp_port=port,
        mcp_metrics_port=0,
        redis_url="memory://",
    )
    built = build_container(chosen)
    document = CIMDDocument(
        client_id=CLIENT_ID,
        client_name="Document client",
        redirect_uris=["http://localhost/callback", "http://localhost:*/callback", "https://evil.example/callback"],
    )
    manager = built.auth._cimd_manager
    assert manager is not None
    entry = _CIMDCacheEntry(document, None, None, time.time() + 600, 600, must_revalidate=False)
    manager._fetcher._cache[CLIENT_ID] = entry
    async with running(built):
        yield built


class DocumentOAuth(PersonOAuth):
    """FastMCP's OAuth client with a metadata document."""

    def __init__(self, person: PersonAtBrowser, storage: object) -> None:
        super().__init__(person, storage)
        self._client_metadata_url = CLIENT_ID


async def test_client_with_a_metadata_document_signs_in(container: Container, simulator: Simulator) -> None:
    """No registration is made; consent shows the document's host, and the tools work."""
    url = container.settings.mcp_server_base_url
    assistant = Assistant(url, PersonAtBrowser(simulator.ready["ca_file"]))
    oauth = DocumentOAuth(assistant.person, assistant.storage)
    transport = StreamableHttpTransport(f"{url}/mcp", auth=oauth, httpx_client_factory=direct_client)

    async with Client(transport) as client:
        result = await client.call_tool("get_my_profile")

    assert result.structured_content is not None
    assert result.structured_content["displayName"] == "Ada Lovelace"
    consent = assistant.person.pages[1].text
    assert "client.example.com" in consent
    assert "Document client" in consent


@pytest.mark.parametrize("uri", ["https://evil.example/callback", "http://localhost:9/other"])
async def test_document_cannot_allow_what_the_operator_does_not(container: Container, uri: str) -> None:
    """A redirect URI must be in the document and on the operator's list."""
    query = {
        "client_id": CLIENT_ID,
        "redirect_uri": uri,
        "response_type": "code",
        "code_challenge": "x" * 43,
        "code_challenge_method": "S256",
    }
    async with httpx2.AsyncClient(verify=NO_AUTHORITY, trust_env=False) as http:
        reply = await http.get(f"{container.settings.mcp_server_base_url}/authorize", params=query)

    assert reply.status_code == 400
