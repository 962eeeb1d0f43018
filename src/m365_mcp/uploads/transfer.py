"""Passes the bytes of an upload to a draft in ranges, and checks, counts and hashes them on the way."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field

from m365_mcp.errors import GraphUnavailable, UploadBrokenOff
from m365_mcp.graph.attachments import DraftAttachments
from m365_mcp.graph.upload_session import CHUNK_BYTES
from m365_mcp.mail import MailRules, check_attachment_start
from m365_mcp.mail.attachment_types import extension_of
from m365_mcp.mail.media_types import content_type_of
from m365_mcp.mail.rules import MAX_INLINE_ATTACHMENT_BYTES


@dataclass(frozen=True)
class Pace:
    """The lowest rate of an upload, so that a client that sends a byte now and then loses its slot (a token bucket).

    The server counts the time that it waits for the uploading client, and not the time that Microsoft takes. All times
    are in seconds.

    Attributes:
        first_byte: longest wait for the first byte.
        bytes_per_second: the lowest rate. Each received part adds the time that it takes at this rate to the credit.
        credit: the initial and the highest time credit. A pause is at most this long. The whole upload takes at most
            this time and the time of its size at the lowest rate.
        longest: longest wait for all parts together.
    """

    first_byte: float = 20.0
    bytes_per_second: float = 25_000.0  # 0.2 Mbit/s
    credit: float = 30.0
    longest: float = 3600.0  # 150 MB at 0.34 Mbit/s


@dataclass
class Incoming:
    """The body of one upload.

    Attributes:
        size: bytes, from Content-Length.
        parts: the bytes; raises UploadBrokenOff when the client disconnects.
        pace: the lowest rate of the upload.
        clock: returns monotonic seconds; for tests.
    """

    size: int
    parts: AsyncIterator[bytes] = field(repr=False)
    pace: Pace = field(default_factory=Pace)
    clock: Callable[[], float] = time.monotonic
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256, init=False, repr=False)
    _count: int = field(default=0, init=False)
    _credit: float = field(default=0.0, init=False)
    _left: float = field(default=0.0, init=False)

    @property
    def sha256(self) -> str:
        """SHA-256 of the received bytes, hexadecimal."""
        return self._digest.hexdigest()

    async def chunks(self) -> AsyncGenerator[bytes]:
        """Iterate over the bytes in chunks of `CHUNK_BYTES`; the last chunk may be smaller. Yields at least one chunk.

        Raises:
            UploadBrokenOff: the number of bytes is not the announced size, or the client stopped or was too slow.
        """
        buffer = bytearray()
        self._credit, self._left = self.pace.credit, self.pace.longest
        while self._count < self.size:
            part = await self._next_part()
            self._digest.update(part)
            self._count += len(part)
            buffer += part
            while len(buffer) > CHUNK_BYTES:
                with memoryview(buffer) as view:  # a slice of the bytearray would make another copy
                    chunk = bytes(view[:CHUNK_BYTES])
                del buffer[:CHUNK_BYTES]
                yield chunk
        if self._count != self.size:
            raise UploadBrokenOff
        yield bytes(buffer)

    async def _next_part(self) -> bytes:
        timeout = min(self._credit, self._left, math.inf if self._count else self.pace.first_byte)
        began = self.clock()
        try:
            async with asyncio.timeout(timeout):
                part = await anext(self.parts)
        except (TimeoutError, StopAsyncIteration) as error:
            raise UploadBrokenOff from error
        waited = self.clock() - began
        if waited > timeout:
            raise UploadBrokenOff
        self._left -= waited
        self._credit = min(self._credit - waited + len(part) / self.pace.bytes_per_second, self.pace.credit)
        return part


@dataclass(frozen=True)
class Transfer:
    """Adds a file to a draft.

    Attributes:
        attachments: the attachments of the draft.
        rules: the operator's rules for attachments.
    """

    attachments: DraftAttachments
    rules: MailRules

    async def run(self, name: str, incoming: Incoming, *, is_first_try: bool) -> None:
        """Attach the file; remove the attachment of an earlier try first.

        Raises:
            FileIsProgram: the content is a program; the file is not attached.
            UploadBrokenOff: the file did not arrive whole; it is not attached.
            M365Error: the file is probably not attached; a later try removes what this one left.
        """
        async with contextlib.aclosing(incoming.chunks()) as chunks:
            first = await anext(chunks)
            check_attachment_start(first, self.rules, "The file")
            if not is_first_try:
                await self.attachments.remove(name)
            if incoming.size < MAX_INLINE_ATTACHMENT_BYTES:
                await self.attachments.add(name, content_type_of(extension_of(name), first), first)
            else:
                await self._send_ranges(name, incoming, first, chunks)

    async def _send_ranges(self, name: str, incoming: Incoming, first: bytes, rest: AsyncIterator[bytes]) -> None:
        session = await self.attachments.open_session(name, content_type_of(extension_of(name), first), incoming.size)
        try:
            await session.send(first)
            async for chunk in rest:
                await session.send(chunk)
        except BaseException:
            await session.cancel()
            raise
        if not session.is_attached and not await self.attachments.holds(name):
            raise GraphUnavailable("Microsoft did not confirm the attachment, and the draft does not show it.")
