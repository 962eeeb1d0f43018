"""No combination of settings, file, client and arguments turns a denial into a permission, nor a wait for approval."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from m365_mcp.mail import MailRules, Recipient
from m365_mcp.person import PersonId
from m365_mcp.policy.facts import AttachedFile, Circumstances, InternalDomains, MessageFacts, requests_of
from m365_mcp.policy.policy_set import PolicyMistake, PolicySet, Verdict
from m365_mcp.policy.setting_rules import policies_of

IS_FULL = settings.default is not None and settings.default.max_examples > 100
WORLDS, MESSAGES = (2_000, 50) if IS_FULL else (20, 10)  # 100,000 cases with --full
ADA = PersonId("11111111-2222-4333-8444-555555555555", "22222222-3333-4444-8555-666666666666")
OWN, INTERNAL = frozenset({"ada@contoso.example"}), InternalDomains(("contoso.example",))
DOMAINS = ("contoso.example", "mail.contoso.example", "fabrikam.example", "evil.example", "größe.example")
EXTENSIONS = ("exe", "pdf", "xlsx", "größe", "")
CLIENTS = ("claude", "", "https://client.example/metadata.json", "setting:M365_SEND_LEVEL", '"; permit(')
LEVELS: tuple[Literal["send", "draft", "off"], ...] = ("send", "draft", "off")
APPROVALS: tuple[Literal["off", "external", "all"], ...] = ("off", "external", "all")
PERMITTED, WAITS, DENIED = range(3)  # from the loosest outcome to the strictest
SETTING = "setting:"
# Conditions of a company's policies: some hold for many messages, some for few, and some cannot be evaluated.
CONDITIONS = (
    "true",
    "false",
    "resource.externalCount > 0",
    "resource.recipientCount > 2",
    "resource.toSelfOnly",
    "resource.hasOtherReplyTo",
    "resource.isReply || resource.isForward",
    'resource.domains.contains("evil.example")',
    'resource.attachmentExtensions.containsAny(["pdf", "xlsx"])',
    'resource.linkDomains.contains("evil.example")',
    "context.hour < 6",
    "context.clientVerified",
    'context.client != "claude"',
    'principal == Person::"x"',
)
FAILING = "resource.recipientCount + 9223372036854775807 < 0"
# What else may be written into the file; some of it is refused, and then the last good policies stay.
FILES = (
    "",
    "// nothing",
    "permit(principal, action, resource);",
    '@id("setting:M365_SEND_LEVEL") permit(principal, action, resource);',
    '@id("default") forbid(principal, action, resource) when { false };',
    '@id("all") permit(principal, action, resource) when { true };',
    '@id("none") forbid(principal, action, resource) unless { true };',
    '@id("a") @advice("permit(principal, action, resource);") forbid(principal, action, resource) when { false };',
    '*/ @id("b") permit(principal, action, resource); /*',
    "forbid(",
)


@dataclass(frozen=True)
class World:
    """What the operator has chosen: settings, and the policies of the file."""

    rules: MailRules
    company: tuple[str, ...] = ()

    def policies(self) -> PolicySet:
        return PolicySet(policies_of(self.rules), "\n".join(self.company))


@dataclass(frozen=True)
class Call:
    """One message, and how it is to leave."""

    facts: dict[str, Any]
    client: str
    at: datetime
    actions: tuple[str, ...]

    def decided_by(self, policies: PolicySet, *actions: str) -> Verdict:
        facts = MessageFacts(**self.facts, own=OWN, internal=INTERNAL)
        return policies.decide(*requests_of(ADA, actions or self.actions, facts, Circumstances(self.client, self.at)))

    def outcome(self, policies: PolicySet) -> int:
        """Return what becomes of the call, as `PolicyCheck` asks the policies."""
        if not self.decided_by(policies).is_permitted:
            return DENIED
        unasked = self.decided_by(policies, "SendUnasked") if "Send" in self.actions else Verdict()
        return DENIED if unasked.failed else PERMITTED if unasked.is_permitted else WAITS


def rules_of(chance: random.Random) -> MailRules:
    allowed = None if chance.random() < 0.5 else tuple(chance.sample(DOMAINS, chance.randrange(4)))
    return MailRules(
        allowed_domains=allowed,
        allow_bcc=chance.random() < 0.5,
        allow_from=chance.random() < 0.5,
        blocked_extensions=frozenset(chance.sample(EXTENSIONS[:4], chance.randrange(3))),
        level=chance.choice(("send", *LEVELS)),
        approval=chance.choice(APPROVALS),
    )


def stricter(rules: MailRules, chance: random.Random) -> MailRules:
    allowed = DOMAINS if rules.allowed_domains is None else rules.allowed_domains
    return chance.choice(
        (
            replace(rules, allowed_domains=tuple(chance.sample(allowed, chance.randrange(len(allowed) + 1)))),
            replace(rules, allow_bcc=False),
            replace(rules, allow_from=False),
            replace(rules, blocked_extensions=rules.blocked_extensions | {chance.choice(EXTENSIONS[:4])}),
            replace(rules, level=chance.choice(LEVELS[LEVELS.index(rules.level) :])),
            replace(rules, approval=chance.choice(APPROVALS[APPROVALS.index(rules.approval) :])),
        )
    )


def forbid(chance: random.Random, condition: str | None = None) -> str:
    actions = ('Action::"Send"', 'Action::"SendUnasked"', 'Action::"Schedule", Action::"Draft"')
    action = chance.choice(("action", *(f"action in [{names}]" for names in actions)))
    kind = chance.choice(("when", "unless"))
    return (
        f'@id("p{chance.getrandbits(60)}") forbid(principal, {"action" if condition else action}, resource) '
        f"{'when' if condition else kind} {{ {condition or chance.choice(CONDITIONS)} }};"
    )


def people(chance: random.Random, most: int) -> tuple[Recipient, ...]:
    names = ("ada", "grace", "eve")
    return tuple(Recipient(f"{chance.choice(names)}@{chance.choice(DOMAINS)}") for _ in range(chance.randrange(most)))


def call(chance: random.Random) -> Call:
    flags = ("has_bcc", "is_reply", "is_forward", "is_shared")
    files = (AttachedFile(f"a.{chance.choice(EXTENSIONS)}", chance.randrange(99)) for _ in range(chance.randrange(3)))
    facts = {
        "receivers": people(chance, 4),
        "reply_to": people(chance, 2),
        "attachments": tuple(files),
        "link_domains": frozenset(chance.sample(DOMAINS, chance.randrange(2))),
        **{flag: chance.random() < 0.3 for flag in flags},
    }
    at = datetime(2026, 11, 23, tzinfo=UTC) + timedelta(hours=chance.randrange(168))
    actions = chance.choice((("Send",), ("Send", "Schedule"), ("Draft",)))
    return Call(facts, chance.choice(CLIENTS), at, actions)


def more(one: Call, chance: random.Random) -> Call:
    """Return the call with more recipients, files and flags."""
    other = call(chance).facts
    joined = {
        name: (value or other[name]) if isinstance(value, bool) else type(value)([*value, *other[name]])
        for name, value in one.facts.items()
    }
    return replace(one, facts=joined)


Change = Callable[[World, Call, random.Random], tuple[World, Call]]
# After these, every denial stays.
TIGHTENING: dict[str, Change] = {
    "another policy": lambda world, one, chance: (replace(world, company=(*world.company, forbid(chance))), one),
    "a stricter setting": lambda world, one, chance: (replace(world, rules=stricter(world.rules, chance)), one),
    "another action": lambda world, one, _: (world, replace(one, actions=(*one.actions, "Schedule"))),
}
# After these, what a setting denies stays denied; the company's own policies may be about just this.
ELSEWHERE: dict[str, Change] = {
    "another file": lambda world, one, chance: (replace(world, company=(chance.choice(FILES),)), one),
    "another client": lambda world, one, chance: (world, replace(one, client=chance.choice(CLIENTS))),
    "more arguments": lambda world, one, chance: (world, more(one, chance)),
    "another hour": lambda world, one, chance: (world, replace(one, at=call(chance).at)),
}
lengthy = settings(max_examples=WORLDS, suppress_health_check=list(HealthCheck))
shorter = settings(max_examples=WORLDS // 5, suppress_health_check=list(HealthCheck))


@lengthy
@given(st.lists(st.sampled_from(sorted(TIGHTENING)), min_size=1, max_size=4), st.integers(0, 2**60))
def test_denied_message_stays_denied_whatever_is_added(steps: list[str], seed: int) -> None:
    """Each further policy, stricter setting and further action only makes the outcome stricter."""
    chance = random.Random(seed)  # noqa: S311
    world = World(rules_of(chance), tuple(forbid(chance) for _ in range(chance.randrange(4))))
    before = world.policies()
    calls = [call(chance) for _ in range(MESSAGES)]
    first = [one.outcome(before) for one in calls]
    later = list(calls)
    for step in steps:
        world, _ = TIGHTENING[step](world, calls[0], chance)
        later = [TIGHTENING[step](world, one, chance)[1] for one in later]
    after = world.policies()

    last = [one.outcome(after) for one in later]

    assert [one for one, was, now in zip(calls, first, last, strict=True) if now < was] == []


@lengthy
@given(st.lists(st.sampled_from(sorted({**TIGHTENING, **ELSEWHERE})), min_size=1, max_size=5), st.integers(0, 2**60))
def test_what_a_setting_denies_stays_denied_whoever_calls_with_what(steps: list[str], seed: int) -> None:
    """No file, client, hour or further argument is a way around a setting; a file that is refused changes nothing."""
    chance = random.Random(seed)  # noqa: S311
    world = World(rules_of(chance), tuple(forbid(chance) for _ in range(chance.randrange(3))))
    before = PolicySet(policies_of(world.rules))
    calls = [call(chance) for _ in range(MESSAGES)]
    first = [one.outcome(before) for one in calls]
    changes, later, good = {**TIGHTENING, **ELSEWHERE}, list(calls), world.policies()
    for step in steps:
        world, _ = changes[step](world, calls[0], chance)
        later = [changes[step](world, one, chance)[1] for one in later]
        try:
            good = world.policies()
        except PolicyMistake:
            continue  # as `PolicyWatcher`, which keeps the last good ones

    last = [one.outcome(good) for one in later]

    assert [one for one, was, now in zip(calls, first, last, strict=True) if now < was] == []


@shorter
@given(st.integers(0, 2**60))
def test_message_is_denied_where_a_condition_fails(seed: int) -> None:
    """Whatever else is in the set, a policy whose condition cannot be evaluated denies, and is named."""
    chance = random.Random(seed)  # noqa: S311
    company = [forbid(chance) for _ in range(chance.randrange(3))]
    company.insert(chance.randrange(len(company) + 1), forbid(chance, FAILING))
    policies = World(rules_of(chance), tuple(company)).policies()
    calls = [call(chance) for _ in range(MESSAGES)]

    # With no recipient at all there is no overflow.
    verdicts = [one.decided_by(policies) for one in calls if one.facts["receivers"] or one.facts["reply_to"]]

    assert [verdict for verdict in verdicts if verdict.is_permitted or not verdict.failed] == []


@shorter
@given(st.integers(0, 2**60))
def test_client_decides_nothing_where_no_policy_names_it(seed: int) -> None:
    """The same message is decided alike for every client id, also for one that looks like a policy."""
    chance = random.Random(seed)  # noqa: S311
    company = tuple(forbid(chance, one) for one in CONDITIONS if "client" not in one and chance.random() < 0.2)
    policies = World(rules_of(chance), company).policies()
    calls = [call(chance) for _ in range(MESSAGES // 5)]

    for one in calls:
        assert len({replace(one, client=client).outcome(policies) for client in CLIENTS}) == 1


@shorter
@given(st.integers(0, 2**60))
def test_settings_deny_what_they_say_and_nothing_else(seed: int) -> None:
    """The policies of the settings agree with the settings, for every message and action."""
    chance = random.Random(seed)  # noqa: S311
    rules = rules_of(chance)
    policies = PolicySet(policies_of(rules))

    for one in (call(chance) for _ in range(MESSAGES)):
        denied = {policy.id.removeprefix(SETTING) for policy in one.decided_by(policies).forbidden_by}
        assert denied == expected_of(rules, one)
        assert one.outcome(policies) == (DENIED if denied else WAITS if waits(rules, one) else PERMITTED)


def waits(rules: MailRules, one: Call) -> bool:
    """Return whether M365_SEND_APPROVAL has a call wait, by its plain meaning."""
    domains = {person.domain for person in (*one.facts["receivers"], *one.facts["reply_to"])}
    is_outside = bool(domains - {"contoso.example"})
    return "Send" in one.actions and (rules.approval == "all" or (rules.approval == "external" and is_outside))


def expected_of(rules: MailRules, one: Call) -> set[str]:
    """Return the settings that forbid a call, by their plain meaning."""
    facts, sends = one.facts, "Send" in one.actions
    domains = {person.domain for person in (*facts["receivers"], *facts["reply_to"])}
    extensions = {file.name.rpartition(".")[2] for file in facts["attachments"]}
    broken = {
        "M365_SEND_LEVEL": rules.level == "off" or (rules.level == "draft" and sends),
        "M365_SEND_ALLOWED_DOMAINS": sends
        and rules.allowed_domains is not None
        and (not rules.allowed_domains or not domains <= set(rules.allowed_domains)),
        "M365_SEND_BCC": sends and not rules.allow_bcc and facts["has_bcc"],
        "M365_SEND_FROM": sends and not rules.allow_from and facts["is_shared"],
        "M365_SEND_BLOCKED_EXTENSIONS": sends and bool(extensions & rules.blocked_extensions),
    }
    return {name for name, is_broken in broken.items() if is_broken}
