"""`m365-mcp policy replay`: what other policies would have decided, as far as the audit trail can tell."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from m365_mcp import settings
from m365_mcp.audit.chain import Chain
from m365_mcp.audit.ocsf import Options
from m365_mcp.audit.records import render
from m365_mcp.audit.replaying import NoRecord, Replay, Replayed
from m365_mcp.commands.policy_replay import replay
from m365_mcp.errors import InvalidArgument, PolicyDenied
from m365_mcp.mail import Recipient
from m365_mcp.policy.facts import AttachedFile, Circumstances, InternalDomains, MessageFacts, SendCounts, Told
from m365_mcp.policy.policy_set import PolicySet
from m365_mcp.sending.own_drafts import OwnDrafts
from tests.audit.reading import problems, read
from tests.audit.test_records import PERSON, sent
from tests.inprocess import GRACE, SETTINGS
from tests.sending.test_outbox import MARIE, post, send, to_grace

NIGHT = datetime(2026, 11, 23, 3, 30, tzinfo=UTC)
INSIDE = InternalDomains(("contoso.example",))


def forbid(condition: str, rule: str = "new", action: str = "Send") -> str:
    return f'@id("{rule}") forbid(principal, action == Action::"{action}", resource) when {{ {condition} }};'


def told(*receivers: str, client: str = "client", counts: SendCounts | None = None, **changes: Any) -> Told:
    facts = {"own": frozenset(["ada@contoso.example"]), "internal": INSIDE, **changes}
    message = MessageFacts(tuple(map(Recipient, receivers)), **facts)
    return Told(("Send",), message, Circumstances(client, NIGHT, counts or SendCounts()))


def record(event: Any, content: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the record of an event as it is in a file."""
    rendered = render(event, int(NIGHT.timestamp() * 1000), Options(content=frozenset(content)))
    assert problems(rendered) == []
    found: dict[str, Any] = json.loads(Chain().add(rendered))
    return found


def replayed(text: str, found: dict[str, Any], **changes: Any) -> Replayed:
    one = Replay(PolicySet(of_company=text), **changes).add(found)
    assert one is not None
    return one


FULL = told(
    "grace@contoso.example",
    "eve@fabrikam.example",
    reply_to=(Recipient("lee@evil.example"),),
    has_bcc=True,
    is_reply=True,
    attachments=(AttachedFile("Secret Plan.XLSX", 7),),
    first_time=frozenset(["eve@fabrikam.example"]),
    counts=SendCounts(person_messages_hour=3),
)


@pytest.mark.parametrize(
    "condition",
    [
        'resource.domains.contains("evil.example")',
        'resource.externalDomains == ["fabrikam.example", "evil.example"]',
        'resource.subdomainsOf.contains("example")',
        "resource.recipientCount == 3 && resource.externalCount == 2 && resource.firstTimeCount == 1",
        'resource.attachmentExtensions == ["xlsx"] && resource.attachmentCount == 1 && resource.attachmentBytes == 7',
        "resource.hasBcc && resource.isReply && !resource.isForward && resource.hasOtherReplyTo",
        '!resource.toSelfOnly && !resource.isShared && resource.contentType == "HTML"',
        'context.client == "client" && !context.clientVerified && context.personMessagesHour == 3',
        'context.hour == 3 && context.weekday == 1 && context.tool == ""',
        f'principal == Person::"{":".join(PERSON)}"',
        # A condition that is decided before it needs what the record does not have.
        'resource.hasBcc || resource.linkDomains.contains("evil.example")',
    ],
)
def test_every_recorded_fact_decides(condition: str) -> None:
    """A policy on what the record has denies the message, and one that says the opposite permits it."""
    found = record(sent(told=FULL))

    denied, permitted = replayed(forbid(condition), found), replayed(forbid(f"!({condition})"), found)

    assert (denied.change, denied.rule, denied.recorded.message_id) == ("newly_denied", "new", "id")
    assert permitted.change == "same"


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        (forbid('resource.recipients.contains("eve@fabrikam.example")'), "recipients"),
        (forbid('resource.hasBcc && resource.linkDomains.containsAny(["x"])'), "linkDomains"),
        (forbid("resource has linkDomains && false"), "linkDomains"),
        (forbid("!(resource has linkDomains)"), "linkDomains"),
        (
            forbid("true").replace(
                "principal,",
                'principal in Group::"11111111-2222-4333-8444-555555555555:11111111-aaaa-4000-8000-000000000001",',
            ),
            "groups",
        ),
        (forbid('!(principal in Role::"x")'), "groups"),
        (forbid('resource.linkDomains.containsAny(["x"])', action="SendUnasked"), "linkDomains"),
    ],
)
def test_decision_that_needs_what_the_record_has_not_cannot_be_told(text: str, missing: str) -> None:
    """The fact is named; another policy that surely forbids the message still denies it."""
    found = record(sent(told=FULL))

    one, both = replayed(text, found), replayed(f"{text}\n{forbid('true', 'sure')}", found)

    assert (one.change, one.missing) == ("cannot_tell", frozenset({missing}))
    assert (both.change, both.rule) == ("newly_denied", "sure")


def test_fact_that_nobody_looked_up_is_not_in_the_record() -> None:
    """Its default would decide wrongly; what is external is then told by the domains of the settings."""
    unknown = frozenset(["externalDomains", "externalCount", "toSelfOnly", "firstTimeCount", "personMessagesDay"])
    found = record(sent(told=told("eve@fabrikam.example", "a@contoso.example", unknown=unknown)))

    assert unknown.isdisjoint(found["unmapped"]["told"])
    for fact in ("externalCount == 1", "firstTimeCount == 0"):
        assert replayed(forbid(f"resource.{fact}"), found).change == "cannot_tell"
    assert replayed(forbid("resource.externalCount == 1"), found, internal=INSIDE).change == "newly_denied"
    assert replayed(forbid("context.personMessagesDay > 0"), found).missing == {"personMessagesDay"}


def test_record_tells_policies_and_nothing_personal() -> None:
    """No address, no domain of a link, no name of a file; addresses only where the operator asks for them."""
    linked = told(
        "eve@fabrikam.example", link_domains=frozenset(["x.example"]), attachments=(AttachedFile("a.b c", 1),)
    )

    plain, full = record(sent(told=linked)), record(sent(told=FULL), ("recipients",))

    assert not any(text in json.dumps(plain["unmapped"]["told"]) for text in ("eve@", "x.example", "b c"))
    assert replayed(forbid('resource.attachmentExtensions.contains("exe")'), plain).change == "cannot_tell"
    assert replayed(forbid('resource.recipients.contains("eve@fabrikam.example")'), full).change == "newly_denied"
    url = record(sent(told=told("eve@fabrikam.example", client="https://client.example/id.json")))
    assert replayed(forbid("context.clientVerified"), url).change == "newly_denied"
    assert replayed(forbid('context.client != ""'), url).missing == {"client"}


def test_old_and_new_decisions_are_compared() -> None:
    """Each of the three decisions can become each other one; a failing policy denies."""
    denied = record(sent("not_sent", code="policy_denied", policy="old", told=FULL))
    held = record(sent("held", policy="setting:M365_SEND_APPROVAL", told=FULL))
    gone = record(sent(told=FULL))
    asks, fails = forbid("true", action="SendUnasked"), forbid("resource.recipientCount + 9223372036854775807 < 0")

    changes = [[replayed(text, one).change for text in ("", asks, fails)] for one in (gone, held, denied)]

    assert changes == [
        ["same", "newly_asked", "newly_denied"],
        ["newly_permitted", "same", "newly_denied"],
        ["newly_permitted", "newly_asked", "same"],
    ]


@pytest.mark.parametrize(
    "event",
    [
        sent("repeat"),
        sent("begun"),
        sent("declined", policy="x"),
        sent(is_approved=True, policy="x", told=FULL),
        sent("not_sent", code="rate_limited"),
    ],
    ids=lambda event: event.outcome,
)
def test_what_is_no_decision_is_skipped(event: Any) -> None:
    """Repeats, beginnings and what failed for another reason; approved mail was decided when it was held."""
    work = Replay(PolicySet(of_company=forbid("true")))

    assert work.add(record(event)) is None
    assert (work.skipped, work.changes) == (1, {})


@pytest.mark.parametrize(
    "change",
    [
        {"time": "yesterday"},
        {"time": 10**30},
        {"class_uid": None},
        {"metadata": {}},
        {"unmapped": None},
        {"unmapped": {"told": {"recipientCount": "3"}}},
        {"unmapped": {"told": {"recipientCount": 2**70}}},
        {"unmapped": {"told": {"attachmentExtensions": [1]}}},
        {"unmapped": {"told": {"domains": ["a"]}}},
        {"unmapped": {"actions": ["Fly"]}},
        {"actor": []},
    ],
    ids=str,
)
def test_record_of_another_form_is_refused(change: dict[str, Any]) -> None:
    """Nothing in a record ends the command with a fault, nor counts as a decision."""
    with pytest.raises(NoRecord):
        Replay(PolicySet()).add({**record(sent(told=FULL)), **change})


async def test_trail_of_a_server_is_decided_anew(tmp_path: Path) -> None:
    """What a server recorded is counted, listed with its ids, and a line that is no record is named and fails."""
    trail, policies, new = tmp_path / "audit", tmp_path / "old.cedar", tmp_path / "new.cedar"
    policies.write_text(forbid("resource.externalCount > 0", "old") + forbid("resource.hasBcc", "draft", "Draft"))
    new.write_text(forbid('resource.attachmentExtensions.contains("txt")') + forbid("resource.isReply", "reply"))
    chosen: dict[str, Any] = {"m365_internal_domains": "contoso.example", "m365_send_bcc": True}
    async with post(m365_audit=f"file:{trail}", m365_policy_file=policies, **chosen) as one:
        ada = one.ada
        for request in ({}, {"to": [MARIE]}, {"attachments": [{"name": "a.txt", "content_base64": "aGk="}]}):
            with suppress(PolicyDenied):
                await send(ada, **request)
        with pytest.raises(PolicyDenied):
            await OwnDrafts(ada).create(await ada.compose(to_grace(to=[GRACE], bcc=["lee@contoso.example"])))
        _, draft = await OwnDrafts(ada).create(await ada.compose(to_grace()))
        await OwnDrafts(ada).send(draft.id)
        await one.world.container.audit.close()
    records = read(trail)
    trail.write_bytes(trail.read_bytes().replace(b"\n", b"\nno record\n", 1) + trail.read_bytes())
    said, numbers = io.StringIO(), io.StringIO()
    loaded = settings.load(**{**SETTINGS, **chosen})

    assert replay(loaded, Console(file=said, width=200), new, [trail], as_json=False) == 1
    assert replay(loaded, Console(file=numbers), new, [trail], as_json=True) == 1

    assert [problem for found in records for problem in problems(found)] == []
    *changes, summary = [json.loads(line) for line in numbers.getvalue().splitlines()]
    sends = [found for found in records if found["class_uid"] == 4009]
    _, second, third, _ = (found["email"]["message_uid"] for found in sends)
    # Nobody reads the text of a draft for a policy that does not ask for it.
    assert ["contentType" in found["unmapped"]["told"] for found in sends] == [True, True, True, False]
    assert [(one["kind"], one.get("message_id"), one.get("was_rule"), one.get("rule")) for one in changes] == [
        ("broken", None, None, None),
        ("newly_permitted", second, "old", None),
        ("newly_denied", third, None, "new"),
        ("newly_permitted", None, "draft", None),
    ]
    assert {name: summary[name] for name in ("same", "newly_denied", "newly_permitted", "cannot_tell", "broken")} == {
        "same": 2, "newly_denied": 1, "newly_permitted": 2, "cannot_tell": 0, "broken": 1,
    }  # fmt: skip
    assert f"{trail}, line 2: this is no record" in said.getvalue()
    assert f"{third}: was permitted, now denied by new" in said.getvalue()


def test_mistakes_of_the_operator_are_sentences(tmp_path: Path) -> None:
    """Policies with a mistake, no file and a file that is away are named."""
    loaded, policies = settings.load(**SETTINGS), tmp_path / "new.cedar"
    policies.write_text("permit(principal, action, resource);")
    for files, said in (([], "No file is named"), ([tmp_path / "away"], "permits something")):
        with pytest.raises(InvalidArgument, match=said):
            replay(loaded, Console(file=io.StringIO()), policies, files, as_json=False)
    policies.write_text("")
    with pytest.raises(InvalidArgument, match="cannot be read"):
        replay(loaded, Console(file=io.StringIO()), policies, [tmp_path / "away"], as_json=False)
