"""Upload sessions: the allowed addresses, and how an upload resumes. The upload host is a function of this process."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Coroutine
from typing import Any

import httpx2
import pytest

from m365_mcp.errors import FileTooLarge, GraphUnavailable, MessageRefused
from m365_mcp.graph.attachments import check_upload_url
from m365_mcp.graph.upload_session import UploadSession
from m365_mcp.metrics import Metrics

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

    with pytest.raises(MessageRefused):
        await one.send(b"56")


@pytest.mark.parametrize(("status", "kind"), [(400, MessageRefused), (401, MessageRefused), (413, FileTooLarge)])
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
