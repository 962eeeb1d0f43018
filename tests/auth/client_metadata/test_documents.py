"""The last good document of a client: where it is kept, how long it is used, and when it is gone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from m365_mcp.auth.client_metadata.clients import CLIENT_METADATA
from m365_mcp.auth.client_metadata.documents import LENT_PLACES, Documents
from m365_mcp.auth.client_metadata.fetcher import Fetcher
from m365_mcp.auth.client_metadata.hosts import HostRules
from m365_mcp.errors import ClientMetadataInvalid, ClientMetadataUnavailable
from m365_mcp.storage.records import Records, Versioned
from tests.backends import make_records

URL = "https://client.example.com/client.json"
LENT = f"{CLIENT_METADATA.name}-lent"
HOUR, DAY = 3600.0, 24 * 3600.0
BODY = json.dumps({"client_id": URL, "redirect_uris": ["http://localhost/callback"]}).encode()


class Noting(Records):
    """Records that note what is stored, and for how long."""

    def __init__(self, inner: Records) -> None:
        super().__init__(inner._backend, inner._cipher)
        self.stored: list[tuple[str, float]] = []
        self.keys_stored: set[str] = set()

    async def compare_and_swap(
        self, collection: str, key: str, stored: Versioned, value: Mapping[str, Any] | None, seconds: float = 0
    ) -> Versioned | None:
        self.stored.append((collection, seconds))
        self.keys_stored.add(key)
        return await super().compare_and_swap(collection, key, stored, value, seconds)


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


def place_of(url: str) -> str:
    return str(int(hashlib.sha256(url.encode()).hexdigest(), 16) % LENT_PLACES)


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
    """Until a sign-in with a client begins, its document is in the memory of one process only."""
    documents = host.replica(http)
    assert await found(documents) == URL
    host.status = 500

    with pytest.raises(ClientMetadataUnavailable):
        await host.replica(http).get(URL)
    await documents.keep(URL)
    assert await found(host.replica(http)) == URL


async def test_f1_running_sign_in_goes_on_at_every_replica(host: Host, http: httpx2.AsyncClient) -> None:
    """F1: the document of a sign-in that has begun serves every replica while the host is away."""
    first, second = host.replica(http), host.replica(http)
    await first.get(URL)
    await first.lend(URL)
    await first.lend(URL)
    host.status = 0

    assert await found(second) == URL
    await second.keep(URL)
    place = place_of(URL)
    lent = await host.records.read(LENT, place)
    assert await host.records.compare_and_swap(LENT, place, lent, None)
    host.now += HOUR + 1
    assert await found(host.replica(http)) == URL


async def test_f1_document_of_a_sign_in_is_lent_for_that_time_only(host: Host, http: httpx2.AsyncClient) -> None:
    """F1: the store forgets the document of a sign-in that nobody finished; a document that is kept is not lent."""
    host.records = noting = Noting(host.records)
    first, second = host.replica(http), host.replica(http)
    await first.get(URL)
    await first.lend(URL)
    await second.get(URL)
    await second.keep(URL)
    for documents in (first, second):
        await documents.get(URL)
        await documents.lend(URL)

    assert noting.stored == [(LENT, 1800.0), (CLIENT_METADATA.name, 30 * DAY)]


async def test_f3_documents_that_are_lent_have_a_fixed_number_of_places(host: Host, http: httpx2.AsyncClient) -> None:
    """F3: strangers who begin sign-ins with ever new documents fill the places, and the latest of a place stays."""
    host.records = noting = Noting(host.records)
    documents = host.replica(http)
    urls = [f"https://client.example.com/{number}" for number in range(4 * LENT_PLACES)]
    for url in urls:
        host.body = json.dumps({"client_id": url, "redirect_uris": ["http://localhost/cb"]}).encode()
        await documents.get(url)
        await documents.lend(url)
    host.status = 0
    another = host.replica(http)
    with pytest.raises(ClientMetadataUnavailable):  # another document has its place
        await another.get(next(url for url in urls if place_of(url) == place_of(urls[-1])))

    assert len(noting.keys_stored) <= LENT_PLACES
    assert (await another.get(urls[-1]) or {})["client_id"] == urls[-1]


@pytest.mark.parametrize("status", [0, 500])
async def test_f1_retry_after_is_when_the_host_is_asked_again(
    host: Host, http: httpx2.AsyncClient, status: int
) -> None:
    """F1: whoever waits as long as the answer says gets the document, if the host is well again."""
    host.status = status
    documents = host.replica(http)
    waits = []
    for _ in range(2):
        with pytest.raises(ClientMetadataUnavailable) as caught:
            await documents.get(URL)
        waits.append(caught.value.retry_after or 0.0)
        host.status, host.now = 200, host.now + 10.5

    assert waits == [30.0, 20.0]
    host.now += waits[1] - 10.5
    assert await found(documents) == URL


@pytest.mark.parametrize(
    ("status", "body", "said", "advised"),
    [
        (404, b"", "answers with status 404", "people who make the MCP client"),
        (503, b"", "answers with status 503", "people who make the MCP client"),
        (0, b"", "cannot be fetched from", "allow the server to reach that host"),
    ],
)
async def test_f1_host_that_was_reached_is_not_called_unreachable(
    host: Host, http: httpx2.AsyncClient, status: int, body: bytes, said: str, advised: str
) -> None:
    """F1: the sentence tells an answer from none, and the advice is for whoever can act."""
    host.status, host.body = status, body

    with pytest.raises(ClientMetadataUnavailable) as caught:
        await host.replica(http).get(URL)

    assert said in caught.value.sentence
    assert advised in caught.value.advice


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"redirect_uris": []}, "its member redirect_uris is not valid"),
        ({"token_endpoint_auth_method": "client_secret_post"}, "its member token_endpoint_auth_method is not valid"),
        ({"jwks": [], "logo_uri": "x"}, "its member jwks is not valid"),
        ({"redirect_uris": ["http://local\nhost/callback"]}, "its member redirect_uris is not valid"),
        ({"jwks_uri": "https://exa\tmple.com/keys"}, "its member jwks_uri is not valid"),
        ({"client_id": URL + "/"}, "its client_id is not the URL that it is at"),
    ],
)
async def test_f1_invalid_document_is_told_what_is_wrong(
    host: Host, http: httpx2.AsyncClient, changes: dict[str, Any], said: str
) -> None:
    """F1: the answer and the log name the member; the advice names who can act, and sends nobody to the log."""
    host.body = json.dumps({**json.loads(BODY), **changes}).encode()

    with capture_logs() as lines, pytest.raises(ClientMetadataInvalid) as caught:
        await host.replica(http).get(URL)

    assert said in caught.value.sentence
    assert "log" not in caught.value.advice
    assert "make the MCP client" in caught.value.advice
    assert [line.get("member", "client_id") in said for line in lines] == [True]


@pytest.mark.parametrize(
    "client_id",
    [
        "https://client.example.com/other.json",
        "https://evil.example/client.json",
        "https://CLIENT.example.com/client.json",
        "http://client.example.com/client.json",
        f"{URL}?x=1",
        f"{URL}#x",
        "https://client.example.com:443/client.json",
        "",
        None,
        [URL],
    ],
    ids=str,
)
async def test_b13_document_that_names_another_client_is_refused(
    host: Host, http: httpx2.AsyncClient, client_id: object
) -> None:
    """Only the URL itself, character for character, is the `client_id` of the document that is there."""
    host.body = json.dumps({**json.loads(BODY), "client_id": client_id}).encode()

    with pytest.raises(ClientMetadataInvalid) as caught:
        await host.replica(http).get(URL)

    assert "client_id" in caught.value.sentence


@pytest.mark.parametrize(
    "changes",
    [
        {"token_endpoint_auth_method": None},
        {"token_endpoint_auth_method": "", "client_name": None, "jwks": None, "grant_types": None},
        {"logo_uri": "not a uri", "contacts": "one text", "client_uri": "", "scope": ["a"]},
        {
            "client_uri": "https://exa\nmple.com/",
            "logo_uri": "https://example.com/\x00",
            "tos_uri": "\thttps://a.example/",
        },
        {"tos_uri": 1, "policy_uri": {}, "software_id": [], "software_version": 2},
    ],
)
async def test_f1_document_is_read_as_a_registration_is(
    host: Host, http: httpx2.AsyncClient, changes: dict[str, Any]
) -> None:
    """F1: a member without a value counts as left out, and so does an informative one that is not valid."""
    host.body = json.dumps({**json.loads(BODY), **changes}).encode()

    assert await host.replica(http).get(URL) == json.loads(BODY)


async def test_f1_without_an_earlier_document_the_host_is_named(host: Host, http: httpx2.AsyncClient) -> None:
    """A document that was never fetched is an outage that names its host; a missing one is so for an hour."""
    host.status = 404
    documents = host.replica(http)

    with pytest.raises(ClientMetadataUnavailable, match=r"client\.example\.com answers with status 404"):
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
