"""A signed-in person who attaches files, and uploads made by hand; for the tests of attachments."""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.e2e.grants import Grant, call_tool
from tests.e2e.person import direct_client
from tests.e2e.programs import Server, Simulator

CHUNK = 3_932_160
TEN_MB = 10_000_000
UPLOADS = "/api/v2.0/*"
MAIL: dict[str, Any] = {"to": ["grace@contoso.example"], "subject": "Figures", "body": "<p>See below.</p>"}


def content(size: int = TEN_MB, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)  # noqa: S311 - any bytes do


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class AttachingPerson:
    """A signed-in person and the two tools."""

    server: Server
    grant: Grant

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        reply = await call_tool(self.server.url, self.grant.access, tool, **arguments)
        assert reply.status_code == 200, reply.text
        result: dict[str, Any] = reply.json()["result"]
        return result

    async def attach(self, *files: dict[str, Any]) -> dict[str, Any]:
        result = await self.call("attach_files", **MAIL, files=list(files))
        assert not result["isError"], result
        found: dict[str, Any] = result["structuredContent"]
        return found

    async def link(self, name: str = "figures.bin", **more: Any) -> tuple[str, str]:
        """Return a draft that waits for one file, and that file's link."""
        waiting = await self.attach({"name": name, **more})
        return waiting["draft_id"], waiting["files"][0]["upload_url"]

    async def send(self, draft_id: str) -> dict[str, Any]:
        return await self.call("send_with_attachments", draft_id=draft_id)


async def put(url: str, data: bytes | AsyncIterator[bytes], **headers: str) -> httpx2.Response:
    async with direct_client(timeout=httpx2.Timeout(120)) as http:
        return await http.put(url, content=data, headers=headers)


def text(result: dict[str, Any]) -> str:
    return "\n".join(part["text"] for part in result["content"])


def ranges(simulator: Simulator) -> list[tuple[str, int | None]]:
    """Return the ranges the upload host has seen, with its answers."""
    seen = simulator.control("GET", "requests")
    return [(one["content_range"], one["status"]) for one in seen if one.get("content_range")]
