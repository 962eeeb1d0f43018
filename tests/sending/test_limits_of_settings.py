"""The settings of the limits, at every way out: server and simulator in this process."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from m365_mcp.errors import GraphUnavailable, MessageRefused, OutcomeUnknown, PolicyDenied, RateLimited
from tests.inprocess import GRACE
from tests.sending.test_outbox import MARIE, SEND, Post, post, send
from tests.sending.test_policies import WAYS, forbid, schedule, under

# Each setting with the number that a first message to two people uses up.
SETTINGS: dict[str, int] = {
    "m365_send_person_hourly": 1,
    "m365_send_person_daily": 1,
    "m365_send_person_recipients_hourly": 3,
    "m365_send_person_recipients_daily": 3,
    "m365_send_total_hourly": 1,
    "m365_send_total_daily": 1,
    "m365_send_total_recipients_hourly": 3,
    "m365_send_total_recipients_daily": 3,
}


async def left(one: Post) -> int:
    """Return how many mails Ada has sent."""
    return len([mail for mail in await one.world.sent() if mail["to"][0]["address"] != "ada@contoso.example"])


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.sample(3)
async def test_g22_setting_limits_what_leaves(name: str) -> None:
    """G22: the second message is refused by the setting that is named; with 0 it leaves."""
    async with post(**{name: SETTINGS[name]}) as one:
        await send(one.ada, to=[GRACE, MARIE])
        with pytest.raises(RateLimited) as caught:
            await send(one.ada, to=[GRACE, MARIE], subject="Another")
        assert await left(one) == 1
    async with post(**{name: 0}) as one:
        await send(one.ada, to=[GRACE, MARIE])
        await send(one.ada, to=[GRACE, MARIE], subject="Another")

    assert f"The operator sets {name.upper()}." in caught.value.advice
    assert caught.value.retry_after


@pytest.mark.parametrize("mode", ["direct", "draft"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.sample(3)
async def test_g22_limit_holds_for_every_way_out(way: str, mode: str) -> None:
    """G22: whatever tool sends, the message counts, and the next is refused and leaves no draft that it made."""
    async with post(m365_send_mode=mode, m365_send_person_hourly=1) as one:
        await WAYS[way](one)
        before = await left(one), await one.drafts_left()
        with pytest.raises(RateLimited):
            await send(one.ada, subject="Another")
        assert (await left(one), await one.drafts_left()) == before


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.sample(2)
async def test_g22_limit_refuses_every_way_out(way: str) -> None:
    """G22: once the limit is reached, no tool sends."""
    async with post(m365_send_person_hourly=1) as one:
        await send(one.ada, to=[MARIE], subject="The first")
        sent = await left(one)
        with pytest.raises(RateLimited):
            await WAYS[way](one)
        assert await left(one) == sent
        assert await one.drafts_left() == (1 if way == "send_draft" else 0)  # what the person knows stays


async def test_repeat_and_refusals_do_not_count() -> None:
    """A repeat, a denial of a policy, a mistake and a refusal of Graph's use nothing up."""
    async with post(m365_send_person_hourly=2) as one:
        for _ in range(3):
            await send(one.ada)
        with pytest.raises(PolicyDenied):
            await send(under(one.ada, forbid("true")), subject="Forbidden")
        refusal = {"status": 400, "body": {"error": {"code": "ErrorInvalidRecipients", "message": "x"}}}
        await one.world.fault({"path": "/v1.0/me/sendMail"}, refusal)
        with pytest.raises(MessageRefused):
            await send(one.ada, subject="Refused")
        await send(one.ada, subject="The second")
        with pytest.raises(RateLimited):
            await send(one.ada, subject="The third")
        assert (await send(one.ada)).is_repeat


@pytest.mark.parametrize(("mode", "when"), [("direct", "after"), ("draft", "after"), ("draft", "before")])
@pytest.mark.sample(1)
async def test_message_with_a_lost_answer_counts(mode: str, when: str) -> None:
    """What may have left counts, and so does what was looked up and found sent, or was sent then."""
    async with post(m365_send_mode=mode, m365_send_person_hourly=1) as one:
        path = "/v1.0/me/sendMail" if mode == "direct" else "/v1.0/me/messages/*/send"
        await one.world.fault({"path": path}, {"status": 503}, when=when)
        with pytest.raises(OutcomeUnknown) if mode == "direct" else nullcontext():
            await send(one.ada)
        with pytest.raises(RateLimited):
            await send(one.ada, subject="Another")
        assert await left(one) == 1


async def test_scheduled_message_found_unsent_does_not_count() -> None:
    """What the lookup of the same call finds to be not sent is given back."""
    async with post(m365_send_person_hourly=1) as one:
        await one.world.fault({"path": SEND}, {"status": 503}, when="before")
        with pytest.raises(GraphUnavailable, match="did not send"):
            await schedule(one)
        await send(one.ada)
        with pytest.raises(RateLimited):
            await schedule(one)


async def test_mail_that_waits_for_approval_counts_when_it_leaves() -> None:
    """Three messages may wait though one may leave; the second that the person approves is over the limit."""
    async with post(m365_send_approval="all", m365_send_person_hourly=1) as one:
        approvals = one.world.container.approvals
        for number in range(3):
            await send(one.ada, subject=f"Number {number}")
        first, second, _ = await approvals.of(one.ada.person)
        await approvals.approve(first, (await approvals.show(first)).digest)
        with pytest.raises(RateLimited):
            await approvals.approve(second, (await approvals.show(second)).digest)
        with pytest.raises(RateLimited):
            await send(one.ada, subject="Another")

        assert await left(one) == 1
