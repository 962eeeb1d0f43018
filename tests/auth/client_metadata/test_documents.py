"""The last good document of a client: where it is kept, how long it is used, and when it is gone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from m365_mcp.auth.client_metadata.clients import CLIENT_METADATA
from m365_mcp.auth.client_metadata.documents import Documents
from m365_mcp.auth.client_metadata.fetcher import Fetcher
from m365_mcp.auth.client_metadata.hosts import HostRules
from m365_mcp.errors import ClientMetadataInvalid, ClientMetadataUnavailable
from m365_mcp.storage.records import Records
from tests.backends import make_records

URL = "https://client.example.com/client.json"
HOUR, DAY = 3600.0, 24 * 3600.0
BODY = json.dumps({"client_id": URL, "redirect_uris": ["http://localhost/callback"]}).encode()


@dataclass
class Host:
    """The client's host, and the time."""

    status: int = 200
    body: bytes = BODY
    now: float = 1_000_000.0
    asked: int = 0
    records: Records = field(default_factory=make_records)

    def replica(self, http: httpx2.AsyncClient) -> Documents:
        fetcher = Fetcher(lambda _: http, HostRules(), lambda: self.now)
        return Documents(self.records, fetcher, CLIENT_METADATA, lambda: self.now)

    def answer(self, _: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        if self.status == 0:
            raise httpx2.ConnectError("away")
        return httpx2.Response(self.status, stream=httpx2.ByteStream(self.body))


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
async def http(host: Host) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(host.answer)) as client:
        yield client


@pytest.fixture
async def kept(host: Host, http: httpx2.AsyncClient) -> Documents:
    """A replica at which somebody has signed in with the client."""
    documents = host.replica(http)
    assert await documents.get(URL)
    await documents.keep(URL)
    return documents


async def found(documents: Documents) -> Any:
    content = await documents.get(URL)
    return content and content["client_id"]


async def test_document_is_fetched_once_while_it_is_fresh(host: Host, http: httpx2.AsyncClient) -> None:
    """Within an hour a process asks once, before and after somebody has signed in."""
    documents = host.replica(http)

    for _ in range(3):
        assert await found(documents) == URL
    await documents.keep(URL)
    assert await found(documents) == URL
    host.now += HOUR + 1
    assert await found(documents) == URL

    assert host.asked == 2


@pytest.mark.parametrize("status", [0, 302, 403, 404, 410, 429, 500, 503])
async def test_f1_every_replica_goes_on_from_the_last_good_document(
    host: Host, http: httpx2.AsyncClient, kept: Documents, status: int
) -> None:
    """Whatever the host answers instead, the document of a signed-in client is used, after a restart, too."""
    host.status = status
    host.now += 2 * HOUR

    assert await found(kept) == URL
    assert await found(host.replica(http)) == URL


@pytest.mark.parametrize("body", [b"<html>", b"[" * 5000, b"{}"])
async def test_f1_document_that_has_become_invalid_is_not_used(host: Host, kept: Documents, body: bytes) -> None:
    """A page or nonsense in the place of the document changes nothing for those who are signed in."""
    host.body = body
    host.now += 2 * HOUR

    assert await found(kept) == URL


async def test_stale_document_is_used_for_thirty_days(host: Host, kept: Documents) -> None:
    """After thirty days without a fetch that succeeds, the client has to be reached again."""
    host.status = 500

    host.now += 30 * DAY - 1
    assert await found(kept) == URL
    host.now += 32
    with pytest.raises(ClientMetadataUnavailable):
        await kept.get(URL)


@pytest.mark.parametrize("status", [404, 410])
async def test_f1_document_is_gone_when_it_is_missing_twice_an_hour_apart(
    host: Host, http: httpx2.AsyncClient, kept: Documents, status: int
) -> None:
    """The first "not found" starts the hour, on whichever replica; what ends it is the second, and nothing else."""
    host.now += 2 * HOUR
    host.status = status
    assert await found(kept) == URL
    host.now += HOUR - 1
    assert await found(host.replica(http)) == URL
    host.now += 31
    host.status = 500
    assert await found(kept) == URL

    host.now += 31
    host.status = status
    assert await found(kept) is None
    assert await found(host.replica(http)) is None


async def test_document_that_comes_back_is_used_again(host: Host, kept: Documents) -> None:
    """A host that has the document again ends the hour, and a client that was gone is known again."""
    for status, expected in [(404, URL), (200, URL), (404, URL), (404, None), (500, None), (200, URL)]:
        host.now += 2 * HOUR
        host.status = status
        assert await found(kept) == expected


async def test_changed_document_replaces_the_last_good_one(host: Host, kept: Documents) -> None:
    """What the client's makers change counts after an hour."""
    host.body = json.dumps({"client_id": URL, "redirect_uris": ["https://new.example/callback"]}).encode()
    host.now += 2 * HOUR

    content = await kept.get(URL)

    assert content is not None
    assert content["redirect_uris"] == ["https://new.example/callback"]


async def test_documents_of_strangers_are_not_stored(host: Host, http: httpx2.AsyncClient) -> None:
    """Until somebody signs in with a client, its document is in the memory of one process only."""
    documents = host.replica(http)
    assert await found(documents) == URL
    host.status = 500

    with pytest.raises(ClientMetadataUnavailable):
        await host.replica(http).get(URL)
    await documents.keep(URL)
    assert await found(host.replica(http)) == URL


async def test_f1_without_an_earlier_document_the_host_is_named(host: Host, http: httpx2.AsyncClient) -> None:
    """A document that was never fetched is an outage that names its host; a missing one is so for an hour."""
    host.status = 404
    documents = host.replica(http)

    with pytest.raises(ClientMetadataUnavailable, match=r"cannot be fetched from client\.example\.com\."):
        await documents.get(URL)
    host.now += HOUR + 1
    assert await found(documents) is None


async def test_h12_without_an_earlier_document_nonsense_is_no_outage(host: Host, http: httpx2.AsyncClient) -> None:
    """What a host sends in the place of a document is a mistake of the client, and is not asked for again at once."""
    host.body = b"[" * 5000
    documents = host.replica(http)

    for _ in range(3):
        with pytest.raises(ClientMetadataInvalid):
            await documents.get(URL)

    assert host.asked == 1
