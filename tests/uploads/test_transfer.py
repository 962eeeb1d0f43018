"""The bytes of an upload as they pass: cut into ranges, counted and hashed; and the records of what they belong to."""

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
async def test_bytes_pass_in_order_and_in_whole_ranges(size: int, step: int) -> None:
    """However they come in, all pieces but the last have one size, and together they are the file."""
    data = bytes(range(251)) * (size // 251 + 1)
    incoming = Incoming(size, parts(data[:size], step))

    pieces = [piece async for piece in incoming.chunks()]

    assert b"".join(pieces) == data[:size]
    assert {len(piece) for piece in pieces[:-1]} <= {CHUNK_BYTES}
    assert len(pieces) == max(1, -(-size // CHUNK_BYTES))
    assert incoming.sha256 == hashlib.sha256(data[:size]).hexdigest()


@pytest.mark.parametrize("size", [3, 6])
async def test_file_of_another_length_is_broken_off(size: int) -> None:
    """Fewer bytes than announced, or more, are not a file."""
    with pytest.raises(UploadBrokenOff):
        [piece async for piece in Incoming(size, parts(b"12345", 2)).chunks()]


class Client:
    """An uploading client with a clock of its own: each part comes some seconds after the one before."""

    def __init__(self, seconds: float, part: bytes, count: int) -> None:
        self.now = 0.0
        self.parts = self._parts(seconds, part, count)

    async def _parts(self, seconds: float, part: bytes, count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            self.now += seconds
            yield part

    async def upload(self, size: int, pace: Pace) -> int:
        """Return how many bytes have arrived."""
        incoming = Incoming(size, self.parts, pace, lambda: self.now)
        return sum([len(piece) async for piece in incoming.chunks()])


async def test_silence_is_not_waited_out() -> None:
    """A client that sends nothing, at the beginning or later, is taken to be gone."""

    async def silent(*parts: bytes) -> AsyncIterator[bytes]:
        for part in parts:
            yield part
        await asyncio.Event().wait()

    for parts, pace in (((), Pace(first_byte=0.01)), ((b"1",), Pace(reserve=0.01))):
        with pytest.raises(UploadBrokenOff):
            [piece async for piece in Incoming(5, silent(*parts), pace).chunks()]


async def test_h8_client_that_trickles_is_ended_when_its_reserve_is_used_up() -> None:
    """A byte now and then keeps nobody's slot: the time each part takes must be earned by its bytes."""
    client = Client(seconds=1.0, part=b"1", count=1_000)

    with pytest.raises(UploadBrokenOff):
        await client.upload(1_000, Pace(bytes_per_second=100, reserve=30))
    assert client.now == 31


async def test_slow_client_goes_on_as_long_as_it_keeps_the_lowest_rate() -> None:
    """The whole may take the time of its size at the lowest rate, and the reserve besides."""
    client = Client(seconds=10.0, part=b"x" * 1_000, count=100)

    assert await client.upload(100_000, Pace(bytes_per_second=100, reserve=30)) == 100_000
    assert client.now == 1_000


async def test_time_earned_by_haste_is_bounded() -> None:
    """A client that was fast may pause as long as the reserve, and no longer."""
    client = Client(seconds=0.0, part=b"x" * 1_000, count=50)
    slow = Client(seconds=20.0, part=b"1", count=50)

    async def both() -> AsyncIterator[bytes]:
        async for part in client.parts:
            yield part
        async for part in slow.parts:
            yield part

    incoming = Incoming(60_000, both(), Pace(bytes_per_second=100, reserve=30), lambda: slow.now)
    with pytest.raises(UploadBrokenOff):
        [piece async for piece in incoming.chunks()]
    assert slow.now == 40


async def test_endless_upload_is_ended() -> None:
    """However much comes, all of it together may take a certain time only."""
    client = Client(seconds=10.0, part=b"x" * 1_000, count=1_000)

    with pytest.raises(UploadBrokenOff):
        await client.upload(1_000_000, Pace(bytes_per_second=100, reserve=30, longest=95))
    assert client.now == 100


async def test_h8_time_that_others_take_does_not_count() -> None:
    """A client waits for Microsoft without losing its slot."""
    client = Client(seconds=1.0, part=b"x" * CHUNK_BYTES, count=3)
    incoming = Incoming(3 * CHUNK_BYTES, client.parts, Pace(reserve=10), lambda: client.now)

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
def test_command_means_the_file_and_nothing_else(name: str, command: str) -> None:
    """Neither the shell nor curl reads more into a name."""
    assert curl_command(name, "https://x/upload/t") == command


def link(expires_at: float = 100.0) -> UploadLink:
    return UploadLink(
        person=PersonId("tenant", "ada"), session_id="s", draft_id="d", name="a.pdf", size=None, expires_at=expires_at
    )


def make_tickets(now: float = 0.0) -> UploadLinks:
    records = make_records()
    return UploadLinks(records, make_leases(records), lambda: now)


async def test_link_is_256_random_bits_and_is_not_stored() -> None:
    """Two links differ, and the store knows a link's hash only."""
    links = make_tickets()

    first, second = await links.issue(link()), await links.issue(link())

    assert first != second
    assert len(first) == 43
    assert await links.find_by_name(first) is None
    assert await links.find(first) == link()


async def test_ticket_is_one_uploaders_at_a_time_and_good_again_after_a_failure() -> None:
    """While it is taken nobody else has it; after a failure it may be taken again, knowing that it was."""
    links = make_tickets()
    secret = await links.issue(link())

    async with links.claimed(secret) as claimed:
        assert claimed.link.is_first_try
        with pytest.raises(UploadRunning):
            async with links.claimed(secret):
                pass
        await claimed.note(state="failed", problem="graph_unavailable")
    async with links.claimed(secret) as again:
        assert not again.link.is_first_try
        await again.note(state="done", size=1, sha256="x")

    with pytest.raises(UploadLinkEnded):
        async with links.claimed(secret):
            pass


async def test_ticket_whose_process_died_is_free_again() -> None:
    """A record that says `uploading`, with nobody who holds its lease, is no obstacle."""
    links = make_tickets()
    secret = await links.issue(link())
    async with links.claimed(secret):
        pass  # ends without a word, as a killed process does

    async with links.claimed(secret) as claimed:
        assert claimed.link.state == "uploading"


async def test_link_ends_with_its_time() -> None:
    """At the second it expires it cannot be used any more; an unknown one never could."""
    links = make_tickets(now=100.0)
    secret = await links.issue(link(expires_at=100.0))

    with pytest.raises(UploadLinkEnded):
        await links.find(secret)
    with pytest.raises(UploadLinkUnknown):
        await links.find("guess")


async def test_parcel_is_its_persons_only() -> None:
    """Nobody finds a draft of somebody else, or one that was never announced."""
    with pytest.raises(DraftUnknown):
        await UploadBatches(make_records()).find(PersonId("tenant", "grace"), "d")
