"""The bytes of an upload: cut into ranges, counted and hashed; and the records of upload links and batches."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest

from m365_mcp.errors import DraftUnknown, UploadBrokenOff, UploadLinkEnded, UploadLinkUnknown, UploadRunning
from m365_mcp.graph.upload_session import CHUNK_BYTES
from m365_mcp.person import PersonId
from m365_mcp.tools.attachments import curl_command
from m365_mcp.uploads.links import UploadBatches, UploadLink, UploadLinks
from m365_mcp.uploads.transfer import Incoming, Pace
from tests.backends import make_leases, make_records


async def parts(data: bytes, step: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), step):
        yield data[start : start + step]


@pytest.mark.parametrize("step", [1_000_000, CHUNK_BYTES, 9_000_000])
@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 9_000_000])
async def test_chunks_are_whole_ranges_in_order(size: int, step: int) -> None:
    """All chunks except the last have the same size, and together they are the file."""
    data = bytes(range(251)) * (size // 251 + 1)
    incoming = Incoming(size, parts(data[:size], step))

    chunks = [chunk async for chunk in incoming.chunks()]

    assert b"".join(chunks) == data[:size]
    assert {len(chunk) for chunk in chunks[:-1]} <= {CHUNK_BYTES}
    assert len(chunks) == max(1, -(-size // CHUNK_BYTES))
    assert incoming.sha256 == hashlib.sha256(data[:size]).hexdigest()


@pytest.mark.parametrize("size", [3, 6])
async def test_file_of_another_length_is_broken_off(size: int) -> None:
    """Fewer or more bytes than the announced size break off the upload."""
    with pytest.raises(UploadBrokenOff):
        [chunk async for chunk in Incoming(size, parts(b"12345", 2)).chunks()]


class Client:
    """An uploading client with its own clock: it sends a part every few seconds."""

    def __init__(self, seconds: float, part: bytes, count: int) -> None:
        self.now = 0.0
        self.parts = self._parts(seconds, part, count)

    async def _parts(self, seconds: float, part: bytes, count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            self.now += seconds
            yield part

    async def upload(self, size: int, pace: Pace) -> int:
        """Return the number of received bytes."""
        incoming = Incoming(size, self.parts, pace, lambda: self.now)
        return sum([len(chunk) async for chunk in incoming.chunks()])


async def test_silent_client_is_broken_off() -> None:
    """The server breaks off an upload when the client sends nothing, at the beginning or later."""

    async def silent(*parts: bytes) -> AsyncIterator[bytes]:
        for part in parts:
            yield part
        await asyncio.Event().wait()

    for parts, pace in (((), Pace(first_byte=0.01)), ((b"1",), Pace(credit=0.01))):
        with pytest.raises(UploadBrokenOff):
            [chunk async for chunk in Incoming(5, silent(*parts), pace).chunks()]


async def test_h8_trickling_client_is_broken_off_when_its_credit_is_used_up() -> None:
    """A client below the lowest rate loses its slot when its time credit is used up."""
    client = Client(seconds=1.0, part=b"1", count=1_000)

    with pytest.raises(UploadBrokenOff):
        await client.upload(1_000, Pace(bytes_per_second=100, credit=30))
    assert client.now == 31


async def test_client_at_the_lowest_rate_finishes() -> None:
    """An upload may take the time of its size at the lowest rate."""
    client = Client(seconds=10.0, part=b"x" * 1_000, count=100)

    assert await client.upload(100_000, Pace(bytes_per_second=100, credit=30)) == 100_000
    assert client.now == 1_000


async def test_credit_of_a_fast_client_is_limited() -> None:
    """A client that was fast may pause for the highest credit, and no longer."""
    client = Client(seconds=0.0, part=b"x" * 1_000, count=50)
    slow = Client(seconds=20.0, part=b"1", count=50)

    async def both() -> AsyncIterator[bytes]:
        async for part in client.parts:
            yield part
        async for part in slow.parts:
            yield part

    incoming = Incoming(60_000, both(), Pace(bytes_per_second=100, credit=30), lambda: slow.now)
    with pytest.raises(UploadBrokenOff):
        [chunk async for chunk in incoming.chunks()]
    assert slow.now == 40


async def test_long_upload_is_broken_off() -> None:
    """All parts together may take the longest time, at any rate."""
    client = Client(seconds=10.0, part=b"x" * 1_000, count=1_000)

    with pytest.raises(UploadBrokenOff):
        await client.upload(1_000_000, Pace(bytes_per_second=100, credit=30, longest=95))
    assert client.now == 100


async def test_h8_time_of_microsoft_does_not_count() -> None:
    """A client does not lose its slot while the server waits for Microsoft."""
    client = Client(seconds=1.0, part=b"x" * CHUNK_BYTES, count=3)
    incoming = Incoming(3 * CHUNK_BYTES, client.parts, Pace(credit=10), lambda: client.now)

    async for _ in incoming.chunks():
        client.now += 1_000

    assert incoming.sha256 == hashlib.sha256(b"x" * 3 * CHUNK_BYTES).hexdigest()


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("report.pdf", "curl -T 'report.pdf' 'https://x/upload/t'"),
        ("it's.pdf", "curl -T 'it'\\''s.pdf' 'https://x/upload/t'"),
        ("$(rm -rf ~).pdf", "curl -T '$(rm -rf ~).pdf' 'https://x/upload/t'"),
        ("-", "curl -T './-' 'https://x/upload/t'"),
        ("a[1-9].pdf", "curl -gT 'a[1-9].pdf' 'https://x/upload/t'"),
    ],
)
def test_curl_command_uploads_only_the_named_file(name: str, command: str) -> None:
    """Neither the shell nor curl interprets characters of a file name."""
    assert curl_command(name, "https://x/upload/t") == command


def link(expires_at: float = 100.0) -> UploadLink:
    return UploadLink(
        person=PersonId("tenant", "ada"), session_id="s", draft_id="d", name="a.pdf", size=None, expires_at=expires_at
    )


def make_links(now: float = 0.0) -> UploadLinks:
    records = make_records()
    return UploadLinks(records, make_leases(records), lambda: now)


async def test_link_is_256_random_bits_and_is_not_stored() -> None:
    """Two links differ, and the store has only the hash of a link."""
    links = make_links()

    first, second = await links.issue(link()), await links.issue(link())

    assert first != second
    assert len(first) == 43
    assert await links.find_by_key(first) is None
    assert await links.find(first) == link()


async def test_link_accepts_one_upload_at_a_time_and_another_after_a_failure() -> None:
    """A second upload fails while one is running; after a failure another may start, and is not the first try."""
    links = make_links()
    secret = await links.issue(link())

    async with links.reserved(secret) as reserved:
        assert reserved.link.is_first_try
        with pytest.raises(UploadRunning):
            async with links.reserved(secret):
                pass
        await reserved.update(state="failed", problem="graph_unavailable")
    async with links.reserved(secret) as again:
        assert not again.link.is_first_try
        await again.update(state="done", size=1, sha256="x")

    with pytest.raises(UploadLinkEnded):
        async with links.reserved(secret):
            pass


async def test_link_of_a_dead_process_accepts_another_upload() -> None:
    """A record in `uploading` without a lease does not refuse another upload."""
    links = make_links()
    secret = await links.issue(link())
    async with links.reserved(secret):
        pass  # stores no outcome, like a killed process

    async with links.reserved(secret) as reserved:
        assert reserved.link.state == "uploading"


async def test_link_expires() -> None:
    """`find` refuses an expired link and an unknown link."""
    links = make_links(now=100.0)
    secret = await links.issue(link(expires_at=100.0))

    with pytest.raises(UploadLinkEnded):
        await links.find(secret)
    with pytest.raises(UploadLinkUnknown):
        await links.find("guess")


async def test_batch_belongs_to_one_person() -> None:
    """A person finds no batch of a draft that this person did not create."""
    with pytest.raises(DraftUnknown):
        await UploadBatches(make_records()).find(PersonId("tenant", "grace"), "d")
