"""Upload sessions: the allowed addresses, and how an upload resumes. The upload host is a function of this process."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import httpx2
import pytest

from m365_mcp.errors import FileRefused, FileTooLarge, GraphUnavailable, M365Error
from m365_mcp.graph.attachments import check_upload_url
from m365_mcp.graph.upload_session import (
    CANCEL_SECONDS,
    CHUNK_BYTES,
    FILE_RETRIES,
    PIECE_BYTES,
    REQUEST_SECONDS,
    UploadSession,
)
from m365_mcp.metrics import Metrics
from m365_mcp.retries import RetryPolicy
from tests.graph.recording import Recording, refuses

GRAPH = "https://graph.microsoft.com"
Host = Callable[[httpx2.Request], httpx2.Response] | Callable[[httpx2.Request], Coroutine[None, None, httpx2.Response]]


@pytest.mark.parametrize(
    ("graph", "url"),
    [
        (GRAPH, "https://outlook.office.com/api/v2.0/x?authtoken=y"),
        ("https://localhost:8443", "https://localhost:8445/x"),
        ("http://127.0.0.1:8443", "http://localhost:8445/x"),
    ],
)
def test_upload_host_may_differ_from_graphs_host(graph: str, url: str) -> None:
    """https on the internet; with a simulator on this machine, the simulator's scheme."""
    assert check_upload_url(url, graph) == url


@pytest.mark.parametrize(
    ("graph", "url"),
    [
        (GRAPH, "http://outlook.office.com/x"),
        (GRAPH, "https://localhost/x"),
        (GRAPH, "http://127.0.0.1:6379/x"),
        (GRAPH, "https://user@outlook.office.com/x"),
        (GRAPH, "file:///etc/passwd"),
        (GRAPH, "https:///x"),
        (GRAPH, ""),
        ("https://localhost:8443", "http://localhost:8445/x"),
        ("http://localhost:8443", "http://outlook.office.com/x"),
    ],
)
def test_no_byte_goes_to_another_address(graph: str, url: str) -> None:
    """An address without https, on this machine, or without a host is refused."""
    with pytest.raises(GraphUnavailable):
        check_upload_url(url, graph)


def session(host: Host, size: int = 10) -> UploadSession:
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(host))
    return UploadSession("https://upload.example/x", size, http, Metrics(), contextlib.nullcontext)


def says(status: int, **body: Any) -> httpx2.Response:
    return httpx2.Response(status, content=json.dumps(body).encode())


@pytest.mark.parametrize("ranges", [["4"], ["4-"], ["4-9"]])
@pytest.mark.parametrize("name", ["nextExpectedRanges", "NextExpectedRanges"])
async def test_every_spelling_of_the_next_range_is_read(name: str, ranges: list[str]) -> None:
    """Graph, Outlook and their documentation spell the field in different ways."""
    one = session(lambda _: says(200, **{name: ranges}))

    await one.send(b"1234")

    assert one.received == 4


async def test_stored_part_is_not_sent_again() -> None:
    """The host stores two bytes and says so; the session sends only the rest of the chunk."""
    seen: list[tuple[str, bytes]] = []

    def host(request: httpx2.Request) -> httpx2.Response:
        seen.append((request.headers["Content-Range"], request.content))
        return says(200, nextExpectedRanges=["2-" if len(seen) == 1 else "4-"])

    await session(_reading(host)).send(b"1234")

    assert seen == [("bytes 0-3/10", b"1234"), ("bytes 2-3/10", b"34")]


def _reading(host: Callable[[httpx2.Request], httpx2.Response]) -> Host:
    async def read(request: httpx2.Request) -> httpx2.Response:
        await request.aread()
        return host(request)

    return read


class BreakingHost:
    """An upload host that stores ranges and breaks once: at range `which`, by `what`, before or after it stores it."""

    def __init__(self, what: str, when: str, which: int) -> None:
        self.received = bytearray()
        self.statuses: list[int] = []
        self._fault = (what, when, which)
        self._ranges = 0

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        try:
            response = self._put(request, await request.aread()) if request.method == "PUT" else self._state()
        except httpx2.ReadError:
            self.statuses.append(0)
            raise
        self.statuses.append(response.status_code)
        return response

    def _put(self, request: httpx2.Request, part: bytes) -> httpx2.Response:
        found = re.fullmatch(r"bytes (\d+)-(\d+)/10", request.headers["Content-Range"])
        assert found is not None
        first, last = found.groups()
        if int(first) != len(self.received) or int(last) - int(first) + 1 != len(part):
            return says(416)
        what, when, which = self._fault
        strikes = self._ranges == which
        self._ranges += 1
        self.received += part[: {"before": 0, "halfway": len(part) // 2, "after": len(part)}[when]] if strikes else part
        if not strikes:
            return self._state() if len(self.received) < 10 else says(201)
        if what == "reset":
            raise httpx2.ReadError("reset")
        return httpx2.Response(int(what), headers={"Retry-After": "0"}, content=b"<html></html>")

    def _state(self) -> httpx2.Response:
        if len(self.received) == 10:
            return says(404)  # the session ends with the file
        return says(200, nextExpectedRanges=[f"{len(self.received)}-"])


@pytest.mark.parametrize("which", [0, 1, 2], ids=["first", "middle", "last"])
@pytest.mark.parametrize("when", ["before", "halfway", "after"])
@pytest.mark.parametrize("what", ["reset", "500", "429"])
@pytest.mark.sample(6)
async def test_broken_chunk_is_resumed(what: str, when: str, which: int) -> None:
    """After every fault, stored or not, the file arrives complete, once, and in order."""
    host = BreakingHost(what, when, which)
    upload = session(host)

    for chunk in (b"0123", b"4567", b"89"):
        await upload.send(chunk)

    assert bytes(host.received) == b"0123456789"
    assert 416 not in host.statuses
    assert sum(status in (0, 500, 429) for status in host.statuses) == 1
    assert upload.is_attached == (when != "after" or which != 2)


@pytest.mark.parametrize("expected", ["0-", "11-"])
async def test_host_that_has_lost_a_part_ends_the_upload(expected: str) -> None:
    """The bytes before the current chunk are not in memory, so the upload fails."""
    one = session(lambda _: says(200, nextExpectedRanges=[expected]))
    one.received = 4

    with pytest.raises(FileRefused):
        await one.send(b"56")


@pytest.mark.parametrize(("status", "kind"), [(400, FileRefused), (401, FileRefused), (413, FileTooLarge)])
async def test_refusal_is_not_repeated(status: int, kind: type[Exception]) -> None:
    """A lasting refusal is raised at once."""
    asked: list[str] = []

    def host(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.method)
        return says(status)

    with pytest.raises(kind):
        await session(host).send(b"1234")
    assert asked == ["PUT"]


async def test_cancel_that_fails_is_no_error() -> None:
    """The session asks the host to delete it; if the host is unreachable, the session expires by itself."""
    asked: list[tuple[str, str]] = []

    def host(request: httpx2.Request) -> httpx2.Response:
        asked.append((request.method, str(request.url)))
        raise httpx2.ConnectError("away")

    await session(host).cancel()

    assert asked == [("DELETE", "https://upload.example/x")]


SENTENCE = "Microsoft's upload host "
REACHED = f"{SENTENCE}could not be reached, or the connection broke."


def test_limits_are_the_documented_ones() -> None:
    """A range is below the host's 4 MiB; a request has thirty seconds, a file a minute of repeats."""
    assert (CHUNK_BYTES, PIECE_BYTES) == (3_932_160, 65_536)
    assert (REQUEST_SECONDS, CANCEL_SECONDS) == (30.0, 5.0)
    assert RetryPolicy(seconds=60.0, first_pause=0.25, tries=6) == FILE_RETRIES


async def test_range_is_sent_with_its_place_and_no_token() -> None:
    """The headers tell which part of which size comes; a large range goes in pieces and arrives whole."""
    chunk = bytes(range(256)) * 1024
    host = Recording(says(200, nextExpectedRanges=[f"{len(chunk)}-"]), says(201))
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(host))
    size = len(chunk) + 3
    upload = UploadSession("https://upload.example/x?authtoken=y", size, http, host.metrics, contextlib.nullcontext)

    await upload.send(chunk)
    half = (upload.received, upload.is_attached)
    await upload.send(b"end")

    first, last = host.requests
    assert (first.method, str(first.url)) == ("PUT", "https://upload.example/x?authtoken=y")
    assert first.content == chunk
    assert first.headers["Content-Range"] == f"bytes 0-{len(chunk) - 1}/{size}"
    assert first.headers["Content-Length"] == str(len(chunk))
    assert first.headers["Content-Type"] == "application/octet-stream"
    assert "Authorization" not in first.headers
    assert last.headers["Content-Range"] == f"bytes {len(chunk)}-{size - 1}/{size}"
    assert half == (len(chunk), False)
    assert (upload.received, upload.is_attached) == (size, True)
    assert host.timed("uploadChunk") == 2


async def test_accepted_range_may_be_202() -> None:
    """OneDrive's hosts say 202 for a range that is not the last."""
    upload = session(lambda _: says(202, nextExpectedRanges=["4-9"]))

    await upload.send(b"1234")

    assert (upload.received, upload.is_attached) == (4, False)


REFUSED = f"{SENTENCE}refused the file; its draft may have been sent or deleted."


@pytest.mark.parametrize(
    ("answer", "kind", "sentence", "advice"),
    [
        (refuses(413), FileTooLarge, f"{SENTENCE}does not accept a file of this size.", FileTooLarge.advice),
        (refuses(400), FileRefused, REFUSED, FileRefused.advice),
        (refuses(404), FileRefused, REFUSED, FileRefused.advice),
        (refuses(403), FileRefused, REFUSED, FileRefused.advice),
    ],
)
async def test_refusal_of_the_host_has_an_error_with_advice(
    answer: httpx2.Response, kind: type[M365Error], sentence: str, advice: str
) -> None:
    """The person reads what to do next; the host's id of the request is passed on."""
    with pytest.raises(kind) as caught:
        await session(Recording(answer)).send(b"1234")
    assert (caught.value.sentence, caught.value.advice, caught.value.reference) == (sentence, advice, "the-id")


async def test_lost_part_has_an_error_with_advice() -> None:
    """The file must come again from its beginning."""
    one = session(lambda _: says(200, nextExpectedRanges=["0-"]))
    one.received = 4

    with pytest.raises(FileRefused) as caught:
        await one.send(b"56")
    assert (caught.value.sentence, caught.value.advice) == (
        f"{SENTENCE}has lost a part of the file.",
        FileRefused.advice,
    )


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"nextExpectedRanges": []},
        {"nextExpectedRanges": "4-"},
        {"nextExpectedRanges": ["x-"]},
        {"nextExpectedRanges": ["-4"]},
        {"nextExpectedRanges": ["٤-"]},
    ],
)
async def test_host_that_does_not_say_where_to_go_on_is_asked_again(body: dict[str, Any]) -> None:
    """An unreadable answer is a passing fault: the host is asked for its state, and the upload goes on."""
    host = Recording(says(200, **body), says(200, nextExpectedRanges=["2-"]), says(200, nextExpectedRanges=["4-"]))
    upload = session(host)

    await upload.send(b"1234")

    assert [request.method for request in host.requests] == ["PUT", "GET", "PUT"]
    assert host.requests[2].content == b"34"
    assert upload.received == 4


async def test_every_passing_fault_says_what_it_was() -> None:
    """After the last try the error names the host's fault."""
    sentences = []
    for answer in (says(416), says(200), httpx2.ConnectError("away")):
        host = Recording(answer)
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(host))
        upload = UploadSession("https://upload.example/x", 10, http, Metrics(), contextlib.nullcontext)
        with pytest.raises(GraphUnavailable) as caught:
            await upload._put(b"1234", 4)
        sentences.append(caught.value.sentence)

    assert sentences == [
        f"{SENTENCE}expects another part of the file.",
        f"{SENTENCE}does not say which part of the file it expects.",
        REACHED,
    ]


async def test_state_that_is_refused_ends_the_upload() -> None:
    """When the session is gone before the last range, the file is lost; after it, the file is complete."""
    gone = session(Recording(httpx2.ReadError("reset"), refuses(404)))
    with pytest.raises(FileRefused):
        await gone.send(b"1234")
    complete = session(Recording(httpx2.ReadError("reset"), refuses(404)))
    await complete.send(b"0123456789")

    assert gone.received == 0
    assert (complete.received, complete.is_attached) == (10, False)


async def test_state_and_end_of_a_session_are_timed_and_have_slots() -> None:
    """Each request holds a slot of the mailbox, and counts under its own name."""
    used = 0

    @contextlib.asynccontextmanager
    async def slot() -> AsyncIterator[None]:
        nonlocal used
        used += 1
        yield

    host = Recording(httpx2.ReadError("reset"), says(200, nextExpectedRanges=["4-"]), says(204))
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(host))
    upload = UploadSession("https://upload.example/x", 10, http, host.metrics, slot)

    await upload.send(b"1234")
    await upload.cancel()

    assert [request.method for request in host.requests] == ["PUT", "GET", "DELETE"]
    assert [host.timed(name) for name in ("uploadChunk", "uploadState", "cancelUpload")] == [1, 1, 1]
    assert used == 3


def test_address_shows_in_no_representation() -> None:
    """The address is the permission."""
    assert "authtoken" not in repr(
        UploadSession("https://x/?authtoken=y", 1, httpx2.AsyncClient(), Metrics(), contextlib.nullcontext)
    )
