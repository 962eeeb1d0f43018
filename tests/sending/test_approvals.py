"""Mail that waits for its sender's approval: held by every way out, sent or discarded once, and never passed by."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from m365_mcp.errors import (
    ApprovalOver,
    ApprovalVoid,
    M365Error,
    PolicyDenied,
    TooManyHeld,
)
from m365_mcp.sending.approvals import Approvals
from m365_mcp.sending.held_mail import MAX_HELD, HeldMail
from m365_mcp.sending.ledger import Ledger
from m365_mcp.sending.message_json import message_as_json, message_from_json
from m365_mcp.sending.outbox import Outbox
from m365_mcp.sending.own_drafts import OwnDrafts
from m365_mcp.sending.send_strategy import Approval
from m365_mcp.sending.shown_pictures import MAX_SHOWN_BYTES
from tests.inprocess import ADA
from tests.sending.test_outbox import FILE, MARIE, PICTURE, Post, post, send, to_grace
from tests.sending.test_policies import WAYS, forbid, under

GRAPH_FILE = {"name": "a.txt", "contentType": "text/plain", "contentBytes": "YQ=="}
EVERYTHING_ASKS = {"m365_send_approval": "all"}


@asynccontextmanager
async def asking(**changes: Any) -> AsyncIterator[tuple[Post, Approvals]]:
    async with post(**{**EVERYTHING_ASKS, **changes}) as one:
        yield one, one.world.container.approvals


async def sent_by_ada(one: Post) -> list[dict[str, Any]]:
    return [mail for mail in await one.world.sent() if mail["from"]["address"] == ADA]


@pytest.mark.parametrize("mode", ["direct", "draft"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.sample(3)
async def test_i6_l1_mail_waits_by_every_way_and_leaves_once_when_it_is_approved(way: str, mode: str) -> None:
    """Nothing is sent before the approval; what is approved is sent without another call, and once."""
    async with asking(m365_send_mode=mode) as (one, approvals):
        without = under(one.grace, "")
        one = replace(one, grace=replace(without, is_approved=True))
        if way == "send":
            receipt = await send(one.ada, cc=[MARIE], attachments=[FILE])
        else:
            await WAYS[way](one)
        before = await sent_by_ada(one)
        [mail] = await approvals.of(one.ada.person)
        shown = await approvals.show(mail)
        answers = await asyncio.gather(
            *(approvals.approve(mail, shown.digest) for _ in range(5)), return_exceptions=True
        )
        after = await sent_by_ada(one)
        left = await approvals.of(one.ada.person)
        with pytest.raises(ApprovalOver):
            await approvals.show(mail)
        if way == "send":
            again = await send(one.ada, cc=[MARIE], attachments=[FILE])

    assert before == []
    assert len(after) == 1
    assert left == ()
    assert sum(isinstance(answer, HeldMail) for answer in answers) == 1
    assert sum(isinstance(answer, M365Error) for answer in answers) == 4
    assert after[0]["headers"][0]["value"] == mail.id if way == "send" else True
    if way == "send":
        assert (receipt.approval.status, receipt.approval.rule) == ("approval_needed", "setting:M365_SEND_APPROVAL")
        assert (again.is_repeat, again.approval, again.message_id) == (True, None, mail.id)
        assert [file["name"] for file in after[0]["attachments"]] == [FILE["name"]]


async def test_i4_l1_discarded_mail_is_never_sent() -> None:
    """The same call says that the person discarded it; a later one asks anew. A reply's draft is deleted."""
    async with asking() as (one, approvals):
        await send(one.ada)
        [mail] = await approvals.of(one.ada.person)
        await approvals.decline(mail)
        again = await send(one.ada)
        with pytest.raises(ApprovalOver):
            await approvals.approve(mail, "")
        kept = await approvals.find(mail.id)
        content = await approvals.outgoing.delivery.held.content(mail)
        waits = await approvals.of(one.ada.person)
        later = replace(one.ada.outgoing.delivery.ledger, clock=lambda: time.time() + 3600)
        anew = await send(on(one.ada, later))

        assert await sent_by_ada(one) == []
    assert again.approval == Approval("declined", None, None, "setting:M365_SEND_APPROVAL")
    assert kept is not None
    assert (content, kept.is_decided, kept.subject, kept.addresses) == (None, True, "", ())
    assert waits == ()
    assert anew.approval.status == "approval_needed"


async def test_l1_declined_reply_leaves_no_draft() -> None:
    """The draft that a reply had made is deleted with it; a draft that the person knows stays."""
    async with asking() as (one, approvals):
        one = replace(one, grace=replace(one.grace, is_approved=True))
        await one.answer(await one.ask())
        _, draft = await OwnDrafts(one.ada).create(await one.ada.compose(to_grace()))
        await OwnDrafts(one.ada).send(draft.id)
        for mail in await approvals.of(one.ada.person):
            await approvals.decline(mail)

        assert await one.drafts_left() == 1
        assert await sent_by_ada(one) == []


@pytest.mark.parametrize("copy", [False, True])
async def test_l1_repeat_and_deliberate_copy_find_what_waits(copy: bool) -> None:
    """An equal call holds nothing anew, also one that asks for a copy: the person would be asked twice."""
    async with asking() as (one, approvals):
        first = await send(one.ada)
        second = await send(one.ada, copy=copy)
        copies = [await send(one.ada, subject="Another", copy=True) for _ in range(3)]
        key = await send(one.ada, key="k")

        assert len(await approvals.of(one.ada.person)) == 3  # a key names a mail of its own
    assert second == first
    assert copies[0] == copies[1] == copies[2]
    assert key.message_id != first.message_id


async def test_i5_l1_mail_that_waited_too_long_asks_anew() -> None:
    """After its time a held mail cannot be approved; the same call asks at once, with another link."""
    async with asking(m365_approval_minutes=5) as (one, approvals):
        first = await send(one.ada)
        [mail] = await approvals.of(one.ada.person)
        digest = (await approvals.show(mail)).digest
        later = on(one.ada, replace(one.ada.outgoing.delivery.ledger, clock=lambda: time.time() + 301))
        late = replace(approvals, outgoing=later.outgoing)
        with pytest.raises(ApprovalOver):
            await late.show(mail)
        with pytest.raises(ApprovalOver):
            await late.approve(mail, digest)
        second = await send(later)

        assert await late.of(one.ada.person) != ()
        assert await sent_by_ada(one) == []
    assert second.approval.status == "approval_needed"
    assert second.message_id != first.message_id


async def test_l1_person_has_room_for_twenty_mails() -> None:
    """What does not fit is refused, is not held, leaves no draft, and can be sent when there is room."""
    async with asking() as (one, approvals):
        for number in range(MAX_HELD):
            await send(one.ada, subject=f"Mail {number}")
        with pytest.raises(TooManyHeld):
            await send(one.ada, subject="One more")
        original = await replace(one, grace=replace(one.grace, is_approved=True)).ask()
        with pytest.raises(TooManyHeld):
            await one.answer(original)
        drafts = await one.drafts_left()
        [first, *rest] = await approvals.of(one.ada.person)
        await approvals.decline(first)
        receipt = await send(one.ada, subject="One more")

        assert drafts == 0
        assert len(rest) == MAX_HELD - 1
        assert len(await approvals.of(one.ada.person)) == MAX_HELD
    assert receipt.approval.status == "approval_needed"


CHANGES: dict[str, dict[str, Any]] = {
    "subject": {"subject": "Another"},
    "recipient": {"ccRecipients": [{"emailAddress": {"address": MARIE}}]},
    "blind copy": {"bccRecipients": [{"emailAddress": {"address": MARIE}}]},
    "reply-to": {"replyTo": [{"emailAddress": {"address": MARIE}}]},
    "text": {"body": {"contentType": "HTML", "content": "<p>Another</p>"}},
    "importance": {"importance": "high"},
    "read receipt": {"isReadReceiptRequested": True},
    "delivery receipt": {"isDeliveryReceiptRequested": True},
}


@pytest.mark.parametrize("change", [*CHANGES, "attachment"])
@pytest.mark.sample(2)
async def test_i5_l2_approval_of_a_draft_is_void_when_it_was_changed(change: str) -> None:
    """What was read on the page is what leaves; a changed draft waits on, and can be read and approved as it is now."""
    async with asking(m365_send_bcc=True) as (one, approvals):
        _, draft = await OwnDrafts(one.ada).create(await one.ada.compose(to_grace()))
        await OwnDrafts(one.ada).send(draft.id)
        [mail] = await approvals.of(one.ada.person)
        shown = await approvals.show(mail)
        if change == "attachment":
            await one.ada.drafts.attach(draft.id, {"@odata.type": "#microsoft.graph.fileAttachment", **GRAPH_FILE})
        else:
            await one.ada.drafts.change(draft.id, CHANGES[change])
        with pytest.raises(ApprovalVoid):
            await approvals.approve(mail, shown.digest)
        assert await sent_by_ada(one) == []

        await approvals.approve(mail, (await approvals.show(mail)).digest)
        assert len(await sent_by_ada(one)) == 1


async def test_h4_approved_mail_is_decided_by_the_policies_of_now() -> None:
    """An approval lets nothing pass that a policy has forbidden since."""
    async with asking() as (one, approvals):
        await send(one.ada)
        [mail] = await approvals.of(one.ada.person)
        digest = (await approvals.show(mail)).digest
        now = replace(approvals, outgoing=under(one.ada, forbid("true")).outgoing)
        with pytest.raises(PolicyDenied):
            await now.approve(mail, digest)

        assert await sent_by_ada(one) == []


async def test_l2_approval_of_a_composed_mail_is_of_its_whole_content() -> None:
    """The digest on the page is of everything in the mail; one of a mail that differs anywhere sends nothing."""
    async with asking() as (one, approvals):
        await send(one.ada, attachments=[FILE])
        await send(one.ada, attachments=[{**FILE, "content_base64": "b3RoZXI="}])
        await send(one.ada, attachments=[FILE], body="At one?")
        mails = await approvals.of(one.ada.person)
        digests = {(await approvals.show(mail)).digest for mail in mails}
        again = {(await approvals.show(mail)).digest for mail in mails}
        for other in [*(digests - {(await approvals.show(mails[0])).digest}), ""]:
            with pytest.raises(ApprovalVoid):
                await approvals.approve(mails[0], other)

        assert await sent_by_ada(one) == []
    assert (len(digests), again) == (3, digests)


async def test_l3_mail_of_a_session_that_ended_is_discarded() -> None:
    """A sign-out takes along what the session has written."""
    async with asking() as (one, approvals):
        await send(one.ada)
        [mail] = await approvals.of(one.ada.person)
        await one.world.container.sign_ins.sessions.end(mail.session_id, "by_client")
        with pytest.raises(ApprovalOver):
            await approvals.approve(mail, "")

        assert await sent_by_ada(one) == []


async def test_only_mail_with_an_address_outside_waits() -> None:
    """`external` counts to, cc, bcc and reply_to; colleagues get their mail at once."""
    outside: list[dict[str, Any]] = [{"to": [MARIE]}, {"cc": [MARIE]}, {"bcc": [MARIE]}, {"reply_to": [MARIE]}]
    chosen = {"m365_send_approval": "external", "m365_internal_domains": "contoso.example", "m365_send_bcc": True}
    async with asking(**chosen) as (one, approvals):
        inside = await send(one.ada)
        receipts = [await send(one.ada, subject=str(number), **fields) for number, fields in enumerate(outside)]
        shown = [await approvals.show(mail) for mail in await approvals.of(one.ada.person)]

        assert len(await sent_by_ada(one)) == 1
    assert inside.approval is None
    assert [receipt.approval.status for receipt in receipts] == ["approval_needed"] * 4
    assert {outsider for one in shown for outsider in one.outside} == {MARIE}


async def test_message_survives_the_wait_with_every_field() -> None:
    """What is read back from the store is the message that was composed."""
    async with asking(m365_send_bcc=True, m365_send_from=True) as (one, _):
        when = datetime.now(UTC) + timedelta(hours=2)
        message = await one.ada.compose(
            to_grace(
                cc=[f"Marie <{MARIE}>"], bcc=["a@example.com"], reply_to=["b@example.com"],
                from_="team@contoso.example", importance="high", attachments=[FILE],
                request_read_receipt=True, send_at=when,
            )
        )  # fmt: skip

    assert message_from_json(json.loads(json.dumps(message_as_json(message)))) == message


def on(outbox: Outbox, ledger: Ledger) -> Outbox:
    """Return the outbox with another ledger."""
    delivery = replace(outbox.outgoing.delivery, ledger=ledger)
    return replace(outbox, outgoing=replace(outbox.outgoing, delivery=delivery))


@pytest.mark.parametrize("way", ["direct", "existing"])
async def test_l1_approved_mail_that_could_not_leave_can_be_approved_again(way: str) -> None:
    """Graph throttles, or a limit is reached: nothing was sent, the mail waits on, and a second press sends it once."""
    async with asking() as (one, approvals):
        if way == "direct":
            await send(one.ada)
        else:
            _, draft = await OwnDrafts(one.ada).create(await one.ada.compose(to_grace()))
            await OwnDrafts(one.ada).send(draft.id)
        [mail] = await approvals.of(one.ada.person)
        shown = await approvals.show(mail)
        path = "/v1.0/me/sendMail" if way == "direct" else "/v1.0/me/messages/*/send"
        await one.world.fault({"path": path}, {"status": 429})
        with pytest.raises(M365Error):
            await approvals.approve(mail, shown.digest)
        assert await sent_by_ada(one) == []
        again = await approvals.show(mail)
        await approvals.approve(mail, again.digest)
        with pytest.raises(ApprovalOver):
            await approvals.approve(mail, again.digest)

        assert len(await sent_by_ada(one)) == 1


HOSTILE = 'image/png; a="><style>p{display:none}</style><h3>Lunch</h3><!--"'


async def test_l2_pictures_change_nothing_but_themselves_on_the_page() -> None:
    """A media type and the text around a picture are no HTML of the page; files in the text are listed, too."""
    text = '<p>Pay to cid:logo now</p><img src="cid:logo" alt="l">'
    async with asking() as (one, approvals):
        await send(one.ada, body=text, attachments=[{**PICTURE, "content_type": HOSTILE}])
        [mail] = await approvals.of(one.ada.person)
        shown = await approvals.show(mail, with_body=True)
        without = await approvals.show(mail)

    assert "<style>" not in shown.body
    assert "Pay to cid:logo now" in shown.body
    assert 'src="data:image/png;base64,' in shown.body
    assert [name for name, _ in shown.files] == ["l.png"]
    assert without.body == ""


async def test_l2_page_of_many_pictures_stays_small() -> None:
    """One picture that the text shows a thousand times is shown as far as there is room."""
    large = {**PICTURE, "content_base64": base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(1_500_000)).decode()}
    async with asking() as (one, approvals):
        await send(one.ada, body='<img src="cid:logo" alt="l">' * 1_000, attachments=[large])
        [mail] = await approvals.of(one.ada.person)
        shown = await approvals.show(mail, with_body=True)

    assert len(shown.body) < 2 * MAX_SHOWN_BYTES


async def test_l1_draft_can_wait_again_after_its_time_and_after_a_refusal() -> None:
    """A draft keeps its id, so a new question takes the place of the old one."""
    async with asking(m365_approval_minutes=5) as (one, approvals):
        _, draft = await OwnDrafts(one.ada).create(await one.ada.compose(to_grace()))
        first = (await OwnDrafts(one.ada).send(draft.id))[1]
        later = on(one.ada, replace(one.ada.outgoing.delivery.ledger, clock=lambda: time.time() + 301))
        second = (await OwnDrafts(later).send(draft.id))[1]
        [mail] = await replace(approvals, outgoing=later.outgoing).of(one.ada.person)

    assert (first.approval and first.approval.status, second.approval and second.approval.status) == (
        "approval_needed",
        "approval_needed",
    )
    assert mail.expires_at > time.time() + 301
