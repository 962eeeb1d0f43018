"""The policies at every way out: what they forbid leaves no mailbox, and a change of them holds for what waits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from key_value.aio.stores.memory import MemoryStore

from m365_mcp.errors import (
    InvalidArgument,
    PolicyDenied,
    PolicyFailed,
    PolicyUnavailable,
    SettingsMistake,
    StorageUnavailable,
)
from m365_mcp.graph.drafts import Drafts
from m365_mcp.mail import ReplyKind, ReplyRequest
from m365_mcp.person import PersonId
from m365_mcp.policy.facts import SendCounts
from m365_mcp.policy.policy_set import PolicySet
from m365_mcp.policy.setting_rules import policies_of
from m365_mcp.sending.outbox import Outbox
from m365_mcp.sending.own_drafts import OwnDrafts
from m365_mcp.sending.replying import Replies
from m365_mcp.sending.scheduling import Schedule
from m365_mcp.sending.send_limits import SendLimits
from m365_mcp.storage.counters import Change, LocalCounters
from m365_mcp.storage.sliding_counts import SlidingCounts
from m365_mcp.uploads.pending import PendingUploads
from tests.inprocess import ADA, GRACE
from tests.sending.test_outbox import FILE, MARIE, Post, post, send, to_grace

Way = Callable[[Post], Awaitable[object]]


def forbid(condition: str, action: str = "Send") -> str:
    return (
        f'@id("house") @advice("Ask Grace first.") '
        f'forbid(principal, action == Action::"{action}", resource) when {{ {condition} }};'
    )


def under(outbox: Outbox, text: str) -> Outbox:
    """Return the outbox with these policies of the company in force."""
    policies = replace(outbox.outgoing.policies, policies=PolicySet(of_company=text))
    return replace(outbox, outgoing=replace(outbox.outgoing, policies=policies))


def at_level(outbox: Outbox, level: Any) -> Outbox:
    """Return the outbox of a server with this M365_SEND_LEVEL."""
    rules = replace(outbox.rules, level=level)
    policies = replace(outbox.outgoing.policies, policies=PolicySet(policies_of(rules)))
    return replace(outbox, outgoing=replace(outbox.outgoing, rules=rules, policies=policies))


async def attach(drafts: Drafts, draft_id: str, name: str) -> None:
    """Put a file into a draft, as an upload does."""
    file = {"@odata.type": "#microsoft.graph.fileAttachment", "name": name, "contentBytes": "aGk="}
    await drafts.attach(draft_id, file)


async def schedule(one: Post) -> object:
    leaves = datetime.now(UTC) + timedelta(hours=3)
    message = await one.ada.compose(to_grace(to=[MARIE], send_at=leaves))
    return await Schedule(one.ada).add(message, idempotency_key=None, allow_duplicate=False)


async def send_draft(one: Post) -> object:
    permissive = under(one.ada, "")
    _, draft = await OwnDrafts(permissive).create(await permissive.compose(to_grace(to=[MARIE])))
    return await OwnDrafts(one.ada).send(draft.id)


WAYS: dict[str, Way] = {
    "send": lambda one: send(one.ada, to=[MARIE]),
    "schedule": schedule,
    "send_draft": send_draft,
    "reply": lambda one: _reply(one, kind="reply"),
    "forward": lambda one: _reply(one, kind="forward", to=[MARIE]),
}


async def _reply(one: Post, **changes: Any) -> object:
    original = await one.ask()
    one.world.network.seen.clear()
    return await one.answer(original, **changes)


@pytest.mark.parametrize("mode", ["direct", "draft"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.sample(4)
async def test_g13_forbidden_message_leaves_by_no_way(way: str, mode: str, tmp_path: Path) -> None:
    """A policy of the file holds for every tool that sends; the error names it and has its advice."""
    file = tmp_path / "policies.cedar"
    file.write_text(forbid('resource.externalDomains.contains("fabrikam.example") || resource.isReply'))

    async with post(m365_send_mode=mode, m365_policy_file=file, m365_internal_domains="contoso.example") as one:
        with pytest.raises(PolicyDenied) as caught:
            await WAYS[way](one)
        sent = [mail for mail in await one.world.sent() if mail["to"][0]["address"] != "ada@contoso.example"]
        kept = await one.drafts_left()

    assert (caught.value.sentence, caught.value.advice) == (
        "The policy 'house' of this organization does not allow this message.",
        "Ask Grace first.",
    )
    assert sent == []
    assert kept == (1 if way == "send_draft" else 0)  # what the person knows stays


@pytest.mark.parametrize("level", ["draft", "off"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.sample(3)
async def test_level_forbids_every_way_out_even_if_a_tool_got_through(way: str, level: str) -> None:
    """The level is a policy too: below `send` nothing leaves, whichever code calls."""
    async with post() as one:
        lowered = replace(one, ada=at_level(one.ada, level))
        before = len(await one.world.sent())
        asked = way in ("reply", "forward")  # Grace sends the original first
        with pytest.raises(PolicyDenied) as caught:
            await WAYS[way](lowered)
        sent = len(await one.world.sent())

    assert caught.value.sentence == "The setting M365_SEND_LEVEL of this server does not allow this message."
    assert "Outlook" in caught.value.explain()
    assert sent - before == int(asked)


async def test_h18_level_holds_for_a_draft_that_waits_for_files() -> None:
    """A draft that attach_files began before the level was lowered stays in the mailbox."""
    async with post() as one:
        uploads = one.world.container.services.uploads
        opened = await uploads.for_person(one.ada, "session").begin(to_grace(), [{"name": "a.txt"}])
        async with uploads.links.reserved(opened.links[0].url.rpartition("/")[2]) as link:
            await link.update(state="done", size=2)
        await attach(one.ada.drafts, opened.draft_id, "a.txt")
        lowered = uploads.for_person(at_level(one.ada, "draft"), "session")
        with pytest.raises(PolicyDenied, match="M365_SEND_LEVEL"):
            await lowered.send(opened.draft_id)
        assert await one.world.sent() == []
        assert await one.drafts_left() == 1

        await uploads.for_person(one.ada, "session").send(opened.draft_id)
        assert len(await one.world.sent()) == 1


@pytest.mark.parametrize("level", ["draft", "off"])
async def test_level_holds_for_mail_that_waits_for_approval(level: str) -> None:
    """Mail that was held before the level was lowered is not sent, although the person presses Send."""
    async with post(m365_send_approval="all") as one:
        await send(one.ada)
        approvals = one.world.container.approvals
        [mail] = await approvals.of(one.ada.person)
        shown = await approvals.show(mail)
        lowered = replace(approvals, outgoing=at_level(one.ada, level).outgoing)
        with pytest.raises(PolicyDenied, match="M365_SEND_LEVEL"):
            await lowered.approve(mail, shown.digest)

        assert await one.world.sent() == []


async def test_level_off_forbids_drafts_too() -> None:
    """Where the tools only read, no draft is made; at level draft it is."""
    async with post() as one:
        for level, is_denied in (("off", True), ("draft", False)):
            ada = at_level(one.ada, level)
            with pytest.raises(PolicyDenied) if is_denied else nullcontext():
                await OwnDrafts(ada).create(await ada.compose(to_grace()))
        assert await one.drafts_left() == 1


@pytest.mark.parametrize("condition", ["resource.isReply", "resource.isForward"])
async def test_reply_that_may_not_be_drafted_is_deleted(condition: str) -> None:
    """At level draft, `Draft` is asked once the recipients of a reply are known; a denied draft is deleted."""
    async with post() as one:
        original = await one.ask()
        ada = under(one.ada, forbid(condition, "Draft"))
        answers: dict[ReplyKind, tuple[str, ...]] = {"reply": (), "forward": (MARIE,)}
        for kind, to in answers.items():
            reply = await ada.compose_reply(ReplyRequest(kind=kind, original=original, body="Hi", to=to))
            with pytest.raises(PolicyDenied) if condition.lower().endswith(kind) else nullcontext():
                await Replies(ada).leave(reply)
        assert await one.drafts_left() == 1


async def test_h4_h18_draft_and_upload_are_decided_when_they_are_sent() -> None:
    """H4, H18: what was drafted under other policies is decided by those of now, with its files and links."""
    async with post() as one:
        drafts = OwnDrafts(one.ada)
        _, with_file = await drafts.create(await one.ada.compose(to_grace(attachments=[FILE])))
        linked = {"body": '<p>See <a href="https://evil.example/x">this</a></p>'}
        _, with_link = await drafts.create(await one.ada.compose(to_grace(**linked)))
        refused = {
            with_file.id: forbid('resource.attachmentExtensions.contains("txt") && resource.attachmentBytes > 0'),
            with_link.id: forbid('resource.linkDomains.contains("evil.example")'),
        }
        for draft_id, text in refused.items():
            with pytest.raises(PolicyDenied):
                await OwnDrafts(under(one.ada, text)).send(draft_id)
        assert await one.world.sent() == []

        for draft_id in refused:
            await drafts.send(draft_id)
        assert len(await one.world.sent()) == 2


async def test_h4_forward_is_decided_with_the_attachments_of_the_original() -> None:
    """A file that comes along with a forward counts as one of the message."""
    async with post() as one:
        original = await one.ask(attachments=[FILE])
        ada = under(one.ada, forbid('resource.isForward && resource.attachmentExtensions.contains("txt")'))
        with pytest.raises(PolicyDenied):
            await replace(one, ada=ada).answer(original, kind="forward", to=[GRACE])
        assert await one.drafts_left() == 0

        await replace(one, ada=ada).answer(original, kind="reply")  # which carries no file
        assert len(await one.world.sent()) == 2


async def test_draft_can_be_forbidden_apart_from_sending() -> None:
    """`Draft` is asked for what only goes to the Drafts folder, `Send` for what leaves."""
    async with post() as one:
        ada = under(one.ada, forbid("true", "Draft"))
        with pytest.raises(PolicyDenied):
            await OwnDrafts(ada).create(await ada.compose(to_grace()))
        uploads: PendingUploads = one.world.container.services.uploads.for_person(ada, "session")
        with pytest.raises(PolicyDenied):
            await uploads.begin(to_grace(), [{"name": "a.txt"}])
        assert await one.drafts_left() == 0

        await send(ada)
        assert len(await one.world.sent()) == 1


@pytest.mark.parametrize(("internal", "is_denied"), [(None, True), ("fabrikam.example", False)])
async def test_internal_domains_are_those_of_the_setting(internal: str | None, is_denied: bool) -> None:
    """Without the setting the person's own domain is internal, and no other; with it, those that it names."""
    async with post(m365_internal_domains=internal) as one:
        ada = under(one.ada, forbid("resource.externalCount > 0"))
        with pytest.raises(PolicyDenied) if is_denied else nullcontext():
            await send(ada, to=[MARIE])
        if internal is None:
            await send(ada, to=[GRACE])

        assert len(await one.world.sent()) == 1


@pytest.mark.parametrize(("zone", "is_denied"), [("UTC", True), ("Asia/Tokyo", False)])
async def test_hours_are_those_of_the_chosen_time_zone(zone: str, is_denied: bool) -> None:
    """At 3:30 in UTC it is 12:30 in Tokyo."""
    async with post(m365_policy_timezone=zone) as one:
        ada = under(one.ada, forbid("context.hour < 6"))
        night = datetime(2026, 11, 23, 3, 30, tzinfo=UTC)
        at_night = replace(ada.outgoing.policies, now=night.astimezone)
        ada = replace(ada, outgoing=replace(ada.outgoing, policies=at_night))
        with pytest.raises(PolicyDenied) if is_denied else nullcontext():
            await send(ada)

        assert len(await one.world.sent()) == int(not is_denied)


# How many messages to two people leave before each condition holds, after one of Grace's to one person.
COUNTS = {
    "context.personMessagesHour >= 2": 2,
    "context.personMessagesDay >= 1": 1,
    "context.personRecipientsHour + 2 > 6": 3,
    "context.personRecipientsDay >= 4": 2,
    "context.companyMessagesHour >= 3": 2,
    "context.companyMessagesDay >= 2": 1,
    "context.companyRecipientsHour >= 2": 1,
    "context.companyRecipientsDay >= 5": 2,
}


@pytest.mark.parametrize("condition", COUNTS)
@pytest.mark.sample(3)
async def test_g22_policy_knows_what_left_before_this_message(condition: str) -> None:
    """G22: counts of the person, and of everybody, do not include the message that is decided nor refused ones."""
    async with post() as one:
        await send(one.grace, to=[MARIE])
        ada = under(one.ada, forbid(condition))
        for number in range(COUNTS[condition]):
            await send(ada, to=[GRACE, MARIE], subject=f"Number {number}")
        for _ in range(3):
            with pytest.raises(PolicyDenied):
                await send(ada, to=[GRACE, MARIE], subject="One too many")

        assert len(await one.world.sent()) == 1 + COUNTS[condition]


async def test_draft_is_decided_by_what_has_left() -> None:
    """What only goes to the Drafts folder is not counted, and a policy may forbid it after too many messages."""
    async with post() as one:
        drafts = OwnDrafts(under(one.ada, forbid("context.personMessagesDay >= 1", "Draft")))
        for _ in range(2):
            await drafts.create(await one.ada.compose(to_grace()))
        await send(one.ada)
        with pytest.raises(PolicyDenied):
            await drafts.create(await one.ada.compose(to_grace()))


class NoCounts(LocalCounters):
    """Counters of a store that does not respond."""

    async def add(self, changes: Sequence[Change]) -> list[dict[str, int]]:
        raise StorageUnavailable(retry_after=7)


@pytest.mark.parametrize(("condition", "is_refused"), [("context.personMessagesDay > 9", True), ("false", False)])
async def test_policy_whose_counts_cannot_be_read_refuses(condition: str, is_refused: bool) -> None:
    """The error says that nothing is known and when to try again; policies without counts do not ask."""
    async with post() as one:
        ada = under(one.ada, forbid(condition, "Draft"))
        counts = SlidingCounts(NoCounts(MemoryStore()))
        ada = replace(
            ada, outgoing=replace(ada.outgoing, delivery=replace(ada.outgoing.delivery, limits=SendLimits(counts)))
        )
        message = await ada.compose(to_grace())
        with pytest.raises(PolicyUnavailable) if is_refused else nullcontext() as caught:
            await OwnDrafts(ada).create(message)

        assert caught is None or (caught.value.code, caught.value.retry_after) == ("policy_unavailable", 7)
        assert await one.drafts_left() == int(not is_refused)


async def test_repeat_of_a_sent_message_is_answered_whatever_the_policies_say_now() -> None:
    """What has left cannot be forbidden; the repeat gets the first receipt, and nothing leaves."""
    async with post() as one:
        first = await send(one.ada)
        again = await send(under(one.ada, forbid("true")))

        assert again.is_repeat
        assert again.message_id == first.message_id
        assert len(await one.world.sent()) == 1


async def test_denied_message_can_be_sent_once_it_is_allowed() -> None:
    """A denial counts as not sent: the same call succeeds after the policy has changed."""
    async with post() as one:
        with pytest.raises(PolicyDenied):
            await send(under(one.ada, forbid("true")))

        assert not (await send(one.ada)).is_repeat
        assert len(await one.world.sent()) == 1


async def test_policy_that_fails_sends_nothing_and_says_whose_mistake_it_is() -> None:
    """A condition that cannot be evaluated is a denial of its own, with its policy's name."""
    async with post() as one:
        with pytest.raises(PolicyFailed, match="'house' could not be evaluated"):
            await send(under(one.ada, forbid("resource.recipientCount + 9223372036854775807 < 0")))

        assert await one.world.sent() == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "must name a readable file of Cedar policies in UTF-8"),
        (b"\xff\xfe\x00", "must name a readable file of Cedar policies in UTF-8"),
        (b"permit(principal, action, resource);", "everything that is not forbidden is permitted"),
        (b"forbid(", "The policies cannot be read"),
    ],
)
async def test_file_with_a_mistake_stops_the_start(content: bytes | None, said: str, tmp_path: Path) -> None:
    """The server never starts with a part of the company's policies."""
    file = tmp_path / "policies.cedar"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(SettingsMistake) as caught:
        async with post(m365_policy_file=file):
            pass

    assert caught.value.mistakes[0][0] == "M365_POLICY_FILE"
    assert said in caught.value.mistakes[0][1]


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("mallory%evil.example@contoso.example", "evil.example"),
        ("evil.example!mallory@contoso.example", "evil.example"),
        ("IMCEASMTP-mallory+40evil+2Eexample@contoso.example", "evil.example"),
        ("srs0=x=evil.example=mallory@contoso.example", "evil.example"),
        ("/s=mallory/@contoso.example", "invalid"),
    ],
)
@pytest.mark.sample(2)
async def test_h15_domain_in_a_local_part_counts(address: str, domain: str) -> None:
    """H15: an address that systems may deliver elsewhere is external, and its other domain can be forbidden."""
    async with post(m365_internal_domains="contoso.example") as one:
        for condition in (f'resource.domains.contains("{domain}")', "resource.externalCount > 0"):
            with pytest.raises(PolicyDenied):
                await send(under(one.ada, forbid(condition)), to=[address])
        await send(under(one.ada, forbid("resource.externalCount > 0")), to=["first.last+tag@contoso.example"])

        assert len(await one.world.sent()) == 1


@pytest.mark.parametrize(
    "name", ["a.xlsx", "a.XLSX", "a.xlsx ", "a.xlsx;", "a.xlsx%20", "a.xlsx::$DATA", "a\uff0exlsx", "a.\uff58lsx"]
)
@pytest.mark.sample(2)
async def test_g13_extension_counts_in_every_spelling(name: str) -> None:
    """A file that opens as a workbook is one for the policies, however its name is written."""
    async with post(m365_send_blocked_extensions=("none",)) as one:
        ada = under(one.ada, forbid('resource.attachmentExtensions.contains("xlsx")'))
        with pytest.raises((PolicyDenied, InvalidArgument)):
            await send(ada, attachments=[{"name": name, "content_base64": "UEsDBAo="}])

        assert await one.world.sent() == []


@dataclass(frozen=True)
class ReloadedMeanwhile(SendLimits):
    """Limits that know how much has left only after the policies were replaced."""

    reload: Callable[[], None] = field(default=lambda: None)

    async def before_this(self, person: PersonId) -> SendCounts:
        self.reload()
        return await super().before_this(person)


async def test_g13_reload_between_facts_and_decision_lets_nothing_through() -> None:
    """What the old policies forbid and the new ones too is not permitted by facts of one and rules of the other."""
    async with post(m365_send_bcc=True) as one:
        outbox = under(one.ada, forbid("resource.hasBcc && context.personMessagesHour < 99"))
        point, limits = outbox.outgoing.policies, outbox.outgoing.delivery.limits
        new = PolicySet(of_company=forbid('resource.linkDomains.contains("evil.example")'))
        reloaded = ReloadedMeanwhile(
            limits.counts, limits.most, limits.secret, reload=lambda: setattr(point, "policies", new)
        )
        check = replace(outbox.policy, limits=reloaded)
        message = await outbox.compose(to_grace(bcc=[ADA], body="See https://evil.example/ for more."))
        for _ in range(2):
            with pytest.raises(PolicyDenied):
                await check.message(message, "Send")
