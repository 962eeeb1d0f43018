"""Reads one request or one reply of the Redis protocol (RESP2 and RESP3) and keeps it byte for byte. Pure."""

from __future__ import annotations

import asyncio

_LINE = b"\r\n"
_WITH_BYTES = b"$=!"  # bulk string, verbatim string, bulk error: a length, then that many bytes
_WITH_ITEMS = b"*~>"  # array, set, push: a count, then that many values
_WITH_PAIRS = b"%|"  # map, attribute: a count, then twice as many values


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, str]:
    """Return a request as it was sent, and the name of its command in capitals."""
    head = await reader.readuntil(_LINE)
    if head[:1] != b"*":
        raise ValueError("only requests written as arrays are understood")
    words = [await _read_bulk(reader) for _ in range(int(head[1:]))]
    return head + b"".join(size + body for size, body in words), words[0][1].strip().decode().upper()


async def _read_bulk(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    size = await reader.readuntil(_LINE)
    return size, await reader.readexactly(int(size[1:]) + len(_LINE))


async def read_reply(reader: asyncio.StreamReader) -> bytes:
    """Return a whole reply as it was sent."""
    head = await reader.readuntil(_LINE)
    kind = head[:1]
    if kind in _WITH_BYTES:
        size = int(head[1:])
        return head if size < 0 else head + await reader.readexactly(size + len(_LINE))
    if kind in _WITH_ITEMS or kind in _WITH_PAIRS:
        count = max(int(head[1:]), 0) * (2 if kind in _WITH_PAIRS else 1)
        # An attribute stands before the reply it is about.
        count += kind == b"|"
        return head + b"".join([await read_reply(reader) for _ in range(count)])
    return head
