"""Attachments of a draft: which requests they take, how a doubtful one is looked up, and what a refusal means."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from m365_mcp.errors import (
    FileRefused,
    FileTooLarge,
    GraphUnavailable,
    M365Error,
    MailboxMissing,
    PermissionMissing,
    ReadRefused,
    Throttled,
)
from m365_mcp.graph.attachments import POLL_PAUSES, Attached, DraftAttachments, list_attachments
from m365_mcp.mail.rules import MAX_ATTACHMENTS
from tests.graph.recording import IMMUTABLE, Recording, refuses, says

PATH = "/me/messages/AAMk+1/attachments"
NONE = says(200, {"value": []})
UPLOAD = "https://upload.example/x"


class Slots:
    """Mailbox slots that count."""

    def __init__(self) -> None:
        self.held = self.used = 0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        self.held += 1
        self.used += 1
        assert self.held == 1
        try:
            yield
        finally:
            self.held -= 1


def over(*answers: httpx2.Response | Exception) -> tuple[Recording, DraftAttachments, Slots]:
    graph, slots = Recording(*answers), Slots()
    return graph, DraftAttachments(graph.mailbox(), "AAMk+1", slots.slot), slots


def listing(*names: str) -> httpx2.Response:
    return says(200, {"value": [{"id": f"id/{number}", "name": name} for number, name in enumerate(names)]})


async def test_small_file_is_added_in_one_request() -> None:
    """Name, type and content go to the draft, in one slot of the mailbox."""
    graph, one, slots = over(says(201))

    await one.add("a.txt", "text/plain", b"hello")

    assert graph.asked == [("POST", PATH)]
    assert graph.bodies == [
        {
            "@odata.type": "#microsoft.graph.fileAttachment",
            "name": "a.txt",
            "contentType": "text/plain",
            "contentBytes": base64.b64encode(b"hello").decode(),
        }
    ]
    assert graph.requests[0].headers["Prefer"] == IMMUTABLE
    assert graph.timed("addAttachment") == 1
    assert slots.used == 1


@pytest.mark.parametrize("lost", [refuses(503), httpx2.ReadError("broke off")], ids=["503", "broken off"])
@pytest.mark.sample(1)
async def test_doubtful_addition_is_looked_up(lost: httpx2.Response | Exception) -> None:
    """A file that is there was added; another one does not count, and the file is added again."""
    graph, one, _ = over(lost, listing("b.txt", "a.txt"))
    await one.add("a.txt", "text/plain", b"hello")
    again, other, _ = over(lost, NONE, listing("b.txt"), NONE, NONE, says(201))
    await other.add("a.txt", "text/plain", b"hello")

    looked = ("GET", f"{PATH}?$select=id,name")
    assert graph.asked == [("POST", PATH), looked]
    assert graph.requests[1].headers["Prefer"] == IMMUTABLE
    assert graph.timed("listAttachments") == 1
    assert again.asked == [("POST", PATH), *[looked] * 4, ("POST", PATH)]
    assert POLL_PAUSES == (0.0, 0.3, 0.7, 1.5)


REFUSALS: list[tuple[httpx2.Response, type[M365Error], str, str]] = [
    (
        refuses(413),
        FileTooLarge,
        "The message with this file would be larger than the mailbox accepts.",
        FileTooLarge.advice,
    ),
    (
        refuses(404),
        FileRefused,
        "The draft for this file no longer exists.",
        "Start again with attach_files.",
    ),
    (
        refuses(400),
        FileRefused,
        "Microsoft Graph refused the file.",
        "Upload the file again with the same link while it is valid, or start again with attach_files.",
    ),
    (refuses(403), PermissionMissing, PermissionMissing.sentence, PermissionMissing.advice),
    (
        refuses(404, "MailboxNotEnabledForRESTAPI"),
        MailboxMissing,
        MailboxMissing.sentence,
        MailboxMissing.advice,
    ),
]


@pytest.mark.parametrize(("answer", "kind", "sentence", "advice"), REFUSALS)
async def test_refused_file_has_an_error_with_advice(
    answer: httpx2.Response, kind: type[M365Error], sentence: str, advice: str
) -> None:
    """The same for every request about a file; Graph's id of the request is passed on."""
    graph, one, _ = over(answer)
    for asked in (one.add("a", "b", b""), one.open_session("a", "b", 1), one.holds("a"), one.remove("a")):
        with pytest.raises(kind) as caught:
            await asked
        error = caught.value
        assert type(error) is kind
        assert (error.sentence, error.advice, error.reference) == (sentence, advice, "the-id")
    assert len(graph.requests) == 4


async def test_throttled_file_is_told_so() -> None:
    """A wait that is longer than we try is the caller's to know."""
    with pytest.raises(Throttled) as caught:
        await over(refuses(429, Retry_After="999"))[1].holds("a")
    assert caught.value.retry_after == 999


async def test_session_is_opened_for_a_large_file() -> None:
    """Graph hears name, type and size; the address it names is used, in slots of the mailbox."""
    graph, one, slots = over(refuses(503, Retry_After="0"), says(201, {"uploadUrl": UPLOAD}), says(201))

    session = await one.open_session("a.zip", "application/zip", 4_000_000)
    used = slots.used
    await session.send(b"x" * 4_000_000)

    assert graph.asked[:2] == [("POST", f"{PATH}/createUploadSession")] * 2
    item = {"attachmentType": "file", "name": "a.zip", "size": 4_000_000, "contentType": "application/zip"}
    assert json.loads(graph.requests[0].content) == {"AttachmentItem": item}
    assert graph.requests[0].headers["Prefer"] == IMMUTABLE
    assert graph.timed("createUploadSession") == 2
    assert (used, slots.used) == (2, 3)
    assert str(graph.requests[2].url) == UPLOAD
    assert graph.timed("uploadChunk") == 1
    assert session.is_attached


@pytest.mark.parametrize("body", [{}, {"uploadUrl": None}, {"uploadUrl": "http://upload.example/x"}])
async def test_address_that_is_not_allowed_opens_no_session(body: dict[str, Any]) -> None:
    """No address, or one without TLS, is an outage of Graph."""
    with pytest.raises(GraphUnavailable) as caught:
        await over(says(201, body))[1].open_session("a", "b", 1)
    assert caught.value.sentence == "Microsoft Graph named an upload address that this server does not allow."


async def test_every_attachment_of_the_name_is_removed() -> None:
    """What an earlier try has left goes; one that is gone already is no error, and others stay."""
    graph, one, slots = over(listing("a.txt", "b.txt", "a.txt"), says(204), refuses(404))

    await one.remove("a.txt")

    assert [method for method, _ in graph.asked] == ["GET", "DELETE", "DELETE"]
    assert [request.url.raw_path.decode().rpartition("/")[2] for request in graph.requests[1:]] == [
        "id%2F0",
        "id%2F2",
    ]
    assert graph.requests[1].headers["Prefer"] == IMMUTABLE
    assert graph.timed("deleteAttachment") == 2
    assert slots.used == 3


async def test_removal_that_graph_refuses_is_an_error() -> None:
    """The old attachment would be sent with the new one."""
    with pytest.raises(PermissionMissing):
        await over(listing("a.txt"), refuses(403))[1].remove("a.txt")


def attached(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"id-{number}",
        "name": f"{number}.txt",
        "size": 3,
        "@odata.type": "#microsoft.graph.fileAttachment",
        **fields,
    }


async def test_attachments_are_listed_page_by_page() -> None:
    """Names and kinds of all pages; the next page is asked of Graph, whatever host the answer names."""
    link = "https://elsewhere.example/v1.0/me/messages/AAMk1/attachments?$skip=2"
    first = [attached(1), attached(2, **{"@odata.type": "#microsoft.graph.itemAttachment"})]
    last = [{"id": "id-3", "name": None}]
    graph = Recording(says(200, {"value": first, "@odata.nextLink": link}), says(200, {"value": last}))

    found = await list_attachments(graph.mailbox(), "AAMk1")

    assert found == (
        Attached("1.txt", True, 3, "id-1"),
        Attached("2.txt", False, 3, "id-2"),
        Attached("", False, id="id-3"),
    )
    assert graph.asked == [
        ("GET", "/me/messages/AAMk1/attachments?$select=id,name,size,contentType"),
        ("GET", "/me/messages/AAMk1/attachments?$skip=2"),
    ]
    assert {request.url.host for request in graph.requests} == {"graph.example.com"}
    assert [request.headers["Prefer"] for request in graph.requests] == [IMMUTABLE] * 2
    assert graph.timed("listAttachments") == 2


@pytest.mark.parametrize("link", ["https://graph.example.com/v1.0/users/x", "https://graph.example.com/beta/me/x", ""])
async def test_link_to_another_place_is_not_followed(link: str) -> None:
    """Only pages below /me of the same version are asked for."""
    graph = Recording(says(200, {"value": [attached(1)], "@odata.nextLink": link}))

    assert len(await list_attachments(graph.mailbox(), "AAMk1")) == 1
    assert len(graph.requests) == 1


async def test_list_ends_when_it_is_too_long_or_says_nothing_more() -> None:
    """One more than the limit is enough to know; an empty page ends the list, whatever link it has."""
    link = "https://graph.example.com/v1.0/me/messages/AAMk1/attachments?$skip=1"
    endless = Recording(says(200, {"value": [attached(n) for n in range(100)], "@odata.nextLink": link}))
    empty = Recording(says(200, {"@odata.nextLink": link}))

    found = await list_attachments(endless.mailbox(), "AAMk1")

    assert MAX_ATTACHMENTS < len(found) <= MAX_ATTACHMENTS + 100
    assert len(endless.requests) == MAX_ATTACHMENTS // 100 + 1
    assert await list_attachments(empty.mailbox(), "AAMk1") == ()
    assert len(empty.requests) == 1


async def test_list_that_graph_refuses_is_an_error() -> None:
    """A read that is refused has its own error, with Graph's id."""
    with pytest.raises(ReadRefused) as caught:
        await list_attachments(Recording(refuses(400)).mailbox(), "AAMk1")
    assert caught.value.reference == "the-id"
