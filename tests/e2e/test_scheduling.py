"""Mail that leaves later: it waits, is listed, leaves by itself, or is called back."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.grants import assistant_at, start_server
from tests.e2e.outlook import Outlook
from tests.e2e.person import Assistant, done, refused
from tests.e2e.programs import Redis, Simulator
from tests.e2e.test_ending_sessions import operate
from tests.simulator.client import until

pytestmark = pytest.mark.full

MAIL: dict[str, Any] = {"to": ["grace@contoso.example"], "subject": "Later", "body": "<p>Hi</p>"}
SEND = "/v1.0/me/messages/*/send"


def in_hours(hours: float) -> str:
    """Return a time from now, as a person an hour east of Greenwich would say it."""
    when = datetime.now(timezone(timedelta(hours=1))) + timedelta(hours=hours)
    return when.isoformat(timespec="seconds")


async def subjects(assistant: Assistant) -> list[str]:
    return [one["subject"] for one in (await done(assistant, "list_scheduled"))["scheduled"]]


@pytest.mark.parametrize("folder", ["outbox", "drafts"])
async def test_scheduled_mail_waits_and_then_leaves(writer: Assistant, simulator: Simulator, folder: str) -> None:
    """It is listed until its time and has its time; afterwards it has arrived and cannot be called back."""
    simulator.control("PATCH", "switches", deferred_folder=folder)

    later = await done(writer, "schedule_mail", **{**MAIL, "subject": "Second"}, send_at=in_hours(3))
    receipt = await done(writer, "schedule_mail", **MAIL, send_at=in_hours(2))
    listed = (await done(writer, "list_scheduled"))["scheduled"]
    simulator.control("PATCH", "clock", offset_seconds=2.5 * 3600)
    said = await refused(writer, "cancel_scheduled", scheduled_id=receipt["scheduled_id"])

    assert receipt["status"] == "scheduled"
    assert [one["subject"] for one in listed] == ["Later", "Second"]
    assert [one["scheduled_id"] for one in listed] == [receipt["scheduled_id"], later["scheduled_id"]]
    assert listed[0]["recipients"] == receipt["recipients"] == ["grace@contoso.example"]
    assert datetime.fromisoformat(listed[0]["send_at"]) == datetime.fromisoformat(receipt["send_at"])
    delivered = {one["subject"]: datetime.fromisoformat(one["deliverAt"]) for one in simulator.outbox}
    assert delivered["Later"] == datetime.fromisoformat(receipt["send_at"])
    assert said.startswith("already_sent: ")
    assert "Nothing was sent." not in said
    assert await subjects(writer) == ["Second"]


@pytest.mark.parametrize("folder", ["outbox", "drafts"])
async def test_cancelled_mail_never_leaves(
    writer: Assistant, simulator: Simulator, outlook: Outlook, folder: str
) -> None:
    """cancel_scheduled calls it back, into Deleted Items; a second time there is nothing to call back."""
    simulator.control("PATCH", "switches", deferred_folder=folder)
    receipt = await done(writer, "schedule_mail", **MAIL, send_at=in_hours(2))

    gone = await done(writer, "cancel_scheduled", scheduled_id=receipt["scheduled_id"])
    again = await refused(writer, "cancel_scheduled", scheduled_id=receipt["scheduled_id"])
    called_back = await outlook.subjects("deleteditems")
    simulator.control("PATCH", "clock", offset_seconds=3 * 3600)

    assert gone == {"status": "cancelled", "subject": "Later", "recipients": ["grace@contoso.example"]}
    assert again.startswith("message_missing: ")
    assert called_back == ["Later"]
    assert simulator.outbox == []
    assert await subjects(writer) == []


@pytest.mark.parametrize("folder", ["outbox", "drafts"])
async def test_mail_that_the_person_scheduled_is_not_shown(
    writer: Assistant, simulator: Simulator, outlook: Outlook, folder: str
) -> None:
    """list_scheduled shows what this server made, and nothing that the person scheduled or drafted in Outlook."""
    simulator.control("PATCH", "switches", deferred_folder=folder)
    deferred = [{"id": "SystemTime 0x3FEF", "value": in_hours(1)}]
    await outlook.send(subject="The person's own", singleValueExtendedProperties=deferred)
    await outlook.draft(subject="In the making", singleValueExtendedProperties=deferred)

    before = await subjects(writer)
    await done(writer, "schedule_mail", **MAIL, send_at=in_hours(2))

    assert before == []
    assert await subjects(writer) == ["Later"]
    assert "The person's own" in await outlook.subjects(folder)


async def test_lost_answer_to_a_cancellation_is_asked_for_again(writer: Assistant, simulator: Simulator) -> None:
    """A connection that breaks after the mail was called back is no error."""
    receipt = await done(writer, "schedule_mail", **MAIL, send_at=in_hours(2))
    simulator.control("POST", "faults", where={"method": "DELETE"}, what={"reset": True}, when="after")

    await done(writer, "cancel_scheduled", scheduled_id=receipt["scheduled_id"])

    assert simulator.outbox == []


async def test_repeat_schedules_nothing(writer: Assistant, simulator: Simulator) -> None:
    """The same mail for the same time is a repeat, with the same id to cancel; for another time it is another mail."""
    when = in_hours(2)

    first = await done(writer, "schedule_mail", **MAIL, send_at=when)
    again = await done(writer, "schedule_mail", **MAIL, send_at=when)
    other = await done(writer, "schedule_mail", **MAIL, send_at=in_hours(4))

    assert again == {**first, "status": "already_scheduled", "duplicate_of": first["message_id"]}
    assert other["scheduled_id"] != first["scheduled_id"]
    assert len(simulator.outbox) == 2


@pytest.mark.parametrize("folder", ["outbox", "drafts"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.sample(1)
async def test_unclear_answer_ends_in_one_scheduled_mail_or_none(
    writer: Assistant, simulator: Simulator, when: str, folder: str
) -> None:
    """What waits is seen; what may wait is called back and said not to be sent, so that it can be tried again."""
    simulator.control("PATCH", "switches", deferred_folder=folder)
    arguments = {**MAIL, "send_at": in_hours(2)}
    simulator.control("POST", "faults", where={"path": SEND}, what={"reset": True}, when=when)

    result = await writer.call("schedule_mail", arguments)

    seen = when == "after" and folder == "outbox"
    assert result.is_error != seen
    assert len(simulator.outbox) == len(await subjects(writer)) == int(seen)
    if result.is_error:
        assert "Nothing was sent." in result.content[0].text
        await done(writer, "schedule_mail", **arguments)
    assert len(simulator.outbox) == len(await subjects(writer)) == 1


async def test_only_scheduled_mail_can_be_cancelled(writer: Assistant) -> None:
    """A draft is no scheduled mail: it is neither listed nor deleted by cancel_scheduled."""
    draft = await done(writer, "create_draft", **MAIL)

    said = await refused(writer, "cancel_scheduled", scheduled_id=draft["draft_id"])

    assert said.startswith("invalid_argument: This message is a draft")
    assert await subjects(writer) == []
    await done(writer, "send_draft", draft_id=draft["draft_id"])


async def test_time_that_cannot_be_meant_is_refused(writer: Assistant, simulator: Simulator) -> None:
    """A time that is over is not taken for 'at once'."""
    said = await refused(writer, "schedule_mail", **MAIL, send_at=in_hours(-1))

    assert "'send_at' is in the past" in said
    assert "Nothing was sent." in said
    assert simulator.outbox == []


async def test_h18_scheduled_mail_follows_the_policies_and_the_operator(
    simulator: Simulator, outlook: Outlook, shared_redis: Redis, tmp_path: Path
) -> None:
    """H18: a changed file cancels what it forbids, into a draft; the operator sees and cancels what is left."""
    policies = tmp_path / "policies.cedar"
    policies.write_text("")
    settings = {"M365_TOOLSETS": "schedule", "M365_POLICY_FILE": str(policies), "REDIS_URL": shared_redis.url}
    server = start_server(tmp_path, simulator, **settings)
    assistant = assistant_at(server, simulator)
    for subject, to in (("Out", "m@evil.example"), ("In", "grace@contoso.example"), ("Stays", "grace@contoso.example")):
        await done(assistant, "schedule_mail", **{**MAIL, "subject": subject, "to": [to]}, send_at=in_hours(2))

    policies.write_text(
        '@id("not-evil") forbid(principal, action, resource) when { resource.domains.contains("evil.example") };'
    )
    await until(lambda: len(simulator.outbox) == 2)
    left = [one["subject"] for one in simulator.outbox]
    listed = operate(server, "scheduled", "ada@contoso.example")
    message_id = next(one["headers"][0]["value"] for one in simulator.outbox if one["subject"] == "In")
    cancelled = operate(server, "cancel", "ada@contoso.example", message_id)

    assert left == ["In", "Stays"]
    assert [one["subject"] for one in simulator.outbox] == ["Stays"]
    assert sorted(await outlook.subjects("drafts")) == ["In", "Out"]
    assert await subjects(assistant) == ["Stays"]
    assert message_id in listed.stdout
    assert "contoso.example" in listed.stdout
    assert "Stays" not in listed.stdout
    assert f"{message_id}: cancelled, and kept as a draft" in cancelled.stdout
    assert "1 scheduled mail(s) cancelled" in cancelled.stdout


async def test_h18_server_that_starts_with_stricter_rules_decides_scheduled_mail_anew(
    writer: Assistant, simulator: Simulator, outlook: Outlook, shared_redis: Redis, tmp_path: Path
) -> None:
    """H18: recipients and reply-to addresses that the settings of now forbid: the mail becomes a draft by itself."""
    await done(writer, "schedule_mail", **MAIL, send_at=in_hours(2))
    await done(writer, "schedule_mail", **{**MAIL, "subject": "Out", "to": ["m@evil.example"]}, send_at=in_hours(2))
    await done(writer, "schedule_mail", **{**MAIL, "subject": "Back"}, reply_to=["m@evil.example"], send_at=in_hours(2))

    strict = {"M365_TOOLSETS": "drafts,schedule", "M365_SEND_ALLOWED_DOMAINS": "contoso.example"}
    start_server(tmp_path, simulator, REDIS_URL=shared_redis.url, **strict)
    await until(lambda: len(simulator.outbox) == 1)

    async def kept() -> bool:
        return sorted(await outlook.subjects("drafts")) == ["Back", "Out"]

    await until(kept)
    assert await subjects(writer) == ["Later"]
