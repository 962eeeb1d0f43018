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
from m365_mcp.uploads.transfer import Incoming
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


async def test_silence_is_not_waited_out() -> None:
    """Whoever uploads and says nothing for long is taken to be gone."""

    async def silent() -> AsyncIterator[bytes]:
        yield b"1"
        await asyncio.Event().wait()

    with pytest.raises(UploadBrokenOff):
        [piece async for piece in Incoming(5, silent(), silence=0.01).chunks()]


async def test_endless_upload_is_ended() -> None:
    """A byte now and then keeps nobody's place for ever."""

    async def trickle() -> AsyncIterator[bytes]:
        while True:
            yield b"1"
            await asyncio.sleep(0)

    with pytest.raises(UploadBrokenOff):
        [piece async for piece in Incoming(CHUNK_BYTES, trickle(), longest=0.01).chunks()]


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
