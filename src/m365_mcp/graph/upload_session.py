"""A large file on its way to Microsoft's upload host: range after range, in order, gone on with where it broke.

The address is the permission, so no token goes there. Only the range at hand is kept; when its fate is unclear, the
host is asked for the next byte it expects.
Sources: Graph "Attach large files to Outlook messages", "uploadSession resource type".
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import httpx2

from m365_mcp.errors import FileTooLarge, GraphUnavailable, M365Error, MessageRefused, MessageTooLarge, Unavailable
from m365_mcp.graph.decipher import GraphResponse, decipher
from m365_mcp.metrics import Metrics
from m365_mcp.retries import RetryPolicy, retry, when_unavailable

CHUNK_BYTES = 12 * 320 * 1024  # 3.75 MiB: below the host's 4 MiB, and whole multiples of 320 KiB as is customary
PIECE_BYTES = 64 * 1024
REQUEST_SECONDS = 30.0
FILE_RETRIES = RetryPolicy(seconds=60.0, first_pause=0.25, tries=6)  # of each request that takes a file further
CANCEL_SECONDS = 5.0
_AGAIN = "Upload the file again with the same link while it is good."


@dataclass
class UploadSession:
    """One file on its way.

    Attributes:
        url: where its ranges go; a secret.
        size: bytes of the whole file.
        http: the shared client.
        metrics: where the time is measured.
        slot: gives one of the places at the mailbox for one request.
        kept: how many bytes the host has kept.
        is_attached: whether the host has said that the file is whole and attached. When everything was kept and it has
            not said so, its last answer got lost, and somebody must look.
    """

    url: str = field(repr=False)
    size: int
    http: httpx2.AsyncClient
    metrics: Metrics
    slot: Callable[[], AbstractAsyncContextManager[None]]
    kept: int = 0
    is_attached: bool = False

    async def send(self, chunk: bytes) -> None:
        """Return once the host has kept the next bytes of the file.

        Raises:
            M365Error: it has not, and will not.
        """
        start, end = self.kept, self.kept + len(chunk)
        is_known = True

        async def go_on(_: float) -> None:
            nonlocal is_known
            if not is_known:
                self.kept = _within(await self._expected(end), start, end)
            is_known = False  # until the host has answered
            while self.kept < end:
                self.kept = _within(await self._put(chunk[self.kept - start :], end), self.kept, end)

        await retry(FILE_RETRIES, go_on, when_unavailable)

    async def cancel(self) -> None:
        """Have the host forget the file; if that fails, it does so by itself in time."""
        with contextlib.suppress(M365Error, TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS):
                await self._request("DELETE", "cancelUpload")

    async def _put(self, part: bytes, end: int) -> int:
        """Send the range that ends before `end`, and return the next byte the host expects."""
        headers = {
            "Content-Range": f"bytes {end - len(part)}-{end - 1}/{self.size}",
            "Content-Length": str(len(part)),
            "Content-Type": "application/octet-stream",
        }
        response = await self._request("PUT", "uploadChunk", headers, _pieces(part))
        if response.status == 201:
            self.is_attached = True
            return self.size
        if response.status in (200, 202):
            return _next_byte(response)
        if response.status == 416:
            raise GraphUnavailable("Microsoft's upload host expects another part of the file.")
        raise _refusal(response)

    async def _expected(self, end: int) -> int:
        response = await self._request("GET", "uploadState")
        if response.status == 404 and end == self.size:
            return end  # it forgets the session when the file is whole
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
                with self.metrics.graph_seconds.labels(operation).time():
                    response = await self.http.request(method, self.url, headers=headers, content=content)
        except (httpx2.HTTPError, TimeoutError) as error:
            raise GraphUnavailable("Microsoft's upload host could not be reached, or broke off.") from error
        return GraphResponse(
            response.status_code, {name.lower(): value for name, value in response.headers.items()}, response.content
        )


async def _pieces(part: bytes) -> AsyncIterator[bytes]:
    """Hand a range out bit by bit: as one it would be copied several times on its way through TLS."""
    for start in range(0, len(part), PIECE_BYTES):
        yield part[start : start + PIECE_BYTES]


def _next_byte(response: GraphResponse) -> int:
    """Return the next byte the host expects; it writes names like OneDrive's, and like Outlook's."""
    ranges = response.json.get("nextExpectedRanges") or response.json.get("NextExpectedRanges")
    first = str(ranges[0]).partition("-")[0] if isinstance(ranges, list) and ranges else ""
    if not (first.isascii() and first.isdigit()):
        raise GraphUnavailable("Microsoft's upload host does not say how far the file has come.")
    return int(first)


def _within(expected: int, lowest: int, highest: int) -> int:
    if lowest <= expected <= highest:
        return expected
    # Bytes before the range at hand are not here any more.
    raise MessageRefused("Microsoft's upload host has lost a part of the file.", advice=_AGAIN)


def _refusal(response: GraphResponse) -> M365Error:
    error = decipher(response, changes_something=False)
    if isinstance(error, MessageTooLarge):
        return FileTooLarge("Microsoft's upload host does not take a file of this size.", reference=response.request_id)
    if isinstance(error, Unavailable):
        return error
    sentence = "Microsoft's upload host refused the file; its draft may have been sent or deleted."
    return MessageRefused(sentence, advice=_AGAIN, reference=response.request_id)
