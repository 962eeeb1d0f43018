"""Held mail whose approval time runs out is recorded once, also where nobody asks for it again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from m365_mcp.errors import ApprovalOver, StorageUnavailable
from m365_mcp.sending.approvals import Approvals
from m365_mcp.sending.delivery import Delivery
from m365_mcp.sending.held_expiry import HeldExpiry
from m365_mcp.sending.own_drafts import OwnDrafts
from m365_mcp.storage.records import Records, Versioned
from tests.audit.reading import of_class, problems
from tests.sending.test_approvals import on
from tests.sending.test_outbox import Post, post, send, to_grace

RULE = {"uid": "setting:M365_SEND_APPROVAL"}


@asynccontextmanager
async def recording(file: Path) -> AsyncIterator[tuple[Post, Approvals]]:
    """Run a server where every mail waits five minutes for its sender, and what happens is recorded."""
    async with post(m365_audit=f"file:{file}", m365_send_approval="all", m365_approval_minutes=5) as one:
        yield one, one.world.container.approvals


def looks(delivery: Delivery, seconds: float) -> HeldExpiry:
    """Return what notices expired mail, on a replica whose clock is so many seconds ahead."""
    late = replace(delivery, ledger=replace(delivery.ledger, clock=lambda: time.time() + seconds))
    return HeldExpiry(late.held, late.ledger)


def records_of(file: Path) -> list[dict[str, Any]]:
    """Return what is recorded of mail, after the server has ended."""
    found = of_class(file, 4009)
    assert [problem for record in found for problem in problems(record)] == []
    return found


async def test_l1_mail_that_nobody_asks_for_again_is_recorded_as_expired_once(tmp_path: Path) -> None:
    """Two replicas look at once, and again later: one record says that the mail has expired, and its text is gone."""
    async with recording(tmp_path / "audit") as (one, approvals):
        await send(one.ada)
        [mail] = await approvals.of(one.ada.person)
        delivery = one.ada.outgoing.delivery
        await looks(delivery, 200).look()
        await asyncio.gather(*(looks(delivery, 400).look() for _ in range(2)))
        await looks(delivery, 800).look()
        await looks(delivery, 800).held.expire(mail)  # as a replica that has found it before the others closed it

        assert await delivery.held.content(mail) is None

    held, expired = records_of(tmp_path / "audit")
    assert (held["status"], expired["status"], expired["status_id"]) == ("held", "expired", 99)
    assert expired["email"]["message_uid"] == held["email"]["message_uid"] == mail.id
    assert expired["policy"] == RULE
    assert expired["unmapped"]["recipient_domains"] == held["unmapped"]["recipient_domains"]
    assert expired["actor"] == held["actor"]
    assert "status_detail" not in expired


async def test_l1_decided_mail_never_expires(tmp_path: Path) -> None:
    """What the person has sent or discarded leaves no record of an expiry when its time is over."""
    async with recording(tmp_path / "audit") as (one, approvals):
        await send(one.ada)
        await send(one.ada, subject="Another")
        first, second = sorted(await approvals.of(one.ada.person), key=lambda mail: mail.held_at)
        await approvals.approve(first, (await approvals.show(first)).digest)
        await approvals.decline(second)
        await looks(one.ada.outgoing.delivery, 400).look()

    assert [record["status"] for record in records_of(tmp_path / "audit")] == ["held", "held", "sent", "declined"]


async def test_l1_approval_that_only_the_ledger_knows_is_no_expiry(tmp_path: Path) -> None:
    """A mail that was sent while the store could not close its record is not said to have expired."""
    async with recording(tmp_path / "audit") as (one, approvals):
        await send(one.ada)
        [mail] = await approvals.of(one.ada.person)
        ledger = one.ada.outgoing.delivery.ledger
        await ledger.decide(mail.names, mail.id, "sending", mail.window_seconds)
        await looks(one.ada.outgoing.delivery, 400).look()

    assert [record["status"] for record in records_of(tmp_path / "audit")] == ["held"]


async def test_l1_draft_that_waits_anew_is_recorded_as_expired_first(tmp_path: Path) -> None:
    """The next call for a draft whose time ran out records that, and the look afterwards does not do it again."""
    async with recording(tmp_path / "audit") as (one, _):
        _, draft = await OwnDrafts(one.ada).create(await one.ada.compose(to_grace()))
        await OwnDrafts(one.ada).send(draft.id)
        later = on(one.ada, replace(one.ada.outgoing.delivery.ledger, clock=lambda: time.time() + 301))
        await OwnDrafts(later).send(draft.id)
        await looks(one.ada.outgoing.delivery, 500).look()
        await looks(one.ada.outgoing.delivery, 1000).look()

    found = records_of(tmp_path / "audit")
    assert [record["status"] for record in found] == ["held", "expired", "held", "expired"]
    assert len({record["email"]["message_uid"] for record in found}) == 1


class AwayAtFirst(Records):
    """A store that does not respond at the first few reads."""

    def __init__(self, known: Records, failures: int) -> None:
        self._known, self._failures = known, failures

    async def read(self, collection: str, key: str) -> Versioned:
        self._failures -= 1
        if self._failures >= 0:
            raise StorageUnavailable
        return await self._known.read(collection, key)

    async def compare_and_swap(self, *arguments: Any, **more: Any) -> Versioned | None:
        return await self._known.compare_and_swap(*arguments, **more)


@pytest.mark.parametrize("failures", [1, 40])
async def test_l1_outage_of_the_store_loses_no_expiry(tmp_path: Path, failures: int) -> None:
    """While the store is away nothing is recorded and nothing raised; the next look records it."""
    async with recording(tmp_path / "audit") as (one, _):
        await send(one.ada)
        look = looks(one.ada.outgoing.delivery, 400)
        away = AwayAtFirst(look.held.records, failures)
        look.held = replace(look.held, records=away)
        for _ in range(failures + 1):
            await look.look()

    assert [record["status"] for record in records_of(tmp_path / "audit")] == ["held", "expired"]


async def test_l2_record_of_an_approved_draft_has_the_recipients_that_got_it(tmp_path: Path) -> None:
    """A draft that was changed while it waited is counted and recorded as the page showed it, and once."""
    async with recording(tmp_path / "audit") as (one, approvals):
        _, draft = await OwnDrafts(one.ada).create(await one.ada.compose(to_grace()))
        await OwnDrafts(one.ada).send(draft.id)
        [mail] = await approvals.of(one.ada.person)
        others = [{"emailAddress": {"address": f"x{number}@fabrikam.example"}} for number in range(5)]
        await one.ada.drafts.change(draft.id, {"toRecipients": others})
        digest = (await approvals.show(mail)).digest
        sent = await approvals.approve(mail, digest)
        with pytest.raises(ApprovalOver):
            await approvals.approve(mail, digest)
        counted = await one.ada.outgoing.delivery.limits.before_this(one.ada.person)

    held, record = records_of(tmp_path / "audit")
    assert (held["status"], record["status"]) == ("held", "sent")
    assert record["unmapped"]["recipient_domains"] == {"fabrikam.example": 5}
    assert counted.person_recipients_hour == 5
    assert len(sent.addresses) == 5
