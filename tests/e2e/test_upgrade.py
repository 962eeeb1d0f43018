"""v0.1.0 and this version side by side on one Redis, as during a rolling upgrade: nobody signs in anew, no second mail.

v0.1.0 comes from the repository's history and runs with the dependencies of today.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.e2e.attaching import AttachingPerson, content, put
from tests.e2e.grants import KEYS, Grant, call_tool, refresh, signed_in
from tests.e2e.programs import Redis, Server, Simulator, forget_sends, make_server
from tests.e2e.test_ending_sessions import operate
from tests.e2e.test_sending_once import said
from tests.old_version import extract_old_version

pytestmark = [pytest.mark.full, pytest.mark.timeout(180), pytest.mark.xdist_group("upgrade")]
ON_BEHALF_OF = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "person": "ada"}
TOOLSETS = "drafts,replies,schedule,people,attachments"
MAIL: dict[str, Any] = {"to": ["Grace <grace@contoso.example>"], "subject": "Hello", "content_type": "Markdown"}
MAIL["body"] = "Hello **Grace**,\n\nthe numbers\nare *in*.\n"  # which both versions compose alike
FILE = {"name": "menu.txt", "content_base64": "cGllCg=="}
SEND_PATHS = {"direct": "/v1.0/me/sendMail", "draft": "/v1.0/me/messages/*/send"}


@dataclass(frozen=True)
class Versions:
    """One replica of each version; the public URL is that of the first.

    Attributes:
        first: where people sign in.
        second: the other one.
        mode: M365_SEND_MODE of both.
    """

    first: Server
    second: Server
    mode: str

    @property
    def both(self) -> tuple[Server, Server]:
        return self.first, self.second


@pytest.fixture(scope="module")
def old_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with v0.1.0's package."""
    return extract_old_version(tmp_path_factory.mktemp("old"))


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("old", "direct"), id="old-direct"),
        pytest.param(("new", "draft"), id="new-draft"),
    ],
)
def shared_versions(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    shared_simulator: Simulator,
    shared_redis: Redis,
    old_source: Path,
) -> Iterator[Versions]:
    at_public_url, mode = request.param
    folder = tmp_path_factory.mktemp("versions")
    shared = {"REDIS_URL": shared_redis.url, "M365_TOOLSETS": TOOLSETS, "M365_SEND_MODE": mode, **KEYS}
    first = make_server(folder, shared_simulator, **shared)
    second = make_server(folder, shared_simulator, **shared, MCP_SERVER_BASE_URL=first.url)
    old = first if at_public_url == "old" else second
    old.program.environment["PYTHONPATH"] = str(old_source)
    for server in (first, second):
        server.program.shared = True
        server.start()
    yield Versions(first, second, mode)
    assert [server.program.end() for server in (first, second)] == [0, 0]


@pytest.fixture
def versions(shared_versions: Versions, shared_redis: Redis, simulator: Simulator) -> Versions:
    """Both replicas; nothing has been sent yet."""
    forget_sends(shared_redis)
    return shared_versions


@pytest.fixture
async def grant(versions: Versions, simulator: Simulator) -> Grant:
    """Ada, signed in through the first version."""
    return await signed_in(versions.first, simulator)


async def ok(server: Server, grant: Grant, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool that must succeed, and return what it says."""
    reply = await call_tool(server.url, grant.access, tool, **arguments)
    result: dict[str, Any] = reply.json()["result"]
    assert not result.get("isError"), result
    found: dict[str, Any] = result["structuredContent"]
    return found


def test_old_replica_really_is_the_old_version(old_source: Path) -> None:
    """What PYTHONPATH names is found before the installed package, and has v0.1.0's modules."""
    code = "import m365_mcp.sending.office as found; print(found.__file__)"
    printed = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(old_source)}, capture_output=True, text=True, check=True
    )

    assert Path(printed.stdout.strip()).is_relative_to(old_source)


async def test_person_stays_signed_in_across_versions(versions: Versions, grant: Grant, simulator: Simulator) -> None:
    """Calls and refreshes alternate between the versions: no 401, and the Graph token of one is good at the other."""
    first, second = versions.both

    called = await call_tool(second.url, grant.access)
    exchanges = simulator.count(**ON_BEHALF_OF)
    statuses = [called.status_code]
    for server in (second, first, second, first):
        grant = grant.after(await refresh(server.url, grant))
        statuses += [(await call_tool(one.url, grant.access)).status_code for one in versions.both]

    assert not called.json()["result"]["isError"]
    assert exchanges == 0
    assert statuses == [200] * 9


async def test_refresh_whose_reply_is_lost_is_answered_by_the_other_version(versions: Versions, grant: Grant) -> None:
    """The same refresh token at the other version gets the same pair, to the letter; so it does at once at both."""
    lost, again = await refresh(versions.first.url, grant), await refresh(versions.second.url, grant)
    grant = grant.after(again)
    raced = await asyncio.gather(*(refresh(server.url, grant) for server in versions.both * 3))

    assert again.text == lost.text
    assert {reply.status_code for reply in raced} == {200}
    assert len({reply.text for reply in raced}) == 1


class Case(NamedTuple):
    """One mail: through which version it is sent first, and through which it is then repeated."""

    one: Server
    two: Server
    mail: dict[str, Any]


def cases(versions: Versions) -> list[Case]:
    """Return a mail with a key and one without for each direction."""
    orders = (versions.both, versions.both[::-1])
    return [
        Case(*order, {**MAIL, "subject": f"{way} {key}", "idempotency_key": key and f"{way} {key}"})
        for way, order in enumerate(orders)
        for key in (None, "key")
    ]


async def say(server: Server, grant: Grant, mail: dict[str, Any]) -> str:
    """Send a mail, and return what the call was told."""
    return said(await call_tool(server.url, grant.access, "send_mail", **mail))


@pytest.mark.parametrize("more", [{}, {"attachments": [FILE], "importance": "high", "cc": ["ada@contoso.example"]}])
async def test_mail_sent_through_one_version_is_a_repeat_at_the_other(
    versions: Versions, grant: Grant, simulator: Simulator, more: dict[str, Any]
) -> None:
    """In both directions, with and without a key: one mail, and everybody has the first receipt."""
    for one, two, mail in cases(versions):
        replies = [await call_tool(server.url, grant.access, "send_mail", **mail, **more) for server in (one, two, one)]
        assert [said(reply) for reply in replies] == ["sent", "repeat", "repeat"]
        assert len({reply.json()["result"]["structuredContent"]["message_id"] for reply in replies}) == 1

    assert len(simulator.outbox) == 4


async def test_mail_sent_through_both_versions_at_once_is_one_mail(
    versions: Versions, grant: Grant, simulator: Simulator
) -> None:
    """Ten calls at once over both versions, with and without a key: one sends, the others wait for its receipt."""
    simulator.control("PATCH", "switches", send_seconds=0.3)

    for mail in (MAIL, MAIL | {"idempotency_key": "key"}):
        told = await asyncio.gather(*(say(versions.both[n % 2], grant, mail) for n in range(10)))
        assert sorted(told) == ["repeat"] * 9 + ["sent"]

    assert len(simulator.outbox) == 2


async def test_mail_under_way_at_one_version_is_waited_for_at_the_other(
    versions: Versions, grant: Grant, simulator: Simulator
) -> None:
    """Graph takes longer than a send without a lease would live; in both directions the other version waits."""
    where = {"path": SEND_PATHS[versions.mode], "person": "ada"}
    simulator.control("POST", "faults", where=where, what={"delay_seconds": 6.5}, when="before", times=4)
    sent = [asyncio.create_task(say(case.one, grant, case.mail)) for case in cases(versions)]
    while simulator.control("GET", "faults")[0]["struck"] < 4:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.02)

    repeated = await asyncio.gather(*(say(case.two, grant, case.mail) for case in cases(versions)))

    assert await asyncio.gather(*sent) == ["sent"] * 4
    assert repeated == ["repeat"] * 4
    assert len(simulator.outbox) == 4


async def test_answer_that_was_lost_at_one_version_sends_nothing_at_the_other(
    versions: Versions, grant: Grant, simulator: Simulator
) -> None:
    """Graph took the message and the answer got lost: the other version says the same, or what it finds by looking."""
    await ok(versions.second, grant, "get_my_profile")  # a Graph token of an earlier test would be refused as well
    where = {"path": SEND_PATHS[versions.mode], "person": "ada"}
    simulator.control("POST", "faults", where=where, what={"reset": True}, when="after", times=4)
    expected = ["unknown", "unknown"] if versions.mode == "direct" else ["sent", "repeat"]

    for one, two, mail in cases(versions):
        assert [await say(server, grant, mail) for server in (one, two)] == expected

    assert len(simulator.outbox) == 4


async def test_reply_and_scheduled_mail_are_repeats_at_the_other_version(
    versions: Versions, grant: Grant, simulator: Simulator
) -> None:
    """A reply, a forward and a scheduled mail, each sent through one version and then through the other."""
    grace = await signed_in(versions.first, simulator, "grace@contoso.example")
    await ok(versions.first, grace, "send_mail", **MAIL | {"to": ["ada@contoso.example"], "subject": "Lunch?"})
    listed = await ok(versions.first, grant, "list_messages", top=1)
    original = listed["messages"][0]["message_id"]
    later = (datetime.now(UTC) + timedelta(hours=2)).isoformat(timespec="seconds")
    sends = [
        ("reply", {"message_id": original, "body": "<p>Yes</p>"}),
        ("reply", {"message_id": original, "body": "Yes", "content_type": "Text", "attachments": [FILE]}),
        ("forward", {"message_id": original, "to": ["grace@contoso.example"], "body": "*Look*"}),
        ("schedule_mail", {**MAIL, "subject": "Later", "send_at": later}),
    ]
    before = len(simulator.outbox)

    for number, (tool, arguments) in enumerate(sends):
        one, two = versions.both if number % 2 else versions.both[::-1]
        receipt = await ok(one, grant, tool, **arguments)
        again = await ok(two, grant, tool, **arguments)
        assert again["duplicate_of"] == again["message_id"] == receipt["message_id"], tool

    assert len(simulator.outbox) - before == len(sends)


async def test_draft_made_by_one_version_is_sent_once_by_both(
    versions: Versions, grant: Grant, simulator: Simulator
) -> None:
    """A draft of either version is sent by the other, and is then a repeat at the first."""
    for one, two in (versions.both, versions.both[::-1]):
        draft = await ok(one, grant, "create_draft", **MAIL)
        receipt = await ok(two, grant, "send_draft", draft_id=draft["draft_id"])
        again = await ok(one, grant, "send_draft", draft_id=draft["draft_id"])
        assert receipt["message_id"] == again["duplicate_of"] == draft["message_id"]

    assert len(simulator.outbox) == 2


async def test_upload_link_of_one_version_is_used_at_the_other(
    versions: Versions, grant: Grant, simulator: Simulator
) -> None:
    """Made by one, uploaded to at the other, sent by either and once, in both directions."""
    data = content(300_000)
    for one, two in (versions.both, versions.both[::-1]):
        draft_id, link = await AttachingPerson(one, grant).link(size=len(data))
        uploaded = await put(link.replace(versions.first.url, two.url), data)
        again = await put(link.replace(versions.first.url, one.url), data)
        sent = [await AttachingPerson(server, grant).send(draft_id) for server in (one, two)]
        assert (uploaded.status_code, again.status_code) == (201, 410)
        assert [bool(result["structuredContent"]["duplicate_of"]) for result in sent] == [False, True]

    assert [len(mail["attachments"]) for mail in simulator.outbox] == [1, 1]


async def test_sessions_of_one_version_are_listed_and_ended_by_the_other(
    versions: Versions, simulator: Simulator
) -> None:
    """The operator's command of either version sees who signed in, and signs the person out of both."""
    for operator in versions.both:
        grant = await signed_in(versions.first, simulator, "linus@contoso.example")
        listed, ended = operate(operator, "list"), operate(operator, "end", "linus@contoso.example")
        # A call that only reads may still be answered by a replica that has just read the session.
        after = [(await call_tool(server.url, grant.access, "send_mail")).status_code for server in versions.both]

        assert "linus@contoso.example" in listed.stdout
        assert ended.returncode == 0, ended.stderr
        assert after == [401, 401]
