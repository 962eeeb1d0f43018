"""Uploads on real sockets: the largest file, ranges that break, and clients that leave."""

import contextlib
import hashlib
import tracemalloc
from collections.abc import AsyncIterator

import httpx2
import pytest

from .client import Client

MIB = 1024 * 1024


@contextlib.asynccontextmanager
async def upload_session(client: Client, size: int) -> AsyncIterator[tuple[dict[str, str], str, str]]:
    """Create a draft and an upload session; give the headers, the draft's path and the upload URL."""
    headers = await client.mail_headers()
    path = f"me/messages/{(await client.draft(headers))['id']}"
    item = {"attachmentType": "file", "name": "a.bin", "size": size}
    url = f"{path}/attachments/createUploadSession"
    session = await client.graph("POST", url, headers, json={"AttachmentItem": item})
    yield headers, path, session.json()["uploadUrl"]


async def put_range(client: Client, url: str, first: int, content: bytes, size: int) -> httpx2.Response:
    """Upload one range."""
    headers = {"Content-Range": f"bytes {first}-{first + len(content) - 1}/{size}"}
    return await client.uploads.put(url, content=content, headers=headers)


@pytest.mark.full
async def test_150_mib_go_through_cheaply(live: Client) -> None:
    """The largest attachment is taken in ranges of 4 MiB, hashed on the way and not kept in memory."""
    size, chunk = 150 * MIB, bytes(4 * MIB)
    expected = hashlib.sha256()
    async with upload_session(live, size) as (headers, path, url):
        tracemalloc.start()
        for first in range(0, size, len(chunk)):
            part = chunk[: size - first]
            expected.update(part)
            answer = await put_range(live, url, first, part, size)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        sent = await live.graph("POST", f"{path}/send", headers)

    assert (answer.status_code, sent.status_code) == (201, 202)
    assert (await live.outbox())[0]["attachments"][0]["sha256"] == expected.hexdigest()
    assert peak < 32 * MIB


@pytest.mark.parametrize(("when", "kept"), [("before", 0), ("halfway", 0), ("after", 4 * MIB)])
async def test_broken_range_can_be_resumed(live: Client, when: str, kept: int) -> None:
    """The connection breaks before, in the middle of or after a range; the session tells where to go on."""
    size = 4 * MIB + 1
    fault = {"where": {"path": "/api/v2.0/*", "method": "PUT"}, "what": {"reset": True}, "when": when}
    async with upload_session(live, size) as (_, _, url):
        await live.control("POST", "faults", fault)
        with pytest.raises((httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError)):
            await put_range(live, url, 0, bytes(4 * MIB), size)

        (expected,) = (await live.uploads.get(url)).json()["NextExpectedRanges"]
        assert expected == f"{kept}-"
        if kept == 0:
            assert (await put_range(live, url, 0, bytes(4 * MIB), size)).status_code == 200
        assert (await put_range(live, url, 4 * MIB, b"x", size)).status_code == 201


async def test_client_that_leaves_in_the_middle_leaves_nothing(live: Client) -> None:
    """Half a range is not kept when the client goes away."""
    size = 3 * MIB
    async with upload_session(live, size) as (_, _, url):

        async def half() -> AsyncIterator[bytes]:
            yield bytes(MIB)
            raise ConnectionAbortedError

        headers = {"Content-Range": f"bytes 0-{size - 1}/{size}", "Content-Length": str(size)}
        with pytest.raises(ConnectionAbortedError):
            await live.uploads.put(url, content=half(), headers=headers)

        assert (await live.uploads.get(url)).json()["NextExpectedRanges"] == ["0-"]
        assert (await put_range(live, url, 0, bytes(size), size)).status_code == 201


async def test_refused_range_leaves_the_connection_usable(live: Client) -> None:
    """A range that is refused before its body was read is answered, and the next one goes on."""
    size = 4 * MIB
    async with upload_session(live, size) as (_, _, url):
        refused = await put_range(live, url, 5, bytes(2 * MIB), size)

        assert refused.status_code == 416
        assert (await put_range(live, url, 0, bytes(size), size)).status_code == 201
