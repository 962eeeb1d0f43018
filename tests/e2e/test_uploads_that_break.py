"""Uploads that break, at Microsoft's end, at the uploader's or in our own process: what arrives is whole, and once."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.attaching import TEN_MB, UPLOADS, AttachingPerson, content, put, ranges, sha256, text
from tests.e2e.grants import KEYS, signed_in, start_server
from tests.e2e.programs import Redis, Simulator

pytestmark = pytest.mark.full

FAULTS: dict[str, dict[str, Any]] = {
    "reset": {"reset": True},
    "500": {"status": 500, "html": True},
    "429": {"status": 429, "headers": {"Retry-After": "1"}},
}


@pytest.mark.parametrize(
    ("what", "when", "which"),
    [
        ("reset", "before", 0),
        ("reset", "halfway", 1),
        ("reset", "after", 2),
        ("500", "halfway", 2),
        ("429", "before", 1),
    ],
)
@pytest.mark.sample(2)
async def test_broken_chunk_is_resumed(
    attaching_ada: AttachingPerson, simulator: Simulator, what: str, when: str, which: int
) -> None:
    """Whatever breaks, the file arrives whole and once; `tests/graph/test_upload_session.py` has all 27 cases."""
    draft_id, url = await attaching_ada.link()
    data = content()
    where = {"method": "PUT", "path": UPLOADS}
    simulator.control("POST", "faults", where=where, what=FAULTS[what], when=when, skip=which)

    answer = await put(url, data)
    sent = await attaching_ada.send(draft_id)

    assert answer.status_code == 201, answer.text
    assert not sent["isError"], sent
    (attachment,) = simulator.outbox[0]["attachments"]
    assert (attachment["size"], attachment["sha256"]) == (TEN_MB, sha256(data))
    assert 416 not in {status for _, status in ranges(simulator)}


async def test_state_that_cannot_be_read_is_asked_for_again(
    attaching_ada: AttachingPerson, simulator: Simulator
) -> None:
    """When the host does not even say how far it has come, it is asked until it does."""
    _, url = await attaching_ada.link()
    data = content()
    simulator.control(
        "POST", "faults", where={"method": "PUT", "path": UPLOADS}, what={"reset": True}, when="after", skip=1
    )
    for what in ({"reset": True}, {"status": 502, "html": True}):
        simulator.control("POST", "faults", where={"method": "GET", "path": UPLOADS}, what=what)

    answer = await put(url, data)

    assert (answer.status_code, answer.json()["sha256"]) == (201, sha256(data))
    assert 416 not in {status for _, status in ranges(simulator)}


async def test_host_may_spell_its_answers_like_graph(attaching_ada: AttachingPerson, simulator: Simulator) -> None:
    """`nextExpectedRanges` is understood like `NextExpectedRanges`."""
    simulator.control("PATCH", "switches", uploads_answer_in_pascal_case=False)
    _, url = await attaching_ada.link()
    where = {"method": "PUT", "path": UPLOADS}
    simulator.control("POST", "faults", where=where, what={"reset": True}, when="after")

    answer = await put(url, content())

    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("what", ["reset", "500", "429"])
@pytest.mark.sample(2)
async def test_small_file_whose_answer_is_lost_is_attached_once(
    attaching_ada: AttachingPerson, simulator: Simulator, what: str, when: str
) -> None:
    """The draft is looked at before the file is offered again."""
    draft_id, url = await attaching_ada.link()
    where = {"method": "POST", "path": "/v1.0/me/messages/*/attachments"}
    simulator.control("POST", "faults", where=where, what=FAULTS[what], when=when)

    answer = await put(url, b"small")
    await attaching_ada.send(draft_id)

    assert answer.status_code == 201, answer.text
    assert len(simulator.outbox[0]["attachments"]) == 1


LONG_WAIT = {"status": 503, "headers": {"Retry-After": "300"}}


async def test_host_that_stays_away_fails_and_the_link_is_good_for_another_try(
    attaching_ada: AttachingPerson, simulator: Simulator
) -> None:
    """A wait that is too long fails the upload, which is said with the time to wait; the link can be used again."""
    draft_id, url = await attaching_ada.link()
    data = content()
    where = {"method": "PUT", "path": UPLOADS}
    simulator.control("POST", "faults", where=where, what=LONG_WAIT, times=None, skip=1)

    failed = await put(url, data)
    refused = await attaching_ada.send(draft_id)
    simulator.control("DELETE", "faults")
    answer = await put(url, data)
    sent = await attaching_ada.send(draft_id)

    assert (failed.status_code, failed.headers["Retry-After"]) == (503, "300")
    assert failed.json()["error"] == "graph_unavailable"
    assert "graph_unavailable" in text(refused)
    assert answer.status_code == 201, answer.text
    assert not sent["isError"], sent
    assert len(simulator.outbox[0]["attachments"]) == 1


@pytest.mark.parametrize(
    ("what", "when"),
    [
        pytest.param("reset", "before", marks=pytest.mark.full),
        ("reset", "after"),
        pytest.param("500", "after", marks=pytest.mark.full),
    ],
)
async def test_unclear_send_is_looked_up(
    attaching_ada: AttachingPerson, simulator: Simulator, what: str, when: str
) -> None:
    """The draft tells whether it was sent; one that was not is sent once more, and never two mails leave."""
    draft_id, url = await attaching_ada.link()
    await put(url, b"x")
    where = {"method": "POST", "path": "/v1.0/me/messages/*/send"}
    simulator.control("POST", "faults", where=where, what=FAULTS[what], when=when)

    sent = await attaching_ada.send(draft_id)

    assert not sent["isError"], sent
    assert len(simulator.outbox) == 1


async def test_whoever_hangs_up_may_use_the_link_again(attaching_ada: AttachingPerson, simulator: Simulator) -> None:
    """An upload that breaks off in the middle gives up its session at Graph and gives the link back."""
    draft_id, url = await attaching_ada.link(size=TEN_MB)
    data = content()

    await _hang_up_after(url, data, 6_000_000)
    answer = await _once_free(url, data)
    sent = await attaching_ada.send(draft_id)

    assert answer.status_code == 201, answer.text
    assert not sent["isError"], sent
    (attachment,) = simulator.outbox[0]["attachments"]
    assert attachment["sha256"] == sha256(data)
    cancelled = [one for one in simulator.control("GET", "requests") if one["path"].startswith("/api/v2.0/")]
    assert [one["status"] for one in cancelled if one["method"] == "DELETE"] == [204]


async def _hang_up_after(url: str, data: bytes, count: int) -> None:
    where = httpx2.URL(url)
    _, writer = await asyncio.open_connection(where.host, where.port)
    head = f"PUT {where.path} HTTP/1.1\r\nHost: {where.host}:{where.port}\r\nContent-Length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data[:count])
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def _once_free(url: str, data: bytes) -> httpx2.Response:
    """Upload as soon as the server has noticed that the other one has gone."""
    while True:
        answer = await put(url, data)
        if answer.status_code != 409:
            return answer
        await asyncio.sleep(0.05)


@pytest.mark.full
async def test_link_outlives_the_process_that_was_taking_the_file(
    simulator: Simulator, shared_redis: Redis, tmp_path: Path
) -> None:
    """A server killed in the middle of an upload leaves the link good; what it had begun goes nowhere."""
    # A database of its own: people's Graph tokens in it are of no other server.
    chosen = {"REDIS_URL": shared_redis.url.removesuffix("/0") + "/1", "M365_TOOLSETS": "attachments", **KEYS}
    server = start_server(tmp_path, simulator, **chosen)
    ada = AttachingPerson(server, await signed_in(server, simulator))
    draft_id, url = await ada.link()
    data = content()
    where = {"method": "PUT", "path": UPLOADS}
    simulator.control("POST", "faults", where=where, what={"status": 500, "delay_seconds": 60}, skip=1)

    lost = asyncio.create_task(put(url, data))
    while not ranges(simulator):  # noqa: ASYNC110 - the simulator has no event to wait for
        await asyncio.sleep(0.02)
    server.program.send(signal.SIGKILL)
    with pytest.raises(httpx2.HTTPError):
        await lost
    simulator.control("DELETE", "faults")
    port = str(httpx2.URL(server.url).port)
    start_server(tmp_path, simulator, MCP_SERVER_BASE_URL=server.url, MCP_PORT=port, **chosen)
    answer = await _once_free(url, data)
    sent = await ada.send(draft_id)

    assert answer.status_code == 201, answer.text
    assert not sent["isError"], sent
    assert [one["sha256"] for one in simulator.outbox[0]["attachments"]] == [sha256(data)]


async def test_what_a_failed_try_has_attached_is_not_attached_twice(
    attaching_ada: AttachingPerson, simulator: Simulator
) -> None:
    """When Graph attached a file and said no all the same, the next try takes the first one off."""
    draft_id, url = await attaching_ada.link()
    data = content()
    put_fault = {"where": {"method": "PUT", "path": UPLOADS}, "what": {"reset": True}, "when": "after", "skip": 2}
    simulator.control("POST", "faults", **put_fault)
    simulator.control("POST", "faults", where={"method": "GET", "path": UPLOADS}, what={"status": 400})

    failed = await put(url, data)
    answer = await put(url, data)
    await attaching_ada.send(draft_id)

    assert (failed.status_code, answer.status_code) == (400, 201)
    assert [one["sha256"] for one in simulator.outbox[0]["attachments"]] == [sha256(data)]
