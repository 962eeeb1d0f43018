"""v0.1.0 is stopped and this version takes its place, and back again: what people had begun goes on."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from m365_mcp.metrics import Metrics
from m365_mcp.settings import Settings
from tests.e2e.attaching import AttachingPerson, content, put
from tests.e2e.grants import KEYS, Grant, call_tool, refresh, signed_in, start_server
from tests.e2e.programs import Redis, Server, Simulator, forget_sends, make_server
from tests.e2e.test_sending_once import said
from tests.old_version import extract_old_version, read_old_file

pytestmark = [pytest.mark.full, pytest.mark.timeout(180), pytest.mark.xdist_group("upgrade")]
DATA = content(20_000)
MAIL: dict[str, Any] = {"to": ["grace@contoso.example"], "body": "Hello Grace", "content_type": "Text"}
TOOLSETS = "drafts,replies,schedule,people,attachments"


@dataclass
class Place:
    """One public address, at which one version runs at a time, on one Redis."""

    server: Server
    old_source: Path
    simulator: Simulator
    settings: dict[str, str]

    def replace(self, *, by_old: bool) -> None:
        """End the version that runs, and start the other one at its address."""
        assert self.server.program.end() == 0
        folder, environment = self.server.program.log.parent, self.server.program.environment
        same = {name: environment[name] for name in ("MCP_SERVER_BASE_URL", "MCP_PORT")}
        path = {"PYTHONPATH": str(self.old_source)} if by_old else {}
        self.server = start_server(folder, self.simulator, **self.settings, **same, **path)

    async def call(self, grant: Grant, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool that must succeed, and return what it says."""
        reply = await call_tool(self.server.url, grant.access, tool, **arguments)
        result: dict[str, Any] = reply.json()["result"]
        assert not result.get("isError"), result
        found: dict[str, Any] = result["structuredContent"]
        return found

    async def send(self, grant: Grant, subject: str, **more: Any) -> str:
        """Send a mail, and return what the call was told."""
        return said(await call_tool(self.server.url, grant.access, "send_mail", **MAIL, subject=subject, **more))


@pytest.fixture
async def place(tmp_path: Path, simulator: Simulator, shared_redis: Redis) -> AsyncIterator[Place]:
    """The address with v0.1.0; nothing has been sent yet."""
    forget_sends(shared_redis)
    settings = {"REDIS_URL": shared_redis.url, "M365_TOOLSETS": TOOLSETS, **KEYS}
    source = extract_old_version(tmp_path / "old")
    first = make_server(tmp_path, simulator, **settings, PYTHONPATH=str(source))
    first.start()
    place = Place(first, source, simulator, settings)
    yield place
    assert place.server.program.end() == 0


async def lose_the_answer(place: Place, grant: Grant) -> None:
    """Have Graph take one mail whose answer gets lost."""
    fault = {"where": {"path": "/v1.0/me/sendMail", "person": "ada"}, "what": {"reset": True}, "when": "after"}
    place.simulator.control("POST", "faults", **fault, times=1)
    assert await place.send(grant, "Unclear") == "unknown"


async def test_what_was_sent_before_the_upgrade_is_not_sent_after_it(place: Place, simulator: Simulator) -> None:
    """The same calls after the upgrade, after a refresh, and after going back: repeats, and the unclear one unclear."""
    grant = await signed_in(place.server, simulator)
    assert [await place.send(grant, "A"), await place.send(grant, "B", idempotency_key="key")] == ["sent", "sent"]
    await lose_the_answer(place, grant)
    sent = len(simulator.outbox)

    for by_old in (False, True):
        place.replace(by_old=by_old)
        told = [await place.send(grant, "A"), await place.send(grant, "B", idempotency_key="key")]
        told.append(await place.send(grant, "Unclear"))
        assert told == ["repeat", "repeat", "unknown"], by_old
        grant = grant.after(await refresh(place.server.url, grant))

    assert len(simulator.outbox) == sent == 3
    assert simulator.count(grant_type="authorization_code") == 0


async def test_what_was_begun_before_the_upgrade_is_finished_after_it(place: Place, simulator: Simulator) -> None:
    """A draft is sent, an upload link takes its file, a scheduled mail is listed and cancelled, without a sign-in."""
    grant = await signed_in(place.server, simulator)
    draft = await place.call(grant, "create_draft", **MAIL, subject="Draft")
    uploading, link = await AttachingPerson(place.server, grant).link(size=len(DATA))
    later = (datetime.now(UTC) + timedelta(hours=2)).isoformat(timespec="seconds")
    scheduled = await place.call(grant, "schedule_mail", **MAIL, subject="Later", send_at=later)

    place.replace(by_old=False)
    grant = grant.after(await refresh(place.server.url, grant))
    receipt = await place.call(grant, "send_draft", draft_id=draft["draft_id"])
    uploaded = await put(link, DATA)
    with_file = await AttachingPerson(place.server, grant).send(uploading)
    listed = await place.call(grant, "list_scheduled")
    (waiting,) = listed["scheduled"]
    await place.call(grant, "cancel_scheduled", scheduled_id=waiting["scheduled_id"])
    left = await place.call(grant, "list_scheduled")

    assert receipt["message_id"] == draft["message_id"]
    assert (uploaded.status_code, with_file.get("isError", False)) == (201, False)
    assert (waiting["scheduled_id"], left["scheduled"]) == (scheduled["scheduled_id"], [])
    assert "Later" not in {mail["subject"] for mail in simulator.outbox}
    assert simulator.count(grant_type="authorization_code") == 0


async def test_what_the_new_version_did_is_a_repeat_after_going_back(place: Place, simulator: Simulator) -> None:
    """Who signed in at the new version stays signed in at v0.1.0, and its mails are not sent again there."""
    place.replace(by_old=False)
    grant = await signed_in(place.server, simulator)
    assert await place.send(grant, "New") == "sent"

    place.replace(by_old=True)
    again = await place.send(grant, "New")
    grant = grant.after(await refresh(place.server.url, grant))

    assert (again, await place.send(grant, "New")) == ("repeat", "repeat")
    assert len(simulator.outbox) == 1


def test_every_setting_of_the_old_version_is_still_one() -> None:
    """No variable of v0.1.0's .env.example has another name now, so its file is accepted as it is."""
    lines = read_old_file(".env.example").splitlines()
    names = {line.lstrip("# ").partition("=")[0] for line in lines if "=" in line}
    old = {name for name in names if name.isupper() and " " not in name}

    assert len(old) > 20
    assert old - {name.upper() for name in Settings.model_fields} <= {"REDIS_PASSWORD", "SSL_CERT_FILE", "HTTPS_PROXY"}


def test_no_metric_of_the_old_version_has_another_name() -> None:
    """Whoever watches v0.1.0 finds every one of its counters and histograms again."""
    old = set(re.findall(r'count\(\s*"(\w+)"', read_old_file("src/m365_mcp/metrics.py")))
    now = {metric.name.removeprefix("m365_mcp_") for metric in Metrics().registry.collect()}

    assert len(old) >= 10
    assert old | {"graph_seconds"} <= now
