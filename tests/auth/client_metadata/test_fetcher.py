"""Fetching from hosts that strangers choose: a real https server on loopback, and no other."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx2
import pytest
import trustme

from m365_mcp.auth.client_metadata.clients import CLIENT_METADATA
from m365_mcp.auth.client_metadata.fetcher import (
    MAX_FETCHES,
    MAX_FETCHES_OF_A_HOST,
    MAX_WAITING,
    DocumentInvalid,
    Fetcher,
    FetchFailed,
    HostRefused,
)
from m365_mcp.auth.client_metadata.hosts import HostRules
from m365_mcp.auth.client_metadata.transport import CheckedTransport, NameNotResolved
from m365_mcp.http_clients import plain_client
from tests.document_host import Answer, DocumentHost, document, running_host

NAME = "client.example.com"
PATIENT = (30.0, 30.0)  # seconds for a turn and for a fetch, more than a busy machine takes
HASTY = (0.2, 2.0)  # for hosts that never answer
LOOPBACK = "127.0.0.1"


class Names:
    """A name server whose answers a test chooses; by default every name is this machine."""

    def __init__(self) -> None:
        self.answers: list[list[str]] = []
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if not self.answers:
            return [LOOPBACK]
        answer = self.answers.pop(0)
        if not answer:
            raise NameNotResolved("no address")
        return answer


@dataclass
class Setting:
    """A fetcher, one that waits less, what they ask, and the clock that tells how long they remember a failure."""

    host: DocumentHost
    fetcher: Fetcher
    hasty: Fetcher
    names: Names
    trust: ssl.SSLContext
    now: float = 0.0

    async def failure(self, path: str = "/client.json", *, hasty: bool = False) -> FetchFailed:
        fetcher = self.hasty if hasty else self.fetcher
        with pytest.raises(FetchFailed) as caught:
            await fetcher.fetch(self.host.url(path), CLIENT_METADATA)
        return caught.value


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def setting(authority: trustme.CA) -> AsyncIterator[Setting]:
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    async with running_host(authority, NAME) as host:
        names, rules = Names(), HostRules((host.netloc,))
        async with plain_client(transport=CheckedTransport(trust, rules, names)) as http:
            fetcher, hasty = (
                Fetcher(lambda _: http, rules, lambda: made.now, *seconds) for seconds in (PATIENT, HASTY)
            )
            made = Setting(host, fetcher, hasty, names, trust)
            host.answer = document(host.url())
            yield made


async def test_document_is_fetched_by_name_from_the_address_that_was_checked(setting: Setting) -> None:
    """The certificate is checked for the name, the Host header has it, and DNS is asked once."""
    fetched = await setting.fetcher.fetch(setting.host.url(), CLIENT_METADATA)

    assert fetched.content["client_name"] == "Document client"
    assert f"Host: {setting.host.netloc}" in setting.host.requests[0]
    assert setting.names.asked == [NAME]


async def test_b10_h12_second_answer_of_dns_is_never_asked_for(authority: trustme.CA, setting: Setting) -> None:
    """The connection goes to the address of the first answer, which was checked (no DNS rebinding)."""
    setting.names.answers = [[LOOPBACK], ["169.254.169.254"]]

    await setting.fetcher.fetch(setting.host.url(), CLIENT_METADATA)

    assert setting.names.asked == [NAME]


@pytest.mark.parametrize(
    "addresses", [[LOOPBACK], ["168.63.129.16"], ["1.1.1.1", "10.0.0.1"], ["::ffff:127.0.0.1"], ["fe80::1%lo"]]
)
async def test_h12_name_with_a_special_purpose_address_is_not_dialled(setting: Setting, addresses: list[str]) -> None:
    """One such address among the answers is enough, and nothing is sent."""
    setting.names.answers = [addresses]
    async with plain_client(transport=CheckedTransport(setting.trust, HostRules(), setting.names)) as http:
        fetcher = Fetcher(lambda _: http, HostRules(), lambda: 0.0)

        with pytest.raises(FetchFailed, match="special_purpose_address"):
            await fetcher.fetch(f"https://{NAME}/client.json", CLIENT_METADATA)

    assert setting.host.requests == []


async def test_dead_address_leaves_the_next_its_turn(setting: Setting) -> None:
    """When one address of a host refuses, the next is tried."""
    setting.names.answers = [["127.0.0.2", LOOPBACK]]

    assert (await setting.fetcher.fetch(setting.host.url(), CLIENT_METADATA)).content


@pytest.mark.parametrize("url", ["https://client.example.com:22/x", "https://127.0.0.1/x", "https://localhost/x"])
async def test_h12_refused_host_is_not_looked_up(setting: Setting, url: str) -> None:
    """A URL that the rules refuse causes no question to DNS and no request."""
    with pytest.raises(HostRefused):
        await setting.fetcher.fetch(url, CLIENT_METADATA)

    assert setting.names.asked == []


PAGE = Answer(200, b"<html>", {"Content-Type": "text/html; charset=utf-8"})


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        *((Answer(status), f"http_{status}") for status in (204, 302, 304, 400, 401, 403, 404, 410, 429, 500, 503)),
        (PAGE, "html_page"),
        (Answer(silent=True), "timeout"),
        (Answer(200, b"{" + b" " * 500, pause=0.05), "timeout"),
    ],
)
@pytest.mark.sample(5)
async def test_f1_answer_that_is_no_document_is_a_failure(setting: Setting, answer: Answer, reason: str) -> None:
    """A refusal, a redirect, a page, silence and a byte at a time end within the total time, as a failure to fetch."""
    setting.host.answer = answer

    failure = await setting.failure(hasty=reason == "timeout")

    assert failure.reason == reason
    assert not isinstance(failure, DocumentInvalid)


@pytest.mark.parametrize("location", ["http://10.0.0.1/", "https://169.254.169.254/latest", "/other.json", "//[::1]/x"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.sample(4)
async def test_b11_redirect_is_not_followed(setting: Setting, status: int, location: str) -> None:
    """A document that has moved, inwards or on its own host, is a failure: no name is looked up and no host asked."""
    setting.host.answer = Answer(status, headers={"Location": location})

    failure = await setting.failure()

    assert failure.reason == f"http_{status}"
    assert setting.names.asked == [NAME]
    assert len(setting.host.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 5120,
        b'{"a":' * 1000,
        b"",
        b"null",
        b"[]",
        b"1e999",
        b"9" * 5000,
        b'"\\ud800"',
        b"\xff\xfe",
        b"{}",
        b'{"client_id": "https://client.example.com/other", "redirect_uris": ["http://localhost/callback"]}',
        b'{"client_id": 1}',
        b"{" + b" " * 5120 + b"}",
    ],
)
async def test_h12_odd_document_is_invalid(setting: Setting, body: bytes) -> None:
    """Whatever a host sends as JSON is either the document or invalid; nothing else is raised."""
    setting.host.answer = Answer(200, body)

    assert isinstance(await setting.failure(), DocumentInvalid)


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uris": []},
        {"redirect_uris": ["http://["]},
        {"redirect_uris": [None]},
        {"redirect_uris": "http://localhost/callback"},
        {"token_endpoint_auth_method": "client_secret_post"},
        {"jwks": []},
        {"jwks_uri": "nowhere"},
        {"client_name": ["a"]},
    ],
)
async def test_h12_document_with_an_odd_member_is_invalid(setting: Setting, changes: dict[str, object]) -> None:
    """A document with the right client id and a member of another form is invalid."""
    setting.host.answer = document(setting.host.url(), **changes)

    assert (await setting.failure()).reason == "not_client_metadata"


async def test_compressed_document_is_not_unpacked(setting: Setting) -> None:
    """The server asks for no compression, and does not unpack what comes with one."""
    setting.host.answer = Answer(200, gzip.compress(b"x" * 10_000_000), {"Content-Encoding": "gzip"})

    assert (await setting.failure()).reason in ("compressed", "too_large")


async def test_host_with_another_certificate_is_not_believed(setting: Setting) -> None:
    """A certificate for another name, or of an unknown authority, is a failure of the connection."""
    other = DocumentHost(trustme.CA(), NAME)
    other.port = setting.host.port
    await setting.host.stop()
    await other.start()

    assert (await setting.failure()).reason == "connection"
    await other.stop()


async def test_host_that_is_away_is_a_failure(setting: Setting) -> None:
    """Nobody listens: a failure of the connection. Nobody knows the name: a failure of DNS."""
    await setting.host.stop()
    assert (await setting.failure("/a")).reason == "connection"

    setting.names.answers = [[]]
    assert (await setting.failure("/b")).reason == "dns"


async def test_h12_failure_is_remembered_for_a_short_time(setting: Setting) -> None:
    """The same URL is asked once in thirty seconds, however often a stranger names it."""
    setting.host.answer = Answer(500)

    failures = [await setting.failure() for _ in range(3)]
    setting.now = 31.0
    await setting.failure()

    assert {failure.reason for failure in failures} == {"http_500"}
    assert len(setting.host.requests) == 2


@pytest.mark.parametrize(("asked", "until"), [("100", 100), ("9999999", 300), ("0", 30)])
async def test_host_that_asks_to_wait_is_left_alone(setting: Setting, asked: str, until: int) -> None:
    """`Retry-After` is honoured, for five minutes at most."""
    setting.host.answer = Answer(429, headers={"Retry-After": asked})

    await setting.failure()
    setting.now = until - 1.0
    await setting.failure()
    assert len(setting.host.requests) == 1
    setting.now = until + 1.0
    await setting.failure()

    assert len(setting.host.requests) == 2


async def test_h12_few_fetches_of_one_host_run_at_a_time(setting: Setting) -> None:
    """Of many URLs of one host, two are fetched at a time; those that get no turn are not remembered as failures."""
    setting.host.answer = Answer(silent=True)

    failures = await asyncio.gather(*(setting.failure(f"/{number}", hasty=True) for number in range(12)))

    assert setting.host.most_at_once == MAX_FETCHES_OF_A_HOST
    assert sorted(failure.reason for failure in failures) == ["busy"] * 10 + ["timeout"] * 2


async def test_b12_h12_few_fetches_run_at_a_time_in_total(setting: Setting) -> None:
    """Many hosts together have a limit, too; and beyond a number that waits, a fetch fails at once."""
    asked: list[str] = []

    async def silent(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.host)
        await asyncio.Event().wait()
        raise AssertionError

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(silent)) as http:
        fetcher = Fetcher(lambda _: http, HostRules(), lambda: 0.0, *HASTY)

        async def fails(number: int) -> str:
            with pytest.raises(FetchFailed) as caught:
                await fetcher.fetch(f"https://h{number}.example.com/x", CLIENT_METADATA)
            return caught.value.reason

        reasons = await asyncio.gather(*map(fails, range(MAX_WAITING + 10)))

    assert len(asked) == MAX_FETCHES
    assert reasons.count("timeout") == MAX_FETCHES
    assert reasons[MAX_WAITING:] == ["busy"] * 10


async def test_concurrent_calls_share_a_fetch_that_outlives_a_client(setting: Setting) -> None:
    """Ten calls for one document make one request, also when the first caller hangs up."""
    calls = [asyncio.create_task(setting.fetcher.fetch(setting.host.url(), CLIENT_METADATA)) for _ in range(10)]
    await asyncio.sleep(0)
    calls[0].cancel()

    fetched = await asyncio.gather(*calls[1:])

    assert len(setting.host.requests) == 1
    assert all(one.content for one in fetched)
    with contextlib.suppress(asyncio.CancelledError):
        await calls[0]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 3600),
        ({"Cache-Control": "public, max-age=600"}, 600),
        ({"Cache-Control": "max-age=1"}, 60),
        ({"Cache-Control": "max-age=99999999999999"}, 86400),
        ({"Cache-Control": "max-age=-1"}, 3600),
        ({"Cache-Control": "no-store, max-age=600"}, 60),
        ({"Expires": "Thu, 01 Jan 1970 00:00:00 GMT"}, 60),
        ({"Expires": "0"}, 60),
    ],
)
async def test_host_says_within_bounds_how_long_a_document_is_fresh(
    setting: Setting, headers: dict[str, str], seconds: float
) -> None:
    """Cache-Control and Expires count, between a minute and a day; without them it is an hour."""
    answer = document(setting.host.url())
    setting.host.answer = Answer(200, answer.body, headers)

    assert (await setting.fetcher.fetch(setting.host.url(), CLIENT_METADATA)).fresh_seconds == seconds
