"""One person's outgoing mail, from the request to Microsoft's outbox: server and simulator in this process."""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest

from m365_mcp.errors import (
    AlreadySent,
    GraphUnavailable,
    IdempotencyKeyReused,
    InvalidArgument,
    MessageMissing,
    MessageRefused,
    RecipientNotAllowed,
)
from m365_mcp.graph.replies import ReplyDrafts
from m365_mcp.mail import MailRules, MessageRequest, ReplyRequest
from m365_mcp.mail.report import warnings_of
from m365_mcp.sending.outbox import Outbox
from m365_mcp.sending.own_drafts import OwnDrafts
from m365_mcp.sending.replying import Replies, SentReply
from m365_mcp.sending.scheduling import Schedule
from tests.inprocess import ADA, EVERY_TOOLSET, GRACE, World, running

MARIE = "marie@fabrikam.example"
PICTURE = {"name": "l.png", "content_base64": "iVBORw0KGgo=", "content_type": "image/png", "content_id": "logo"}
FILE = {"name": "menu.txt", "content_base64": "cGllCg==", "content_type": "text/plain"}
SEND = "/v1.0/me/messages/*/send"
HTML = {"subject": "Lunch?", "body": "<p>At <b>noon</b>?</p>"}


@dataclass(frozen=True)
class Post:
    """Ada's outbox at a server with every toolset, and Grace's."""

    world: World
    ada: Outbox
    grace: Outbox

    async def ask(self, **changes: Any) -> str:
        """Have Grace write to Ada; return the id of the message in Ada's mailbox."""
        await send(self.grace, **{**HTML, "to": [ADA], **changes})
        [message] = await ReplyDrafts(self.ada.drafts).list("inbox", 1, previews=False)
        return message.id

    async def answer(self, original: str, *, key: str | None = None, copy: bool = False, **changes: Any) -> SentReply:
        """Have Ada reply or forward."""
        described: dict[str, Any] = {"kind": "reply", "original": original, "body": "<p>Yes</p>", **changes}
        reply = await self.ada.compose_reply(ReplyRequest(**described))
        return await Replies(self.ada).send(reply, idempotency_key=key, allow_duplicate=copy)

    async def is_recorded(self, composed: str) -> bool:
        """Return whether v0.1.0 would find a send of Ada's by the fingerprint of the composed mail."""
        name = self.ada.person.digest(f"message {composed}")
        return (await self.world.container.storage.records.read("m365-sends", name)).value is not None

    async def drafts_left(self) -> int:
        """Return how many messages are in Ada's Drafts folder."""
        return len(await ReplyDrafts(self.ada.drafts).list("drafts", 10, previews=False))


def to_grace(**changes: Any) -> MessageRequest:
    return MessageRequest(**{**HTML, "to": [GRACE], **changes})


async def send(outbox: Outbox, *, key: str | None = None, copy: bool = False, **request: Any) -> Any:
    message = await outbox.compose(to_grace(**request))
    return await outbox.send(message, idempotency_key=key, allow_duplicate=copy)


@asynccontextmanager
async def post(**changes: Any) -> AsyncIterator[Post]:
    async with running(m365_toolsets=EVERY_TOOLSET, **changes) as world:
        ada = await world.outbox(await world.sign_in(ADA))
        grace = await world.outbox(await world.sign_in(GRACE))
        world.network.seen.clear()
        yield Post(world, ada, grace)


@pytest.mark.parametrize(("mode", "via"), [("direct", "sendMail"), ("draft", "draft")])
async def test_message_is_sent_once_by_the_chosen_strategy(mode: str, via: str) -> None:
    """A repeat returns the first receipt, a deliberate copy and another key are mails of their own."""
    async with post(m365_send_mode=mode) as one:
        receipts = [await send(one.ada, cc=[MARIE]) for _ in range(2)]
        receipts += [await send(one.ada, cc=[MARIE], copy=True), await send(one.ada, cc=[MARIE], key="k")]
        receipts += [await send(one.ada, cc=[MARIE], key="k")]
        sent = await one.world.sent()
        message = await one.ada.compose(to_grace(cc=[MARIE]))
        name = one.ada.person.record_key(f"request {message.fingerprint}")
        recorded = (await one.world.container.storage.records.read("m365-sends", name)).value
        assert await one.is_recorded(message.composed_fingerprint())

    assert recorded
    assert [receipt.is_repeat for receipt in receipts] == [False, True, False, False, True]
    assert [receipt.is_saved for receipt in receipts] == [True] * 5
    assert [mail["headers"][0]["value"] for mail in sent] == [receipts[n].message_id for n in (0, 2, 3)]
    assert {mail["via"] for mail in sent} == {via}
    assert [one["address"] for mail in sent for one in (*mail["to"], *mail["cc"])] == [GRACE, MARIE] * 3
    assert all((receipt.draft_id is None) == (mode == "direct") for receipt in receipts)
    assert all(receipt.request_id for receipt in receipts)


async def test_caller_hears_of_a_wait() -> None:
    """Microsoft throttles, the operator allows to wait, and the caller reads for how long."""
    said: list[str] = []

    async def tell(text: str) -> None:
        said.append(text)

    async with post(m365_send_throttled_seconds=30) as one:
        await one.world.fault({"path": "/v1.0/me/sendMail"}, {"status": 429, "headers": {"Retry-After": "0"}})
        message = await one.ada.compose(to_grace())
        await one.ada.send(message, idempotency_key=None, allow_duplicate=False, progress=tell)

        assert len(await one.world.sent()) == 1
    assert said == ["Microsoft asks to wait 0 seconds before the message is sent."]


async def test_message_without_a_copy_is_sent_directly() -> None:
    """Graph saves every draft that it sends, so who wants no copy gets no draft; the receipt says so."""
    async with post(m365_send_mode="draft") as one:
        receipt = await send(one.ada, save_to_sent=False)
        repeat = await send(one.ada, save_to_sent=False)
        [mail] = await one.world.sent()

    assert mail["via"] == "sendMail"
    assert (receipt.is_saved, repeat.is_saved) == (False, False)
    assert (receipt.draft_id, repeat.is_repeat) == (None, True)


def invitation(organizer: str) -> dict[str, str]:
    lines = ["BEGIN:VCALENDAR", "METHOD:REQUEST", "BEGIN:VEVENT", f"ORGANIZER:mailto:{organizer}", "END:VEVENT"]
    content = base64.b64encode("\r\n".join([*lines, "END:VCALENDAR", ""]).encode()).decode()
    return {"name": "lunch.ics", "content_base64": content, "content_type": "text/calendar; method=REQUEST"}


async def test_sender_of_the_session_is_known_to_the_composer() -> None:
    """An invitation by somebody else is a warning, one by the sender is none; rules of the operator hold."""
    async with post(m365_send_allowed_domains="contoso.example") as one:
        for organizer, warned in ((ADA, False), (GRACE, True)):
            files = [invitation(organizer)]
            message = await one.ada.compose(to_grace(attachments=files))
            reply = await one.ada.compose_reply(ReplyRequest(kind="reply", original="x", body="y", attachments=files))
            for warnings in (message.warnings, warnings_of(reply.notes)):
                assert any("organizer" in warning for warning in warnings) is warned
        assert one.ada.rules.allowed_domains == ("contoso.example",)
        with pytest.raises(RecipientNotAllowed):
            await send(one.ada, to=[MARIE])
        assert await one.world.sent() == []


async def test_reply_is_in_the_thread_above_the_quote() -> None:
    """It goes to the sender with our text, our id, the files and the quoted original; the receipt tells."""
    async with post() as one:
        original = await one.ask()
        sent = await one.answer(original, attachments=[FILE], body="<p>Yes</p><script>x</script>")
        await one.answer(original, body="<p>And this</p>")
        described = ReplyRequest(kind="reply", original=original, body="<p>And this</p>")
        assert await one.is_recorded((await one.ada.compose_reply(described)).composed_fingerprint())
        question, mail, _ = await one.world.sent()
        left = await one.drafts_left()

    assert sent.addresses == (GRACE,)
    assert sent.warnings
    assert sent.receipt.is_saved is True
    assert mail["subject"] == "RE: Lunch?"
    assert mail["conversationId"] == question["conversationId"]
    assert mail["body"]["contentType"].upper() == "HTML"
    assert mail["body"]["content"].startswith("<div><p>Yes</p></div>")
    assert "<b>noon</b>" in mail["body"]["content"]
    assert mail["headers"] == [{"name": "x-m365-mcp-id", "value": sent.receipt.message_id}]
    assert [file["name"] for file in mail["attachments"]] == ["menu.txt"]
    assert left == 0


async def test_recipients_of_a_reply_are_left_to_graph_when_they_are_right() -> None:
    """Only a draft with other recipients than wanted is changed in them, and then in all."""
    async with post() as one:
        await one.answer(await one.ask())
        await one.answer(await one.ask(subject="To all", cc=[MARIE]), kind="reply_all")
        changes = [request for request in one.world.network.seen if request.method == "PATCH"]
        bodies = [request.content.decode() for request in changes]

    assert len(bodies) == 2
    assert "toRecipients" not in bodies[0]
    assert all("m365-mcp-id" in body for body in bodies)


async def test_reply_to_all_leaves_the_person_out() -> None:
    """Everybody on the message but oneself gets it."""
    async with post() as one:
        sent = await one.answer(await one.ask(to=[ADA, MARIE]), kind="reply_all")
        [_, mail] = await one.world.sent()

    assert sent.addresses == (GRACE, MARIE)
    assert [one["address"] for one in (*mail["to"], *mail["cc"])] == [GRACE, MARIE]


async def test_forward_goes_to_whom_the_caller_names() -> None:
    """Recipients, blind copies and the original's files; the original's people are not asked for."""
    async with post(m365_send_bcc=True) as one:
        original = await one.ask(attachments=[FILE])
        one.world.network.seen.clear()
        sent = await one.answer(original, kind="forward", to=[MARIE], cc=[GRACE], bcc=[ADA], body="See below")
        [_, mail] = await one.world.sent()
        asked = one.world.network.asked("GET")

    assert sent.addresses == (MARIE, GRACE, ADA)
    assert [[one["address"] for one in mail[field]] for field in ("to", "cc", "bcc")] == [[MARIE], [GRACE], [ADA]]
    assert [file["name"] for file in mail["attachments"]] == ["menu.txt"]
    assert mail["body"]["content"].startswith("<div>See below</div>")
    assert not [path for path in asked if "$select=isDraft,parentFolderId" in path]


async def test_repeated_reply_sends_nothing_and_leaves_no_draft() -> None:
    """By the text or by the key; a deliberate copy is sent."""
    async with post() as one:
        original = await one.ask()
        receipts = [(await one.answer(original)).receipt for _ in range(2)]
        receipts += [(await one.answer(original, copy=True)).receipt]
        receipts += [(await one.answer(original, key="k")).receipt for _ in range(2)]
        sent, left = await one.world.sent(), await one.drafts_left()

    assert [receipt.is_repeat for receipt in receipts] == [False, True, False, False, True]
    assert receipts[0].message_id == receipts[1].message_id
    assert len(sent) == 4
    assert left == 0


@pytest.mark.parametrize("kind", ["reply", "forward"])
async def test_reply_that_the_rules_refuse_leaves_no_draft(kind: str) -> None:
    """The recipients are only known with the draft, which goes again."""
    async with post() as one:
        original = await one.ask(reply_to=[MARIE])
        strict = replace(one.ada.outgoing, rules=MailRules(allowed_domains=("contoso.example",)))
        ada = Post(one.world, strict.outbox(one.ada.person, one.ada.mailbox, one.ada.caller), one.grace)
        with pytest.raises(RecipientNotAllowed):
            await ada.answer(original, kind=kind, to=[MARIE] if kind == "forward" else [])

        assert len(await one.world.sent()) == 1
        assert await one.drafts_left() == 0


async def test_picture_of_the_quote_may_be_shown_again() -> None:
    """A cid: of the original is there; one that nobody has is refused, and no draft is left."""
    async with post() as one:
        original = await one.ask(body='<p>See <img src="cid:logo"></p>', attachments=[PICTURE])
        with pytest.raises(InvalidArgument, match="cid:"):
            await one.answer(original, body='<p>Which? <img src="cid:other"></p>')
        left = await one.drafts_left()
        sent = await one.answer(original, body='<p>This <img src="cid:logo"></p>')

    assert left == 0
    assert sent.warnings == ()


async def test_refused_reply_leaves_no_draft_and_may_be_sent_later() -> None:
    """Graph refuses the send: the draft goes, and the same reply is no repeat."""
    async with post() as one:
        original = await one.ask()
        body = {"error": {"code": "ErrorQuotaExceeded", "message": "x"}}
        await one.world.fault({"path": SEND}, {"status": 400, "body": body})
        with pytest.raises(MessageRefused):
            await one.answer(original)
        left = await one.drafts_left()
        later = await one.answer(original)

    assert left == 0
    assert later.receipt.is_repeat is False


async def test_reply_whose_key_is_taken_leaves_no_draft() -> None:
    """A refusal before the send deletes the draft that was made for it."""
    async with post() as one:
        original = await one.ask()
        await one.answer(original, key="k")
        with pytest.raises(IdempotencyKeyReused):
            await one.answer(original, key="k", body="Another text")

        assert await one.drafts_left() == 0
        assert len(await one.world.sent()) == 2


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.sample(1)
async def test_lost_answer_to_a_reply_is_looked_up(when: str) -> None:
    """One mail and a receipt, whether Graph had sent it or not."""
    async with post() as one:
        original = await one.ask()
        await one.world.fault({"path": SEND}, {"status": 503}, when=when)
        sent = await one.answer(original)

        assert len(await one.world.sent()) == 2
        assert (await one.answer(original)).receipt.message_id == sent.receipt.message_id


async def test_draft_is_made_looked_at_and_sent_once() -> None:
    """The draft has our id; a repeat returns the first receipt and the same recipients."""
    async with post() as one:
        drafts = OwnDrafts(one.ada)
        message = await one.ada.compose(to_grace())
        message_id, draft = await drafts.create(message)
        before = await one.world.sent()
        item, receipt = await drafts.send(draft.id)
        again, repeat = await drafts.send(draft.id)
        [mail] = await one.world.sent()

    assert before == []
    assert draft.web_link
    assert mail["headers"] == [{"name": "x-m365-mcp-id", "value": message_id}]
    assert (receipt.message_id, receipt.is_repeat, receipt.draft_id) == (message_id, False, draft.id)
    assert (repeat.message_id, repeat.is_repeat) == (message_id, True)
    assert item.addresses == again.addresses == (GRACE,)
    assert (item.is_draft, again.is_draft) == (True, False)


async def test_discarded_draft_is_gone() -> None:
    """It is deleted once, and can be neither sent nor discarded again."""
    async with post() as one:
        drafts = OwnDrafts(one.ada)
        message = await one.ada.compose(to_grace())
        _, draft = await drafts.create(message)
        await drafts.discard(draft.id)
        with pytest.raises(MessageMissing) as caught:
            await drafts.discard(draft.id)
        with pytest.raises(MessageMissing):
            await drafts.send(draft.id)
        with pytest.raises(MessageMissing):
            await drafts.send("AAMkNobody")

        assert await one.world.sent() == []
        assert len(one.world.network.asked("DELETE")) == 1
    assert caught.value.sentence == "This draft is no longer in the Drafts folder."


async def test_sent_and_foreign_messages_are_neither_sent_nor_discarded() -> None:
    """Only drafts of this server are changed."""
    async with post() as one:
        drafts, original = OwnDrafts(one.ada), await one.ask()
        message = await one.ada.compose(to_grace())
        _, draft = await drafts.create(message)
        await drafts.send(draft.id)
        with pytest.raises(AlreadySent):
            await drafts.discard(draft.id)
        for act in (drafts.discard, drafts.send):
            with pytest.raises(InvalidArgument, match="did not create"):
                await act(original)

        assert one.world.network.asked("DELETE") == []


async def test_message_is_scheduled_listed_and_cancelled() -> None:
    """It waits with Graph, is listed until it is due, and is cancelled once."""
    async with post() as one:
        schedule, now = Schedule(one.ada), datetime.now(UTC)
        due = now + timedelta(days=1)
        message = await one.ada.compose(to_grace(send_at=due))
        receipts = [await schedule.add(message, idempotency_key=None, allow_duplicate=False) for _ in range(2)]
        assert await one.is_recorded(message.composed_fingerprint())
        receipts += [await schedule.add(message, idempotency_key=None, allow_duplicate=True)]
        receipts += [await schedule.add(message, idempotency_key="k", allow_duplicate=False) for _ in range(2)]
        listed, later = await schedule.list(now), await schedule.list(due + timedelta(seconds=1))
        one.world.network.seen.clear()
        cancelled = await schedule.cancel(listed[0].item.id)
        looked = [path for path in one.world.network.asked("GET") if path.startswith("GET /me/mailFolders/outbox/")]
        with pytest.raises(MessageMissing, match="This message is not scheduled any more"):
            await schedule.cancel(listed[0].item.id)
        left = await schedule.list(now)

    assert [receipt.is_repeat for receipt in receipts] == [False, True, False, False, True]
    assert {one.item.message_id for one in listed} == {receipts[n].message_id for n in (0, 2, 3)}
    assert all(one.is_allowed for one in listed)
    assert later == ()
    assert len(looked) == 1
    assert cancelled.message_id == listed[0].item.message_id
    assert cancelled.addresses == (GRACE,)
    assert {one.item.id for one in left} == {one.item.id for one in listed[1:]}


async def test_draft_and_sent_mail_cannot_be_cancelled() -> None:
    """Each has its own error, and nothing is deleted."""
    async with post() as one:
        schedule, drafts, original = Schedule(one.ada), OwnDrafts(one.ada), await one.ask()
        _, draft = await drafts.create(await one.ada.compose(to_grace()))
        with pytest.raises(InvalidArgument) as caught:
            await schedule.cancel(draft.id)
        await drafts.send(draft.id)
        with pytest.raises(AlreadySent):
            await schedule.cancel(draft.id)
        with pytest.raises(InvalidArgument, match="did not create"):
            await schedule.cancel(original)

        assert one.world.network.asked("DELETE") == []
    assert caught.value.sentence == "This message is a draft and not scheduled."
    assert caught.value.advice == "Use discard_draft for drafts."


@pytest.mark.parametrize("when", ["before", "after"])
async def test_lost_answer_to_a_scheduled_message_is_looked_up(when: str) -> None:
    """A message that waits in the Outbox is scheduled; one that stayed a draft is not, and is deleted."""
    async with post() as one:
        schedule, now = Schedule(one.ada), datetime.now(UTC)
        request = to_grace(send_at=now + timedelta(days=1))
        message = await one.ada.compose(request)
        await one.world.fault({"path": SEND}, {"status": 503}, when=when)
        expected: AbstractContextManager[object] = (
            nullcontext() if when == "after" else pytest.raises(GraphUnavailable, match="did not send")
        )
        with expected:
            await schedule.add(message, idempotency_key=None, allow_duplicate=False)

        assert len(await schedule.list(now)) == (1 if when == "after" else 0)
        assert await one.drafts_left() == 0


async def test_refused_tokens_are_replaced_for_a_mailbox() -> None:
    """A Graph token that was revoked costs one exchange; the person goes on."""
    async with post() as one:
        first = await one.ada.mailbox.tokens.get()
        await one.world.fault({"path": "/v1.0/me"}, {"status": 401})
        profile = await one.ada.mailbox.profile()
        second = await one.ada.mailbox.tokens.get()
        claims = '{"access_token":{"nbf":{"essential":true,"value":"1"}}}'
        third, exchanged_at = await one.ada.mailbox.tokens.renew((first, second), claims)
        asked = [request for request in one.world.network.seen if request.url.path.endswith("/token")][-1]
        await one.ada.mailbox.tokens.end_sign_in()
        left = [session.sign_in_name async for session in one.world.container.sign_ins.sessions.all()]

    assert profile.mail == ADA
    assert len({first, second, third}) == 3
    assert exchanged_at == pytest.approx(time.time(), abs=60)
    assert '"nbf"' in dict(parse_qsl(asked.content.decode()))["claims"]
    assert left == [GRACE]
