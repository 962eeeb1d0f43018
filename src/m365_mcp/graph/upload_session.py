"""Sends a large file to Microsoft's upload host, range after range, and resumes it after a fault.

The address is the permission, so the requests carry no token. The session holds only the current range in memory.
After an unclear response it asks the host for the next byte that the host expects.
Sources: Graph "Attach large files to Outlook messages", "uploadSession resource type".
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import httpx2

from m365_mcp.errors import FileRefused, FileTooLarge, GraphUnavailable, M365Error, MessageTooLarge, Unavailable
from m365_mcp.graph.decipher import GraphResponse, decipher
from m365_mcp.graph.observed import observing
from m365_mcp.metrics import Metrics
from m365_mcp.retries import RetryPolicy, retry, when_unavailable

CHUNK_BYTES = 12 * 320 * 1024  # 3.75 MiB: below the host's 4 MiB, and a multiple of 320 KiB, as is customary
PIECE_BYTES = 64 * 1024
REQUEST_SECONDS = 30.0
FILE_RETRIES = RetryPolicy(seconds=60.0, first_pause=0.25, tries=6)  # of each request of an upload
CANCEL_SECONDS = 5.0


@dataclass
class UploadSession:
    """The upload of one file.

    Attributes:
        url: the address for the ranges; a secret.
        size: size of the whole file in bytes.
        http: the shared HTTP client.
        metrics: the metrics that record the duration.
        slot: reserves a mailbox slot for one request.
        received: how many bytes the host has stored.
        is_attached: whether the host has confirmed that the file is complete and attached. If `received` equals `size`
            and this is false, the last response was lost, and the caller must check the attachments.
    """

    url: str = field(repr=False)
    size: int
    http: httpx2.AsyncClient
    metrics: Metrics
    slot: Callable[[], AbstractAsyncContextManager[object]]
    received: int = 0
    is_attached: bool = False

    async def send(self, chunk: bytes) -> None:
        """Send the next bytes of the file, and return when the host has stored them all.

        Raises:
            M365Error: the host did not store them; the upload has failed.
        """
        start, end = self.received, self.received + len(chunk)
        is_known = True

        async def send_rest(_: float) -> None:
            nonlocal is_known
            if not is_known:
                self.received = _check_position(await self._ask_position(end), start, end)
            is_known = False  # until the host has responded
            while self.received < end:
                position = await self._put(chunk[self.received - start :], end)
                self.received = _check_position(position, self.received, end)

        await retry(FILE_RETRIES, send_rest, when_unavailable)

    async def cancel(self) -> None:
        """Ask the host to delete the upload. If that fails, the session expires by itself."""
        with contextlib.suppress(M365Error, TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS):
                await self._request("DELETE", "cancelUpload")

    async def _put(self, part: bytes, end: int) -> int:
        """Send the range that ends before `end`, and return the position of the next byte that the host expects."""
        headers = {
            "Content-Range": f"bytes {end - len(part)}-{end - 1}/{self.size}",
            "Content-Length": str(len(part)),
            "Content-Type": "application/octet-stream",
        }
        response = await self._request("PUT", "uploadChunk", headers, _split(part))
        if response.status == 201:
            self.is_attached = True
            return self.size
        if response.status in (200, 202):
            return _next_byte(response)
        if response.status == 416:
            raise GraphUnavailable("Microsoft's upload host expects another part of the file.")
        raise _refusal(response)

    async def _ask_position(self, end: int) -> int:
        response = await self._request("GET", "uploadState")
        if response.status == 404 and end == self.size:
            return end  # the host deletes the session when the file is complete
        if response.status != 200:
            raise _refusal(response)
        return _next_byte(response)

    async def _request(
        self,
        method: str,
        operation: str,
        headers: dict[str, str] | None = None,
        content: AsyncIterator[bytes] | None = None,
    ) -> GraphResponse:
        try:
            async with self.slot(), asyncio.timeout(REQUEST_SECONDS):
                with observing(self.metrics, operation) as seen:
                    response = await self.http.request(method, self.url, headers=headers, content=content)
                    seen.status = response.status_code
        except (httpx2.HTTPError, TimeoutError) as error:
            raise GraphUnavailable("Microsoft's upload host could not be reached, or the connection broke.") from error
        return GraphResponse(
            response.status_code, {name.lower(): value for name, value in response.headers.items()}, response.content
        )


async def _split(part: bytes) -> AsyncIterator[bytes]:
    """Yield a range in small pieces, because TLS would copy a large one several times."""
    for start in range(0, len(part), PIECE_BYTES):
        yield part[start : start + PIECE_BYTES]


def _next_byte(response: GraphResponse) -> int:
    """Return the position of the next byte that the host expects; hosts spell the field as OneDrive or as Outlook."""
    ranges = response.json.get("nextExpectedRanges") or response.json.get("NextExpectedRanges")
    first = str(ranges[0]).partition("-")[0] if isinstance(ranges, list) and ranges else ""
    if not (first.isascii() and first.isdigit()):
        raise GraphUnavailable("Microsoft's upload host does not say which part of the file it expects.")
    return int(first)


def _check_position(expected: int, lowest: int, highest: int) -> int:
    if lowest <= expected <= highest:
        return expected
    # The bytes before the current range are no longer in memory.
    raise FileRefused("Microsoft's upload host has lost a part of the file.")


def _refusal(response: GraphResponse) -> M365Error:
    error = decipher(response, changes_something=False)
    if isinstance(error, MessageTooLarge):
        return FileTooLarge(
            "Microsoft's upload host does not accept a file of this size.", reference=response.request_id
        )
    if isinstance(error, Unavailable):
        return error
    return FileRefused(
        "Microsoft's upload host refused the file; its draft may have been sent or deleted.",
        reference=response.request_id,
    )
