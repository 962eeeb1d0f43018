"""The bytes of one upload on their way into a draft: checked, counted and hashed on the way, never whole in memory."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field

from m365_mcp.errors import GraphUnavailable, UploadBrokenOff
from m365_mcp.graph.attachments import DraftAttachments
from m365_mcp.graph.upload_session import CHUNK_BYTES
from m365_mcp.mail import MailRules, check_attachment_start
from m365_mcp.mail.attachment_types import content_type_of
from m365_mcp.mail.rules import MAX_INLINE_ATTACHMENT_BYTES

SILENCE_SECONDS = 60.0  # how long whoever uploads may send nothing
LONGEST_SECONDS = 3600.0  # how long one upload may take: 150 MB at 0.4 Mbit/s


@dataclass
class Incoming:
    """The body of one upload.

    Attributes:
        size: bytes, as announced (Content-Length).
        parts: the bytes; raises UploadBrokenOff when whoever uploads has gone.
        silence: how long to wait for the next part, in seconds.
        longest: how long to wait for all of them.
    """

    size: int
    parts: AsyncIterator[bytes] = field(repr=False)
    silence: float = SILENCE_SECONDS
    longest: float = LONGEST_SECONDS
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256, init=False, repr=False)
    _count: int = field(default=0, init=False)

    @property
    def sha256(self) -> str:
        """SHA-256 of what has passed, hexadecimal."""
        return self._digest.hexdigest()

    async def chunks(self) -> AsyncGenerator[bytes]:
        """Go through the bytes, in pieces of `CHUNK_BYTES` and a last smaller one; at least one piece.

        Raises:
            UploadBrokenOff: they ended before the announced size, or did not go on.
        """
        waiting, until = bytearray(), time.monotonic() + self.longest
        while self._count < self.size:
            part = await self._next_part(min(self.silence, until - time.monotonic()))
            self._digest.update(part)
            self._count += len(part)
            waiting += part
            while len(waiting) > CHUNK_BYTES:
                with memoryview(waiting) as view:  # a slice of the bytearray would be one copy more
                    chunk = bytes(view[:CHUNK_BYTES])
                del waiting[:CHUNK_BYTES]
                yield chunk
        if self._count != self.size:
            raise UploadBrokenOff
        yield bytes(waiting)

    async def _next_part(self, patience: float) -> bytes:
        try:
            async with asyncio.timeout(patience):
                return await anext(self.parts)
        except (TimeoutError, StopAsyncIteration) as error:
            raise UploadBrokenOff from error


@dataclass(frozen=True)
class Transfer:
    """Takes a file into a draft.

    Attributes:
        attachments: of the draft.
        rules: what may be attached.
    """

    attachments: DraftAttachments
    rules: MailRules

    async def run(self, name: str, incoming: Incoming, *, is_first_try: bool) -> None:
        """Attach the file; whatever an earlier try may have left is taken off first.

        Raises:
            InvalidArgument: it is a program, by its content; nothing is attached.
            UploadBrokenOff: it did not arrive whole; nothing is attached.
            M365Error: it is not attached, as far as can be told; a later try sets it right.
        """
        async with contextlib.aclosing(incoming.chunks()) as chunks:
            first = await anext(chunks)
            check_attachment_start(first, self.rules, "The file")
            if not is_first_try:
                await self.attachments.remove(name)
            if incoming.size < MAX_INLINE_ATTACHMENT_BYTES:
                await self.attachments.add(name, content_type_of(name), first)
            else:
                await self._in_ranges(name, incoming, first, chunks)

    async def _in_ranges(self, name: str, incoming: Incoming, first: bytes, rest: AsyncIterator[bytes]) -> None:
        session = await self.attachments.open_session(name, content_type_of(name), incoming.size)
        try:
            await session.send(first)
            async for chunk in rest:
                await session.send(chunk)
        except BaseException:
            await session.cancel()
            raise
        if not session.is_attached and not await self.attachments.holds(name):
            raise GraphUnavailable("Microsoft did not say whether the file is attached, and it is not to be seen.")
