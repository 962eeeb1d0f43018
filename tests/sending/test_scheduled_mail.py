"""Scheduled mail after it was handed to Exchange: decided anew when the policies change, shown, and cancelled."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from m365_mcp.commands import scheduled, sessions
from m365_mcp.errors import InvalidArgument, MessageMissing, PermissionMissing, StorageUnavailable, TooManyScheduled
from m365_mcp.graph.drafts import list_scheduled
from m365_mcp.policy.policy_set import PolicySet
from m365_mcp.policy.setting_rules import policies_of
from m365_mcp.sending.outbox import Outbox
from m365_mcp.sending.own_drafts import OwnDrafts
from m365_mcp.sending.scheduled_mail import COLLECTION, MAX_SCHEDULED, PersonsMail, ScheduledMail
from m365_mcp.sending.scheduling import Schedule
from m365_mcp.sending.send_strategy import SendReceipt
from m365_mcp.storage.backends import LocalBackend
from tests.inprocess import ADA, EVERY_TOOLSET, GRACE, World, running
from tests.sending.test_outbox import FILE, MARIE, SEND, Post, post, to_grace
from tests.sending.test_policies import forbid
from tests.simulator.client import until

NOT_TO_FABRIKAM = forbid('resource.domains.contains("fabrikam.example")')
DELETE = {"method": "DELETE"}
BUSY = {"status": 503}


async def schedule(outbox: Outbox, **request: Any) -> SendReceipt:
    leaves = datetime.now(UTC) + timedelta(hours=3)
    message = await outbox.compose(to_grace(**{"send_at": leaves, **request}))
    return await Schedule(outbox).add(message, idempotency_key=None, allow_duplicate=False)


def enforce(world: World, text: str) -> None:
    """Put these policies of the company in force, as the watcher of their file does."""
    outgoing = world.container.services.outgoing
    outgoing.policies.policies = PolicySet(policies_of(outgoing.rules), text)


async def recorded(outbox: Outbox) -> list[ScheduledMail]:
    return list(await outbox.outgoing.scheduled.of(outbox.person))


async def subjects(world: World) -> list[str]:
    return [mail["subject"] for mail in await world.sent()]


async def drafts_of(outbox: Outbox) -> list[dict[str, Any]]:
    """Return the messages in Drafts that wait for nothing, as Graph shows them."""
    found = (await outbox.mailbox.read("/me/mailFolders/drafts/messages", "listMessages")).json["value"]
    waiting = {item.id for item in await list_scheduled(outbox.mailbox, datetime.now(UTC))}
    return [one for one in found if one["id"] not in waiting and one["isDraft"]]


@pytest.mark.parametrize("folder", ["outbox", pytest.param("drafts", marks=pytest.mark.full)])
async def test_h18_mail_that_new_policies_forbid_is_cancelled_and_kept_as_a_draft(folder: str, tmp_path: Path) -> None:
    """It never leaves; the draft has its people, text and files and no time; the trail says which policy it was."""
    trail = tmp_path / "audit.ndjson"
    async with post(m365_audit=f"file:{trail}", m365_send_bcc=True) as one:
        await one.world.control("PATCH", "switches", {"deferred_folder": folder})
        out = await schedule(one.ada, to=[MARIE], cc=[GRACE], bcc=[ADA], subject="Out", attachments=[FILE])
        await schedule(one.ada, subject="In")
        enforce(one.world, NOT_TO_FABRIKAM)
        review = one.world.container.scheduled_review
        await review.look()
        left, kept, waiting = await subjects(one.world), await recorded(one.ada), await drafts_of(one.ada)
        [draft] = [mail for mail in waiting if mail["subject"] == "Out"]
        listed = [item.item.subject for item in await Schedule(one.ada).list(datetime.now(UTC))]
        one.world.network.seen.clear()
        await review.look()
        asked_again = one.world.network.asked()
        enforce(one.world, "")
        item, _ = await OwnDrafts(one.ada).send(draft["id"])
        [sent] = [mail for mail in await one.world.sent() if mail["subject"] == "Out"]
    records = [json.loads(line) for line in trail.read_text().splitlines()]
    [record] = [record for record in records if record.get("status") == "cancelled"]

    assert (left, listed, [mail.cancelled_by for mail in kept]) == (["In"], ["In"], [None])
    assert asked_again == []
    assert item.send_at is None
    assert [one["address"] for field in ("to", "cc", "bcc") for one in sent[field]] == [MARIE, GRACE, ADA]
    assert "noon" in sent["body"]["content"]
    assert [(file["name"], file["size"]) for file in sent["attachments"]] == [(FILE["name"], 4)]
    assert (record["email"]["message_uid"], record["policy"]["uid"]) == (out.message_id, "house")
    assert record["unmapped"]["recipient_domains"] == {"contoso.example": 2, "fabrikam.example": 1}


@pytest.mark.parametrize("problem", [None, "throttled"])
async def test_h18_cancelled_mail_is_kept_however_graph_fails_in_between(problem: str | None) -> None:
    """A draft that could not be made yet is made in the next round; the mail is not taken for one that is gone."""
    async with post() as one:
        await schedule(one.ada, to=[MARIE], subject="Out")
        [mail] = await recorded(one.ada)
        await one.ada.outgoing.scheduled.replace(one.ada.person, mail.model_copy(update={"problem": problem}))
        enforce(one.world, NOT_TO_FABRIKAM)
        await one.world.fault({"method": "POST", "path": "/v1.0/me/messages"}, BUSY, times=9)
        await one.world.container.scheduled_review.review()
        [stopped] = await recorded(one.ada)
        await one.world.control("DELETE", "faults")
        await one.world.container.scheduled_review.review()

        assert stopped.is_stopped
        assert await recorded(one.ada) == []
        assert [draft["subject"] for draft in await drafts_of(one.ada)] == ["Out"]
        assert await subjects(one.world) == []


async def test_h18_mail_that_was_deleted_before_the_store_failed_is_kept_as_a_draft() -> None:
    """The record says first that Exchange is asked to stop it, so that a later round knows whose deletion it was."""
    async with post() as one:
        await schedule(one.ada, to=[MARIE], subject="Out")
        [mail] = await recorded(one.ada)
        await Schedule(one.ada).call_back(mail.draft_id)
        begun = mail.model_copy(update={"cancelled_by": "operator", "is_begun": True})
        await one.ada.outgoing.scheduled.replace(one.ada.person, begun)
        await one.world.container.scheduled_review.review()

        assert [draft["subject"] for draft in await drafts_of(one.ada)] == ["Out"]
        assert await recorded(one.ada) == []


async def test_h18_mark_of_an_operator_outlives_what_a_review_writes_back() -> None:
    """A review that read the record before the mark was made does not take it away."""
    async with post() as one:
        await schedule(one.ada, to=[MARIE])
        scheduled = one.ada.outgoing.scheduled
        [before] = await recorded(one.ada)
        await scheduled.replace(one.ada.person, before.model_copy(update={"cancelled_by": "operator"}))
        await scheduled.replace(one.ada.person, before.after_decision("edition", None))

        [after] = await recorded(one.ada)
        assert (after.cancelled_by, after.decided[-1]) == ("operator", "edition")


async def test_h18_mail_that_the_person_cancels_is_recorded_once(tmp_path: Path) -> None:
    """The trail says that it does not leave, without its addresses; a second call is refused and leaves no record."""
    trail = tmp_path / "audit.ndjson"
    async with post(m365_audit=f"file:{trail}") as one:
        out = await schedule(one.ada, to=[MARIE])
        await Schedule(one.ada).cancel(str(out.draft_id))
        with pytest.raises(MessageMissing):
            await Schedule(one.ada).cancel(str(out.draft_id))
    records = [json.loads(line) for line in trail.read_text().splitlines()]
    [record] = [record for record in records if record.get("status") == "cancelled"]

    assert record["email"]["message_uid"] == out.message_id
    assert record["unmapped"]["recipient_domains"] == {"fabrikam.example": 1}
    assert MARIE not in json.dumps(record)


async def test_h18_mail_is_not_looked_at_while_the_policies_stay() -> None:
    """The record says under which policies it was decided, so that an unchanged server asks Graph for nothing."""
    async with post() as one:
        await schedule(one.ada, to=[MARIE])
        one.world.network.seen.clear()
        await one.world.container.scheduled_review.look()
        unchanged = one.world.network.asked()
        enforce(one.world, forbid("resource.isReply"))
        await one.world.container.scheduled_review.look()
        changed = one.world.network.asked()
        await one.world.container.scheduled_review.look()
        [mail] = await recorded(one.ada)

    assert unchanged == []
    assert changed == one.world.network.asked() != []
    assert mail.cancelled_by is None
    assert len(mail.decided) == 2


@pytest.mark.full
async def test_h18_hour_and_counts_of_the_handing_over_decide() -> None:
    """A change of the policies at night, or after much mail, cancels nothing that was allowed by day."""
    async with post() as one:
        policies = one.world.container.services.outgoing.policies
        await schedule(one.ada)
        [mail] = await recorded(one.ada)
        noon = datetime.now(UTC).replace(hour=12).timestamp()
        await one.ada.outgoing.scheduled.replace(
            one.ada.person, mail.model_copy(update={"handed_over_at": noon, "decided": ()})
        )
        policies.now = lambda zone: datetime.now(zone).replace(hour=23)
        enforce(one.world, forbid("context.hour > 20 || context.personMessagesHour > 0"))
        await one.world.container.scheduled_review.look()

        assert await subjects(one.world) == ["Lunch?"]


async def test_h18_mail_that_needs_an_approval_by_now_is_cancelled_unless_it_has_one() -> None:
    """New policies that ask the person hold for mail that nobody was asked about."""
    async with post() as one:
        approved = replace(one.ada, is_approved=True)
        await schedule(one.ada, subject="Unasked")
        await schedule(approved, subject="Approved")
        enforce(one.world, forbid("true", "SendUnasked"))
        await one.world.container.scheduled_review.look()

        assert await subjects(one.world) == ["Approved"]


@pytest.mark.full
async def test_h18_mail_that_was_held_is_approved_when_it_is_handed_over() -> None:
    """An approved mail that waits with Exchange has its record, which says that it was approved."""
    async with post(m365_send_approval="all") as one:
        await schedule(one.ada)
        before = await recorded(one.ada)
        approvals = one.world.container.approvals
        [held] = await approvals.of(one.ada.person)
        await approvals.approve(held, (await approvals.show(held)).digest)
        [mail] = await recorded(one.ada)

    assert before == []
    assert (mail.id, mail.is_approved, mail.addresses) == (held.id, True, (GRACE,))
    assert mail.due_at - time.time() > 3600


async def test_h18_another_session_of_the_person_is_enough() -> None:
    """The session that scheduled the mail has ended; with any other session of the person it is cancelled."""
    async with post() as one:
        await schedule(one.ada, to=[MARIE])
        enforce(one.world, NOT_TO_FABRIKAM)
        ending = one.world.container.sign_ins.sessions
        await ending.end(one.ada.origin.session_id, "by_client")
        review = one.world.container.scheduled_review
        await review.look()
        waits = await subjects(one.world)
        [mail] = await recorded(one.ada)
        await one.world.sign_in(ADA)
        await review.review()

        assert waits == ["Lunch?"]
        assert mail.problem == "sign_in_needed"
        assert await subjects(one.world) == []
        assert await recorded(one.ada) == []


@pytest.mark.parametrize("marked", [True, False])
async def test_h18_mail_that_could_not_be_cancelled_is_told_when_its_time_has_come(
    marked: bool, tmp_path: Path
) -> None:
    """It left although it was to be cancelled, or could not be decided: the trail and the metrics say so, once."""
    trail = tmp_path / "audit.ndjson"
    async with post(m365_audit=f"file:{trail}") as one:
        await schedule(one.ada, to=[MARIE])
        enforce(one.world, NOT_TO_FABRIKAM)
        review = one.world.container.scheduled_review
        if marked:
            await one.world.fault(DELETE, BUSY, times=9)
            await review.look()
        await one.world.container.sign_ins.sessions.end(one.ada.origin.session_id, "by_client")
        await review.review()
        later = replace(review, clock=lambda: time.time() + 4 * 3600)
        await later.review()
        await later.review()
        left = await recorded(one.ada)
        counted = one.world.container.metrics.registry.get_sample_value(
            "m365_mcp_sends_total", {"outcome": "not_cancelled"}
        )
    records = [json.loads(line) for line in trail.read_text().splitlines()]
    [record] = [record for record in records if record.get("status") == "not_cancelled"]

    assert left == []
    assert counted == 1
    assert record["status_code"] == "sign_in_needed"
    assert record.get("policy") == ({"uid": "house"} if marked else None)


async def test_h18_mail_that_has_left_is_forgotten() -> None:
    """A permitted mail leaves no record after its time, and nothing is said about it."""
    async with post() as one:
        await schedule(one.ada)
        later = replace(one.world.container.scheduled_review, clock=lambda: time.time() + 4 * 3600)
        await later.look()

        assert await recorded(one.ada) == []


async def test_h18_cancelling_goes_on_where_it_broke_off() -> None:
    """Graph is away before the mail is stopped, then before the draft is made: in the end there is one draft."""
    async with post() as one:
        await schedule(one.ada, to=[MARIE])
        enforce(one.world, NOT_TO_FABRIKAM)
        review = one.world.container.scheduled_review
        await one.world.fault(DELETE, BUSY, times=9)
        await review.review()
        still, marked = await subjects(one.world), await recorded(one.ada)
        await one.world.control("DELETE", "faults")
        await one.world.fault({"method": "POST", "path": "/v1.0/me/messages"}, BUSY, times=9)
        await review.review()
        stopped, half = await subjects(one.world), await recorded(one.ada)
        await one.world.control("DELETE", "faults")
        await review.review()
        await review.review()

        assert still == ["Lunch?"]
        assert [(mail.cancelled_by, mail.rule, mail.is_stopped) for mail in marked] == [("policy", "house", False)]
        assert stopped == []
        assert [mail.is_stopped for mail in half] == [True]
        assert await recorded(one.ada) == []
        assert [draft["subject"] for draft in await drafts_of(one.ada)] == ["Lunch?"]


async def test_h18_one_replica_at_a_time_does_it() -> None:
    """Five replicas see the change at once: each mail is deleted once and kept once, and another goes on after one."""
    async with post() as one:
        for number in range(3):
            await schedule(one.ada, to=[MARIE], subject=f"Out {number}")
        enforce(one.world, NOT_TO_FABRIKAM)
        one.world.network.seen.clear()
        replicas = [one.world.container.scheduled_review for _ in range(5)]
        await asyncio.gather(*(replica.look() for replica in replicas))
        await asyncio.gather(*(replica.review() for replica in replicas))
        deleted, made = one.world.network.asked("DELETE"), one.world.network.asked("POST")
        async with one.world.container.storage.leases.hold("scheduled-mail", 0.0):
            enforce(one.world, "")
            await replicas[0].look()
            busy = replicas[0]._edition
        await replicas[0].look()

    assert (len(deleted), len(made)) == (3, 3)
    assert busy != replicas[0]._edition


class Away(LocalBackend):
    """A store that does not answer."""

    async def get(self, collection: str, key: str) -> str | None:
        raise StorageUnavailable


@pytest.mark.full
async def test_h18_outage_of_the_store_does_not_end_the_loop() -> None:
    """A look during an outage raises nothing, and a later one does the work."""
    async with post() as one:
        await schedule(one.ada, to=[MARIE])
        enforce(one.world, NOT_TO_FABRIKAM)
        review = one.world.container.scheduled_review
        backend: Any = one.world.container.storage.records._backend
        backend.__class__ = Away
        await review.look()
        backend.__class__ = LocalBackend
        during = await subjects(one.world)
        review._next_round = 0.0
        await review.look()

        assert during == ["Lunch?"]
        assert await subjects(one.world) == []


async def test_h18_running_server_does_it_by_itself() -> None:
    """The application of a server goes through the mail when it starts, and when the policies change."""
    async with post() as one:
        await schedule(one.ada, to=[MARIE])
        enforce(one.world, NOT_TO_FABRIKAM)
        async with one.world.container.scheduled_review.running():

            async def is_done() -> bool:
                return await recorded(one.ada) == []

            await until(is_done)

        assert await subjects(one.world) == []


async def test_h18_record_of_a_mail_is_sealed_and_goes_with_it() -> None:
    """The store shows no address; a mail that is cancelled or refused leaves no record."""
    async with post() as one:
        receipt = await schedule(one.ada, to=[MARIE])
        backend: Any = one.world.container.storage.records._backend
        [key] = [key async for key in one.world.container.storage.records.keys(COLLECTION)]
        text = await backend.get(COLLECTION, key)
        await Schedule(one.ada).cancel(str(receipt.draft_id))
        cancelled = await recorded(one.ada)
        await one.world.fault({"path": SEND}, {"status": 403, "body": {"error": {"code": "ErrorSendAsDenied"}}})
        with pytest.raises(PermissionMissing):
            await schedule(one.ada, subject="Refused")

        assert MARIE not in text
        assert "@" not in text
        assert cancelled == []
        assert await recorded(one.ada) == []


async def test_h18_number_of_scheduled_mails_of_a_person_has_a_bound() -> None:
    """Above it nothing is scheduled, and no draft is left; what has left makes room."""
    async with post() as one:
        await schedule(one.ada, subject="First")
        [mail] = await recorded(one.ada)
        store = one.ada.outgoing.scheduled
        over = mail.model_copy(update={"id": "1", "due_at": time.time() - 2 * 3600})
        full = {str(number): mail.model_copy(update={"id": str(number)}) for number in range(2, MAX_SCHEDULED)}
        await store._change(
            one.ada.person, lambda found: PersonsMail(person=found.person, mail={**found.mail, "1": over, **full})
        )
        await schedule(one.ada, subject="In place of the one that has left")
        with pytest.raises(TooManyScheduled):
            await schedule(one.ada, subject="Too many")

        assert await subjects(one.world) == ["First", "In place of the one that has left"]
        assert await drafts_of(one.ada) == []


@asynccontextmanager
async def on_disk(folder: Path) -> AsyncIterator[Post]:
    """A server whose store an operator's command can open."""
    async with running(redis_url="", mcp_data_dir=folder, m365_toolsets=EVERY_TOOLSET) as world:
        ada, grace = await world.outbox(await world.sign_in(ADA)), await world.outbox(await world.sign_in(GRACE))
        yield Post(world, ada, grace)


@pytest.mark.full
async def test_h18_operator_sees_and_cancels_scheduled_mail(tmp_path: Path) -> None:
    """The list has time, message id and domains, and no subject; a server finishes what the command could not do."""
    async with on_disk(tmp_path) as one:
        settings, said = one.world.container.settings, Console(record=True, width=250, file=io.StringIO())
        out = await schedule(one.ada, to=[MARIE], cc=[GRACE], subject="Secret")
        await schedule(one.ada, subject="Stays")
        await schedule(one.grace, subject="Hers")
        await sessions.show(settings, said, ADA)
        await scheduled.show(settings, said, "ADA@contoso.example")
        await scheduled.cancel(settings, said, ADA, (out.message_id,))
        with pytest.raises(InvalidArgument):
            await scheduled.cancel(settings, said, GRACE, (out.message_id,))
        marked = {mail.id: mail.cancelled_by for mail in await recorded(one.ada)}
        await one.world.container.scheduled_review.look()
        told = said.export_text()

        assert await subjects(one.world) == ["Stays", "Hers"]
    assert marked[out.message_id] == "operator"
    assert sum(by is not None for by in marked.values()) == 1
    assert "contoso.example, fabrikam.example" in told
    assert "2 scheduled mail(s)" in told
    assert f"{out.message_id}: not yet: a running server tries again" in told
    assert "0 scheduled mail(s) cancelled" in told
    assert "Secret" not in told
    assert MARIE not in told


async def test_h18_operator_cancels_through_a_session_of_the_person() -> None:
    """What an operator cancels is stopped and kept as a draft, whatever the policies say; without a session not."""
    async with post() as one:
        out, _ = await schedule(one.ada, subject="Out"), await schedule(one.ada, subject="Stays")
        await schedule(one.grace, subject="Hers")
        review = one.world.container.scheduled_review
        results = await review.cancel(one.ada.person, {out.message_id})
        await one.world.container.sign_ins.sessions.end(one.grace.origin.session_id, "by_operator")
        without = await review.cancel(one.grace.person)

        assert await subjects(one.world) == ["Stays", "Hers"]
        assert [draft["subject"] for draft in await drafts_of(one.ada)] == ["Out"]
    assert results == {out.message_id: "cancelled"}
    assert list(without.values()) == ["no_session"]


@pytest.mark.full
async def test_h18_end_of_sessions_says_what_leaves_all_the_same(tmp_path: Path) -> None:
    """Whoever ends a session hears how many scheduled mails of it Exchange still sends."""
    async with on_disk(tmp_path) as one:
        said = Console(record=True, width=250, file=io.StringIO())
        await schedule(one.ada)
        await schedule(one.grace)
        await sessions.end(one.world.container.settings, said, ADA, everybody=False)

    assert "1 scheduled mail of these sessions stays with Exchange" in said.export_text()
