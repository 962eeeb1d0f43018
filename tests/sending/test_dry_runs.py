"""Dry runs: the decision and the final form of what would leave, and nothing that stays behind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from m365_mcp.errors import PolicyDenied
from m365_mcp.mail import ReplyRequest
from m365_mcp.sending.dry_run import DryRun, dry_run_of_message
from m365_mcp.sending.own_drafts import OwnDrafts
from m365_mcp.sending.replying import Replies
from tests.inprocess import GRACE
from tests.sending.test_outbox import FILE, MARIE, Post, post, send, to_grace
from tests.sending.test_policies import WAYS, forbid, under

DryWay = Callable[[Post], Awaitable[DryRun]]


async def message(one: Post) -> DryRun:
    return await dry_run_of_message(one.ada, await one.ada.compose(to_grace(to=[MARIE])), "Send")


async def scheduled(one: Post) -> DryRun:
    leaves = datetime.now(UTC) + timedelta(hours=3)
    composed = await one.ada.compose(to_grace(to=[MARIE], send_at=leaves))
    return await dry_run_of_message(one.ada, composed, "Send", "Schedule")


async def draft(one: Post) -> DryRun:
    permissive = under(one.ada, "")
    _, created = await OwnDrafts(permissive).create(await permissive.compose(to_grace(to=[MARIE])))
    return await OwnDrafts(one.ada).dry_run(created.id)


async def answer(one: Post, **changes: Any) -> DryRun:
    original = await one.ask(attachments=[FILE])
    described: dict[str, Any] = {"kind": "reply", "original": original, "body": "<p>Yes</p>", **changes}
    return await Replies(one.ada).dry_run(await one.ada.compose_reply(ReplyRequest(**described)))


DRY_WAYS: dict[str, DryWay] = {
    "send": message,
    "schedule": scheduled,
    "send_draft": draft,
    "reply": answer,
    "forward": lambda one: answer(one, kind="forward", to=[MARIE]),
}


def test_every_way_out_has_its_dry_run() -> None:
    """A new way to send needs a dry run here."""
    assert DRY_WAYS.keys() == WAYS.keys()


@pytest.mark.parametrize("way", DRY_WAYS)
@pytest.mark.sample(2)
async def test_dry_run_of_a_denied_message_names_the_policy_as_the_send_does(way: str) -> None:
    """The refusal is the one that the same call meets without dry_run."""
    async with post() as one:
        text = forbid('resource.externalDomains.contains("fabrikam.example") || resource.isReply')
        strict = Post(one.world, under(one.ada, text), one.grace)
        dry = await DRY_WAYS[way](strict)
        with pytest.raises(PolicyDenied) as caught:
            await WAYS[way](strict)

    assert dry.decision.refusal is not None
    assert dry.decision.refusal.explain() == caught.value.explain()
    assert dry.decision.refusal.rule == caught.value.rule == "house"


@pytest.mark.parametrize(
    ("condition", "way"),
    [
        ('resource.linkDomains.contains("evil.example")', {"body": '<a href="https://evil.example">x</a>'}),
        ('resource.isForward && resource.attachmentExtensions.contains("txt")', {"kind": "forward", "to": [MARIE]}),
        (f'resource.recipients == ["{GRACE}"]', {}),
    ],
)
async def test_reply_is_decided_by_its_recipients_text_and_files_before_there_is_a_draft(
    condition: str, way: dict[str, Any]
) -> None:
    """What the policies are told of a reply's dry run is what they would be told of its draft."""
    async with post() as one:
        strict = Post(one.world, under(one.ada, forbid(condition)), one.grace)
        dry = await answer(strict, **way)
        wrote = one.world.network.asked("POST", "PATCH")

    assert dry.decision.refusal is not None
    assert [path for path in wrote if "createReply" in path or "createForward" in path or "PATCH" in path] == []


async def test_dry_run_leaves_nothing_behind() -> None:
    """No draft, no mail, no entry in the ledger and no count against a limit: the same call then sends."""
    async with post(m365_send_hourly_limit=1) as one:
        before = one.world.network.asked("POST", "PATCH", "DELETE")
        dry = [await message(one) for _ in range(3)]
        composed = (await one.ada.compose(to_grace(to=[MARIE]))).composed_fingerprint()
        assert one.world.network.asked("POST", "PATCH", "DELETE") == before
        assert not await one.is_recorded(composed)
        receipt = await send(one.ada, to=[MARIE])

        assert [one.decision.refusal for one in dry] == [None] * 3
        assert not receipt.is_repeat
        assert len(await one.world.sent()) == 1


@pytest.mark.parametrize("way", DRY_WAYS)
@pytest.mark.sample(2)
async def test_dry_run_says_that_the_person_would_be_asked(way: str) -> None:
    """A mail that would wait for approval is neither permitted nor denied, and its dry run holds nothing."""
    async with post(m365_send_approval="all") as one:
        grace = replace(one.grace, is_approved=True)
        dry = await DRY_WAYS[way](Post(one.world, one.ada, grace))
        waiting = await one.world.container.approvals.of(one.ada.person)

    assert (dry.decision.refusal, dry.decision.asked_by) == (None, "setting:M365_SEND_APPROVAL")
    assert waiting == ()


@pytest.mark.parametrize("kind", ["reply", "reply_all", "forward"])
async def test_expected_reply_has_the_recipients_and_the_subject_of_the_real_one(kind: Any) -> None:
    """The recipients that Graph will choose are read from the original, its replyTo included."""
    async with post() as one:
        more: dict[str, Any] = {"to": [MARIE]} if kind == "forward" else {}
        asked = {"cc": [MARIE], "reply_to": ["replies@contoso.example"], "subject": "re: Lunch?"}
        original = await one.ask(**asked)
        described = ReplyRequest(kind=kind, original=original, body="<p>Yes</p>", **more)
        dry = await Replies(one.ada).dry_run(await one.ada.compose_reply(described))
        sent = await one.answer(original, kind=kind, **more)
        mail = (await one.world.sent())[-1]

    assert dry.item.addresses == sent.addresses
    assert dry.item.subject == mail["subject"]
    assert dry.content_type.lower() == mail["body"]["contentType"].lower()
    assert 0 < dry.body_bytes <= len(mail["body"]["content"].encode())
    assert dry.warnings == sent.warnings
