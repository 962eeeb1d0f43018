"""The SDKs that MCP clients are made of: the TypeScript SDK as a Node.js program, the Python SDK by FastMCP's client.

The TypeScript SDK is not a dependency: `TYPESCRIPT_SDK_FOLDER` names a folder in which
`npm install @modelcontextprotocol/sdk` has been run.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from key_value.aio.stores.memory import MemoryStore
from key_value.aio.wrappers.prefix_keys import PrefixKeysWrapper

from m365_mcp.settings import foreign_environment
from tests.e2e.person import PersonAtBrowser, PersonOAuth, direct_client
from tests.e2e.programs import Server, Simulator

SCRIPT = Path(__file__).with_name("typescript_client.mjs")
SDK_FOLDER = foreign_environment().get("TYPESCRIPT_SDK_FOLDER", "")
NODE = shutil.which("node") or ""
# What clients register: VS Code on default settings, and one that asks for a secret.
VS_CODE = ["http://127.0.0.1:33418/callback", "https://vscode.dev/redirect", "https://insiders.vscode.dev/redirect"]
REGISTRATIONS: dict[str, dict[str, str]] = {
    "public": {"token_endpoint_auth_method": "none"},
    "silent": {},
    "post": {"token_endpoint_auth_method": "client_secret_post"},
    "basic": {"token_endpoint_auth_method": "client_secret_basic"},
}


@pytest.mark.skipif(not (NODE and SDK_FOLDER), reason="needs Node.js and TYPESCRIPT_SDK_FOLDER")
@pytest.mark.parametrize("name", REGISTRATIONS)
async def test_f2_f4_f7_f16_typescript_sdk_signs_in_refreshes_and_lists_tools(
    server: Server, simulator: Simulator, name: str
) -> None:
    """With a redirect URI that is not allowed in its list, foreign scopes, and with or without a secret."""
    metadata = {
        "client_name": "TypeScript",
        "redirect_uris": VS_CODE,
        "scope": "openid profile offline_access mcp-access",
        **REGISTRATIONS[name],
    }
    found = await _run_script(server, PersonAtBrowser(simulator.ready["ca_file"]), metadata)

    assert found["steps"] == ["REDIRECT", "AUTHORIZED", "AUTHORIZED"]
    assert (found["scope"], found["refreshed"], found["openid"]) == ("mcp-access", True, True)
    assert found["hasSecret"] is (name in ("post", "basic"))
    assert "send_mail" in found["tools"]


async def _run_script(server: Server, person: PersonAtBrowser, metadata: dict[str, Any]) -> dict[str, Any]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        NODE, str(SCRIPT), SDK_FOLDER, server.url, json.dumps(metadata), stdin=pipe, stdout=pipe, stderr=pipe
    )
    assert process.stdin is not None
    assert process.stdout is not None
    address = (await process.stdout.readline()).decode().strip()
    assert address, (await process.communicate())[1].decode()
    target = await person.sign_in(address)
    answered = dict(parse_qsl(urlsplit(target).query))
    output, errors = await process.communicate(json.dumps(answered).encode() + b"\n")
    assert process.returncode == 0, errors.decode()
    found: dict[str, Any] = json.loads(output)
    return found


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
