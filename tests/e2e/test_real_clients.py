"""The SDKs that MCP clients are made of: the TypeScript SDK under Node.js, the Python SDK through FastMCP's client."""

from __future__ import annotations

import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from key_value.aio.stores.memory import MemoryStore
from key_value.aio.wrappers.prefix_keys import PrefixKeysWrapper

from tests.e2e.person import PersonAtBrowser, PersonOAuth, direct_client
from tests.e2e.programs import Server, Simulator
from tests.e2e.typescript import NEEDS_TYPESCRIPT, run_typescript

# What clients register: VS Code on default settings, and one that asks for a secret.
VS_CODE = ["http://127.0.0.1:33418/callback", "https://vscode.dev/redirect", "https://insiders.vscode.dev/redirect"]
REGISTRATIONS: dict[str, dict[str, str]] = {
    "public": {"token_endpoint_auth_method": "none"},
    "silent": {},
    "post": {"token_endpoint_auth_method": "client_secret_post"},
    "basic": {"token_endpoint_auth_method": "client_secret_basic"},
}


@NEEDS_TYPESCRIPT
@pytest.mark.parametrize("name", REGISTRATIONS)
async def test_f2_f4_f7_f10_f16_typescript_sdk_signs_in_refreshes_and_lists_tools(
    server: Server, simulator: Simulator, name: str
) -> None:
    """With a redirect URI that is not allowed in its list, foreign scopes, and with or without a secret.

    A request whose id is null ends with an error; without a response the client would wait for ever.
    """
    metadata = {
        "client_name": "TypeScript",
        "redirect_uris": VS_CODE,
        "scope": "openid profile offline_access mcp-access",
        **REGISTRATIONS[name],
    }
    found = await run_typescript(server.url, PersonAtBrowser(simulator.ready["ca_file"]), metadata)

    assert found["steps"] == ["REDIRECT", "AUTHORIZED", "AUTHORIZED"]
    assert (found["scope"], found["refreshed"], found["openid"]) == ("mcp-access", True, True)
    assert found["hasSecret"] is (name in ("post", "basic"))
    assert "send_mail" in found["tools"]
    assert "-32600" in found["ping"]


@pytest.mark.parametrize("method", ["none", "client_secret_post", "client_secret_basic"])
async def test_f2_f7_python_sdk_signs_in_and_lists_tools(server: Server, simulator: Simulator, method: str) -> None:
    """With foreign scopes, and with or without a secret."""
    oauth = PersonOAuth(
        PersonAtBrowser(simulator.ready["ca_file"]),
        PrefixKeysWrapper(MemoryStore(), method),
        scopes="openid offline_access mcp-access",
        additional_client_metadata={"token_endpoint_auth_method": method},
    )
    transport = StreamableHttpTransport(f"{server.url}/mcp", auth=oauth, httpx_client_factory=direct_client)
    async with Client(transport) as client:
        names = [tool.name for tool in await client.list_tools()]
    registered = await oauth.token_storage_adapter.get_client_info()
    tokens = await oauth.token_storage_adapter.get_tokens()

    assert "send_mail" in names
    assert registered is not None
    assert tokens is not None
    assert bool(registered.client_secret) is (method != "none")
    assert tokens.scope == "mcp-access"
