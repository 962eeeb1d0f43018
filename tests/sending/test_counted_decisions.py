"""Approvals, decisions of the policies and limits count what happened: each once, where the store has decided."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from m365_mcp.errors import ApprovalOver, M365Error, PolicyDenied, RateLimited, Throttled
from m365_mcp.sending.mailbox_slots import SLOTS
from m365_mcp.tools.call_limits import MOST
from tests.inprocess import World
from tests.sending.test_approvals import asking
from tests.sending.test_outbox import MARIE, Post, post, send
from tests.sending.test_policies import forbid, under

CLICKS = 5


def counts(world: World, name: str, *labels: str) -> dict[Any, float]:
    """Return what a counter has counted, by the values of these labels, or of its only one."""
    families = [one for one in world.container.metrics.registry.collect() if one.name == f"m365_mcp_{name}"]
    samples = [one for family in families for one in family.samples if one.name.endswith("_total")]
    found = {tuple(one.labels[label] for label in labels or one.labels): one.value for one in samples if one.value}
    return {key if labels else key[0]: value for key, value in found.items()}


async def test_clicks_on_one_mail_count_one_approval() -> None:
    """Five clicks at once on two replicas' pages: held 1, approved 1, sent 1; a click afterwards counts nothing."""
    async with asking() as (one, approvals):
        await send(one.ada)
        [mail] = await approvals.of(one.ada.person)
        shown = await approvals.show(mail)
        clicks = [approvals.approve(mail, shown.digest) for _ in range(CLICKS)]
        await asyncio.gather(*clicks, return_exceptions=True)
        with pytest.raises(ApprovalOver):
            await approvals.approve(mail, shown.digest)
        with pytest.raises(ApprovalOver):
            await approvals.decline(mail)

        assert counts(one.world, "sends") == {"held": 1, "approved": 1, "sent": 1}


async def test_clicks_on_discard_count_one_decision() -> None:
    """Five clicks at once on Discard: declined 1; approving it afterwards counts nothing."""
    async with asking() as (one, approvals):
        await send(one.ada)
        [mail] = await approvals.of(one.ada.person)
        shown = await approvals.show(mail)
        clicks = [approvals.decline(mail) for _ in range(CLICKS)]
        await asyncio.gather(*clicks, return_exceptions=True)
        with suppress(M365Error):
            await approvals.approve(mail, shown.digest)

        assert counts(one.world, "sends") == {"held": 1, "declined": 1}


async def test_approval_that_microsoft_cannot_serve_counts_anew() -> None:
    """The mail waits again, so its second approval is a second decision; it is sent once."""
    async with asking() as (one, approvals):
        await send(one.ada)
        [mail] = await approvals.of(one.ada.person)
        shown = await approvals.show(mail)
        what = {"status": 429, "headers": {"Retry-After": "300"}}
        await one.world.fault({"path": "/v1.0/me/sendMail"}, what)
        with pytest.raises(Throttled):
            await approvals.approve(mail, shown.digest)
        before = counts(one.world, "sends")
        await approvals.approve(mail, shown.digest)

        assert before == {"held": 1, "approved": 1, "failed": 1}
        assert counts(one.world, "sends") == {"held": 1, "approved": 2, "failed": 1, "sent": 1}


async def test_each_question_to_the_policies_is_one_decision() -> None:
    """A mail that may leave is one permit, one that may not one forbid; a repeat of a mail asks nothing."""
    async with post() as one:
        await send(one.ada)
        await send(one.ada)
        after_one = counts(one.world, "policy_decisions", "action", "decision")
        with pytest.raises(PolicyDenied):
            await send(under(one.ada, forbid("true")), to=[MARIE])
        after_two = counts(one.world, "policy_decisions", "action", "decision")

        assert after_one == {("Send", "permit"): 1}
        assert after_two == {("Send", "permit"): 1, ("Send", "forbid"): 1}


async def _over_an_hour(one: Post) -> None:
    await send(one.ada)
    for number in range(2):
        with pytest.raises(RateLimited):
            await send(one.ada, subject=f"Another {number}")


async def _over_calls(one: Post) -> None:
    calls = one.world.container.services.calls
    for _ in range(MOST):
        await calls.count(one.ada.person, "find_people")
    for _ in range(2):
        with pytest.raises(RateLimited):
            await calls.count(one.ada.person, "find_people")


async def _over_mailbox_slots(one: Post) -> None:
    slots = replace(one.ada.outgoing.delivery.slots, wait_seconds=0.0)
    held = [slots.slot(one.ada.person) for _ in range(SLOTS)]
    for slot in held:
        await slot.__aenter__()
    for _ in range(2):
        with pytest.raises(Throttled):
            await slots.slot(one.ada.person).__aenter__()
    for slot in held:
        await slot.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("limit", "exceed", "settings"),
    [
        ("M365_SEND_PERSON_HOURLY", _over_an_hour, {"m365_send_person_hourly": 1}),
        ("calls", _over_calls, {}),
        ("mailbox_slots", _over_mailbox_slots, {}),
    ],
)
async def test_each_refusal_at_a_limit_is_one_count(limit: str, exceed: Any, settings: dict[str, Any]) -> None:
    """What is over a limit twice counts twice there, and at no other limit; what is under it counts nothing."""
    async with post(**settings) as one:
        await exceed(one)

        assert counts(one.world, "limit_refusals") == {limit: 2}
