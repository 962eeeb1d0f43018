"""The bytes of one upload on their way into a draft: checked, counted and hashed on the way, never whole in memory."""

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
from m365_mcp.mail.attachment_types import content_type_of
from m365_mcp.mail.rules import MAX_INLINE_ATTACHMENT_BYTES


@dataclass(frozen=True)
class Pace:
    """How slow an upload may be, so that nobody keeps a slot by sending a byte now and then.

    Only the time that is spent waiting for the uploading client counts, not the time Microsoft takes. All times are in
    seconds.

    Attributes:
        first_byte: how long the first byte may take.
        bytes_per_second: the lowest rate. Each part that arrives earns the time it would take at this rate.
        reserve: how much time an upload has at its beginning, and how much it may have earned at most. So a pause is
            at most this long, and the whole takes at most this long and the time of its size at the lowest rate.
        longest: how long all parts may take together.
    """

    first_byte: float = 20.0
    bytes_per_second: float = 25_000.0  # 0.2 Mbit/s
    reserve: float = 30.0
    longest: float = 3600.0  # 150 MB at 0.4 Mbit/s


@dataclass
class Incoming:
    """The body of one upload.

    Attributes:
        size: bytes, as announced (Content-Length).
        parts: the bytes; raises UploadBrokenOff when whoever uploads has gone.
        pace: how slow they may come.
        clock: monotonic, in seconds; for tests.
    """

    size: int
    parts: AsyncIterator[bytes] = field(repr=False)
    pace: Pace = field(default_factory=Pace)
    clock: Callable[[], float] = time.monotonic
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256, init=False, repr=False)
    _count: int = field(default=0, init=False)
    _reserve: float = field(default=0.0, init=False)
    _left: float = field(default=0.0, init=False)

    @property
    def sha256(self) -> str:
        """SHA-256 of what has passed, hexadecimal."""
        return self._digest.hexdigest()

    async def chunks(self) -> AsyncGenerator[bytes]:
        """Go through the bytes, in pieces of `CHUNK_BYTES` and a last smaller one; at least one piece.

        Raises:
            UploadBrokenOff: they ended before the announced size, did not go on, or came too slowly.
        """
        waiting = bytearray()
        self._reserve, self._left = self.pace.reserve, self.pace.longest
        while self._count < self.size:
            part = await self._next_part()
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

    async def _next_part(self) -> bytes:
        patience = min(self._reserve, self._left, math.inf if self._count else self.pace.first_byte)
        began = self.clock()
        try:
            async with asyncio.timeout(patience):
                part = await anext(self.parts)
        except (TimeoutError, StopAsyncIteration) as error:
            raise UploadBrokenOff from error
        waited = self.clock() - began
        if waited > patience:
            raise UploadBrokenOff
        self._left -= waited
        self._reserve = min(self._reserve - waited + len(part) / self.pace.bytes_per_second, self.pace.reserve)
        return part


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
