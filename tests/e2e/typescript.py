"""Runs the TypeScript SDK, which most MCP clients are made of, as a Node.js program.

The SDK is no dependency: `TYPESCRIPT_SDK_FOLDER` names a folder in which `npm install @modelcontextprotocol/sdk` has
been run.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from m365_mcp.settings import foreign_environment
from tests.e2e.person import PersonAtBrowser

SCRIPT = Path(__file__).with_name("typescript_client.mjs")
SDK_FOLDER = foreign_environment().get("TYPESCRIPT_SDK_FOLDER", "")
NODE = shutil.which("node") or ""
NEEDS_TYPESCRIPT = pytest.mark.skipif(not (NODE and SDK_FOLDER), reason="needs Node.js and TYPESCRIPT_SDK_FOLDER")


async def run_typescript(
    url: str,
    person: PersonAtBrowser,
    metadata: dict[str, Any],
    document_url: str = "",
    before_refresh: Callable[[], Awaitable[None]] | None = None,
) -> dict[str, Any]:
    """Sign `person` in at the server at `url`, refresh, and list the tools; return what the client found.

    Args:
        metadata: what the client registers.
        document_url: its metadata document; with one it does not register.
        before_refresh: called between the code and the refresh.
    """
    pipe = asyncio.subprocess.PIPE
    arguments = (str(SCRIPT), SDK_FOLDER, url, json.dumps(metadata), document_url)
    process = await asyncio.create_subprocess_exec(NODE, *arguments, stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stdin is not None
    assert process.stdout is not None
    address = (await process.stdout.readline()).decode().strip()
    assert address, (await process.communicate())[1].decode()
    target = await person.sign_in(address)
    process.stdin.write(json.dumps(dict(parse_qsl(urlsplit(target).query))).encode() + b"\n")
    redeemed = await process.stdout.readline()
    assert redeemed == b"AUTHORIZED\n", (await process.communicate())[1].decode()
    if before_refresh is not None:
        await before_refresh()
    output, errors = await process.communicate(b"go on\n")
    assert process.returncode == 0, errors.decode()
    found: dict[str, Any] = json.loads(output)
    return found
