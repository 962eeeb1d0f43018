"""No call stalls another: large bodies are composed off the event loop, and slow uploads take few slots."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from m365_mcp.uploads.slots import SLOTS, SLOTS_PER_PERSON
from tests.e2e.attaching import AttachingPerson, put
from tests.e2e.grants import Grant, call_tool, signed_in
from tests.e2e.person import direct_client
from tests.e2e.programs import Redis, Server, Simulator, forget_sends
from tests.mail.heavy_bodies import MARKDOWN

GRACE = "grace@contoso.example"
MAIL: dict[str, Any] = {"to": [GRACE], "subject": "Figures"}
LATER = (datetime.now(UTC) + timedelta(days=1)).isoformat()
# Each tool that writes, and what it answers when its body has been composed.
TOOLS: dict[str, tuple[dict[str, Any], str]] = {
    "send_mail": (MAIL, '"sent"'),
    "create_draft": (MAIL, '"draft_id"'),
    "schedule_mail": ({**MAIL, "send_at": LATER}, '"scheduled"'),
    "attach_files": ({**MAIL, "files": [{"name": "a.pdf"}]}, '"waiting_for_files"'),
    "reply": ({"message_id": "nope"}, "message_missing"),
    "forward": ({"message_id": "nope", "to": [GRACE]}, "message_missing"),
}
HEAVY = MARKDOWN["wide table"](200_000)  # among the most expensive bodies; see tests/mail/measuring.py


class LoopWatch:
    """Polls /livez and notes how much processor time the server uses until each answer.

    Processor time, because a busy machine lets every server wait. While a server composes on its event loop, it answers
    nothing until it has used all the time that takes: nearly all that a call with a heavy body costs. So an answer must
    come within half of that, on whatever machine.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self.gaps: list[float] = []

    def used(self) -> float:
        """Return the processor time the server has used, in seconds."""
        assert self._server.program.process is not None
        stat = Path(f"/proc/{self._server.program.process.pid}/stat").read_text()
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    async def poll(self) -> None:
        async with direct_client(timeout=httpx2.Timeout(60)) as http:
            while True:
                before = self.used()
                answer = await http.get(f"{self._server.url}/livez")
                self.gaps.append(self.used() - before)
                assert answer.status_code == 200


@asynccontextmanager
async def watching(server: Server) -> AsyncIterator[LoopWatch]:
    """Watch the server's loop while the block runs, and insist that no lease is lost."""
    watch, before = LoopWatch(server), len(server.log)
    poller = asyncio.create_task(watch.poll())
    yield watch
    assert not poller.done(), poller.exception()
    poller.cancel()
    assert "lease_lost" not in server.log[before:]


@pytest.fixture(scope="module")
def tokens(whole_server: Server, shared_simulator: Simulator) -> tuple[str, str]:
    """The access tokens of Ada and Grace, who sign in once for all these tests."""

    async def sign_in() -> tuple[str, str]:
        ada = await signed_in(whole_server, shared_simulator)
        grace = await signed_in(whole_server, shared_simulator, GRACE)
        return ada.access, grace.access

    return asyncio.run(sign_in())


@pytest.mark.parametrize(
    "tool", ["send_mail", *(pytest.param(tool, marks=pytest.mark.full) for tool in TOOLS if tool != "send_mail")]
)
async def test_h1_h2_heavy_body_stalls_no_other_call(
    whole_server: Server, tokens: tuple[str, str], shared_redis: Redis, tool: str
) -> None:
    """While the heaviest body is composed, for whichever tool, /livez and other people's calls are answered."""
    forget_sends(shared_redis)
    ada, grace = tokens
    arguments, outcome = TOOLS[tool]
    async with watching(whole_server) as watch:
        began = watch.used()
        call = asyncio.create_task(
            call_tool(whole_server.url, ada, tool, **arguments, body=HEAVY, content_type="Markdown")
        )
        profile = await call_tool(whole_server.url, grace)
        answer = await call
        cost = watch.used() - began

    assert outcome in answer.text, answer.text
    assert "grace@contoso.example" in profile.text
    assert max(watch.gaps) < cost / 2, sorted(watch.gaps)[-5:]


@pytest.mark.full
async def test_h1_send_under_way_keeps_its_lease_while_others_compose(
    whole_server: Server, tokens: tuple[str, str], shared_redis: Redis, shared_simulator: Simulator
) -> None:
    """A send that Microsoft is slow to answer is not given up because heavy bodies are composed beside it."""
    forget_sends(shared_redis)
    ada, grace = tokens
    bodies = 3
    shared_simulator.control(
        "POST", "faults", where={"method": "POST", "path": "/v1.0/me/sendMail"}, what={"delay_seconds": 6}
    )
    async with watching(whole_server) as watch:
        began = watch.used()
        slow = asyncio.create_task(call_tool(whole_server.url, grace, "send_mail", **MAIL, body="<p>Hi</p>"))
        heavy = [
            call_tool(whole_server.url, ada, "create_draft", **MAIL, body=HEAVY, content_type="Markdown")
            for _ in range(bodies)
        ]
        drafts = await asyncio.gather(*heavy)
        sent = await slow
        cost = watch.used() - began

    assert '"sent"' in sent.text, sent.text
    assert all('"draft_id"' in draft.text or "server_busy" in draft.text for draft in drafts)
    assert max(watch.gaps) < cost / bodies / 2, sorted(watch.gaps)[-5:]


async def test_h8_trickling_uploads_of_one_person_leave_slots_to_others(
    whole_server: Server, tokens: tuple[str, str]
) -> None:
    """Twelve uploads that send one byte and no more hold six slots, and another person uploads meanwhile."""
    ada, grace = (AttachingPerson(whole_server, Grant("", token, "")) for token in tokens)
    waiting = await ada.attach(*({"name": f"{number}.bin", "size": 1_000} for number in range(SLOTS)))
    _, url = await grace.link("grace.bin", size=4)
    trickling = [asyncio.create_task(_trickle(file["upload_url"])) for file in waiting["files"]]
    answers = asyncio.as_completed(trickling)
    refused = [await next(answers) for _ in range(SLOTS - SLOTS_PER_PERSON)]
    answer = await put(url, b"done")
    assert sum(not task.done() for task in trickling) == SLOTS_PER_PERSON
    for task in trickling:
        task.cancel()

    assert all(b" 503 " in one and b"server_busy" in one for one in refused), refused
    assert answer.status_code == 201, answer.text


async def _trickle(url: str) -> bytes:
    """Begin an upload, send one byte, and return what the server answers."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        head = f"PUT {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 1000\r\n"
        head += "Connection: close\r\n\r\nx"
        writer.write(head.encode())
        return await reader.read()
    finally:
        writer.close()
