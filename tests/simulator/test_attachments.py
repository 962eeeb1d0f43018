"""Attachments: in one request, and by an upload session on the other host, in order and as a stream."""

import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from .client import Client, Json, mail

MIB = 1024 * 1024
SIZE = 2 * MIB + 5
CONTENT = bytes(range(256)) * (SIZE // 256) + b"12345"
FILE = {"attachmentType": "file", "name": "a.bin", "size": SIZE, "contentType": "application/x-a"}


def small(content: bytes = b"hello", **changes: Any) -> Json:
    """Return a small attachment."""
    encoded = base64.b64encode(content).decode()
    good = {"@odata.type": "#microsoft.graph.fileAttachment", "name": "a.txt", "contentBytes": encoded}
    return good | changes


async def begin(client: Client, headers: dict[str, str], **changes: Any) -> tuple[str, str]:
    """Create a draft and an upload session; return the path of the draft and the upload URL."""
    path = f"me/messages/{(await client.draft(headers))['id']}"
    body = {"AttachmentItem": FILE | changes}
    response = await client.graph("POST", f"{path}/attachments/createUploadSession", headers, json=body)
    assert response.status_code == 201, response.text
    return path, response.json()["uploadUrl"]


async def put(client: Client, url: str, first: int, content: bytes, total: int = SIZE, **more: Any) -> httpx2.Response:
    """Upload one range."""
    headers = {"Content-Range": f"bytes {first}-{first + len(content) - 1}/{total}"} | more
    return await client.uploads.put(url, content=content, headers=headers)


async def expected(client: Client, url: str) -> list[str]:
    """Ask how far the file has come."""
    return list((await client.uploads.get(url)).json()["NextExpectedRanges"])


async def test_small_attachment_is_added_listed_and_deleted(client: Client) -> None:
    """201 has metadata, a list the bytes too, unless it selects others; DELETE is 204."""
    headers = await client.mail_headers()
    path = f"me/messages/{(await client.draft(headers))['id']}/attachments"

    added = await client.graph("POST", path, headers, json=small(isInline=True, contentId="c1"))
    other = await client.graph("POST", path, headers, json=small(name="b.txt"))
    shown = await client.graph("GET", f"{path}/{added.json()['id']}", headers)
    listed = (await client.graph("GET", path, headers)).json()["value"]
    selected = (await client.graph("GET", f"{path}?$select=id,name", headers)).json()["value"]
    one = await client.graph("GET", f"{path}/{other.json()['id']}", headers)
    deleted = await client.graph("DELETE", f"{path}/{other.json()['id']}", headers)
    again = await client.graph("DELETE", f"{path}/{other.json()['id']}", headers)

    assert (added.status_code, added.json()["size"], added.json()["isInline"]) == (201, 5, True)
    assert [one["name"] for one in listed] == ["a.txt", "b.txt"]
    assert [base64.b64decode(item["contentBytes"]) for item in listed] == [b"hello", b"hello"]
    assert all("contentBytes" not in item for item in (added.json(), *selected))
    assert base64.b64decode(shown.json()["contentBytes"]) == b"hello"
    assert (one.json()["name"], one.json()["size"]) == ("b.txt", 5)
    assert [deleted.status_code, again.status_code] == [204, 404]
    assert (await client.graph("GET", f"{path}/{other.json()['id']}", headers)).status_code == 404
    await client.graph("POST", f"{path.removesuffix('/attachments')}/send", headers)
    assert (await client.outbox())[0]["attachments"] == [
        {
            "name": "a.txt",
            "content_type": "application/octet-stream",
            "size": 5,
            "is_inline": True,
            "sha256": hashlib.sha256(b"hello").hexdigest(),
            "content_id": "c1",
        }
    ]


@pytest.mark.parametrize(
    ("query", "status", "names"),
    [
        ("$select=name,size", 200, {"@odata.type", "@odata.mediaContentType", "id", "name", "size"}),
        ("$select=contentId", 400, {"error"}),
        ("$select=contentBytes", 400, {"error"}),
        ("$filter=isInline eq true", 400, {"error"}),
    ],
)
async def test_attachments_show_what_every_kind_has(client: Client, query: str, status: int, names: set[str]) -> None:
    """`$select` names properties of all kinds of attachments; those of a file only are 400, as other options are."""
    headers = await client.mail_headers()
    path = f"me/messages/{(await client.draft(headers, attachments=[small()]))['id']}/attachments"

    response = await client.graph("GET", f"{path}?{query}", headers)

    shown = response.json().get("value", [response.json()])[0]
    assert (response.status_code, set(shown)) == (status, names)


async def test_attachment_of_3_mib_is_too_large_for_one_request(client: Client) -> None:
    """By default the whole request is over the limit already; the attachment has one of its own."""
    headers = await client.mail_headers()
    path = f"me/messages/{(await client.draft(headers))['id']}/attachments"
    great = small(b"x" * 3 * MIB)

    gateway = await client.graph("POST", path, headers, json=great)
    await client.control("PATCH", "switches", {"request_bytes": 6 * MIB})
    own = await client.graph("POST", path, headers, json=great)

    assert (gateway.status_code, gateway.json()["error"]["code"]) == (413, "RequestEntityTooLarge")
    assert (own.status_code, own.json()["error"]["code"]) == (413, "ErrorAttachmentSizeLimitExceeded")


async def test_file_is_uploaded_range_by_range(client: Client) -> None:
    """The session is on another host; each answer names the next byte, and the last one the attachment."""
    headers = await client.mail_headers()
    path, url = await begin(client, headers, isInline=True, contentId="c1")

    start = await expected(client, url)
    first = await put(client, url, 0, CONTENT[:MIB])
    middle = await expected(client, url)
    last = await put(client, url, MIB, CONTENT[MIB:])
    await client.graph("POST", f"{path}/send", headers)

    assert url.startswith("https://localhost:8445/api/v2.0/Users('")
    assert (start, middle) == (["0-"], [f"{MIB}-"])
    assert (first.status_code, first.json()["NextExpectedRanges"]) == (200, [str(MIB)])
    assert (last.status_code, last.content) == (201, b"")
    assert "/Attachments('" in last.headers["location"]
    (attachment,) = (await client.outbox())[0]["attachments"]
    assert (attachment["size"], attachment["sha256"]) == (SIZE, hashlib.sha256(CONTENT).hexdigest())
    assert (attachment["content_type"], attachment["is_inline"]) == ("application/x-a", True)
    assert (await client.uploads.get(url)).status_code == 404


async def test_created_session_says_where_to_begin(client: Client) -> None:
    """201 has the first expected range and the end of the session; a switch decides how the other host spells them."""
    await client.control("PATCH", "switches", {"upload_session_seconds": 60, "uploads_answer_in_pascal_case": False})
    headers = await client.mail_headers()
    path = f"me/messages/{(await client.draft(headers))['id']}/attachments"

    response = await client.graph("POST", f"{path}/createUploadSession", headers, json={"AttachmentItem": FILE})

    body = response.json()
    assert body["nextExpectedRanges"] == ["0-"]
    assert body["expirationDateTime"].startswith("2027-01-15T08:01:00")
    assert (await client.uploads.get(body["uploadUrl"])).json()["nextExpectedRanges"] == ["0-"]


@pytest.mark.parametrize(
    ("first", "content", "total", "more", "status"),
    [
        (5, b"x", SIZE, {}, 416),
        (0, b"x", SIZE + 1, {}, 400),
        (0, b"x", SIZE, {"Content-Range": "bytes 0-5/100"}, 400),
        (0, b"x", SIZE, {"Content-Range": "0-0"}, 400),
        (0, b"x" * 11, SIZE, {}, 413),
        (0, b"x", SIZE, {"Authorization": "Bearer x"}, 401),
    ],
)
async def test_wrong_range_is_refused(
    client: Client, first: int, content: bytes, total: int, more: dict[str, str], status: int
) -> None:
    """Out of order, of another size, too long or with a token: refused, and nothing is kept."""
    await client.control("PATCH", "switches", {"upload_chunk_bytes": 10})
    _, url = await begin(client, await client.mail_headers())

    response = await put(client, url, first, content, total, **more)

    assert response.status_code == status
    assert response.json()["error"]["code"]
    assert await expected(client, url) == ["0-"]


async def test_range_is_not_taken_twice(client: Client) -> None:
    """A range that was kept already is out of order."""
    _, url = await begin(client, await client.mail_headers())
    await put(client, url, 0, b"12345")

    assert (await put(client, url, 0, b"12345")).status_code == 416
    assert await expected(client, url) == ["5-"]


async def test_short_body_is_not_kept(client: Client) -> None:
    """A body that does not have the length it announced is refused."""
    _, url = await begin(client, await client.mail_headers())

    async def three() -> AsyncIterator[bytes]:
        yield b"123"

    headers = {"Content-Range": f"bytes 0-4/{SIZE}", "Content-Length": "5"}
    response = await client.uploads.put(url, content=three(), headers=headers)

    assert response.status_code == 400
    assert await expected(client, url) == ["0-"]


async def test_session_ends_by_time_or_by_being_cancelled(client: Client) -> None:
    """An expired, cancelled or unknown session is 404."""
    headers = await client.mail_headers()
    _, url = await begin(client, headers)
    _, other = await begin(client, headers)

    cancelled = await client.uploads.delete(other)
    await client.control("PATCH", "clock", {"offset_seconds": 3600})

    assert cancelled.status_code == 204
    for address in (url, other, "/api/v2.0/nothing?authtoken=x"):
        assert (await put(client, address, 0, b"x")).status_code == 404


async def test_file_for_a_draft_that_is_gone(client: Client) -> None:
    """The last range is 404 when the draft was sent or deleted meanwhile."""
    headers = await client.mail_headers()
    path, url = await begin(client, headers)
    await put(client, url, 0, CONTENT[:MIB])
    await client.graph("POST", f"{path}/send", headers)

    assert (await put(client, url, MIB, CONTENT[MIB:])).status_code == 404
    assert (await client.outbox())[0]["attachments"] == []


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"size": MIB}, 400, "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize"),
        ({"size": 150 * MIB + 1}, 413, "ErrorMessageSizeExceeded"),
        ({"size": "7"}, 400, "ErrorInvalidRequest"),
        ({"name": ""}, 400, "ErrorInvalidRequest"),
        ({"attachmentType": "item"}, 400, "ErrorInvalidRequest"),
        ({"attachmentType": "picture"}, 400, "UnableToDeserializePostBody"),
        ({"colour": "red"}, 400, "RequestBodyRead"),
    ],
)
async def test_wrong_session_is_refused(client: Client, changes: Json, status: int, code: str) -> None:
    """A session needs a name and a size between the limits."""
    headers = await client.mail_headers()
    path = f"me/messages/{(await client.draft(headers))['id']}/attachments/createUploadSession"

    response = await client.graph("POST", path, headers, json={"AttachmentItem": FILE | changes})

    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


async def test_attachments_count_together(client: Client) -> None:
    """The limit is for the whole message, whichever way the attachments come."""
    await client.control("PATCH", "switches", {"message_bytes": SIZE + 4})
    headers = await client.mail_headers()
    path, url = await begin(client, headers)
    await put(client, url, 0, CONTENT)

    response = await client.graph("POST", f"{path}/attachments", headers, json=small())
    sent = await client.send(headers, mail(attachments=[small(b"x" * (SIZE + 5))]))

    assert (response.status_code, response.json()["error"]["code"]) == (413, "ErrorMessageSizeExceeded")
    assert sent.json()["error"]["code"] == "ErrorMessageSizeExceeded"


async def test_uploads_have_a_window(client: Client) -> None:
    """Too many bytes in five minutes are 429 until time has passed."""
    await client.control("PATCH", "switches", {"upload_window_bytes": 10})
    _, url = await begin(client, await client.mail_headers())

    answers = [(await put(client, url, first, b"12345")).status_code for first in (0, 5, 10)]
    await client.control("PATCH", "clock", {"offset_seconds": 300})

    assert answers == [200, 200, 429]
    assert (await put(client, url, 10, b"12345")).status_code == 200


@pytest.mark.parametrize(("when", "kept"), [("before", "0-"), ("halfway", "0-"), ("after", "5-")])
async def test_fault_strikes_a_range(client: Client, when: str, kept: str) -> None:
    """A 503 comes before the range was kept, in its middle, or after; the person and the range are in the log."""
    _, url = await begin(client, await client.mail_headers())
    where = {"path": "/api/v2.0/*", "method": "PUT", "person": "ada"}
    await client.control("POST", "faults", {"where": where, "what": {"status": 503}, "when": when})

    response = await put(client, url, 0, b"12345")

    assert response.status_code == 503
    assert await expected(client, url) == [kept]
    record = (await client.control("GET", "requests"))[-2]
    assert record["content_range"] == f"bytes 0-4/{SIZE}"
