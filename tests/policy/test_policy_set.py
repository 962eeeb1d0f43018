"""Cedar policies: what is read, what is refused, and what they decide."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from m365_mcp.mail import MailRules, Recipient
from m365_mcp.person import PersonId
from m365_mcp.policy.facts import AttachedFile, Circumstances, InternalDomains, MessageFacts, requests_of
from m365_mcp.policy.policy_set import PolicyMistake, PolicySet, Verdict
from m365_mcp.policy.setting_rules import policies_of

ADA = PersonId("11111111-2222-4333-8444-555555555555", "22222222-3333-4444-8555-666666666666")
GRACE, EVE = Recipient("grace@contoso.example"), Recipient("eve@Evil.example")
MONDAY_NIGHT = Circumstances("claude", datetime(2026, 11, 23, 3, 30, tzinfo=UTC))
NO_NIGHTS = (
    '@id("night") @advice("Send it in the morning.") forbid(principal, action, resource) when { context.hour < 6 };'
)


def to(*receivers: Recipient, **changes: Any) -> MessageFacts:
    own = frozenset({"ada@contoso.example"})
    return MessageFacts(receivers, **{"own": own, "internal": InternalDomains(("contoso.example",)), **changes})


def decided(policies: PolicySet, message: MessageFacts, *actions: str) -> Verdict:
    return policies.decide(*requests_of(ADA, actions or ("Send",), message, MONDAY_NIGHT))


def test_everything_is_permitted_that_nothing_forbids() -> None:
    """Without settings and without a file a message to anybody may leave."""
    assert decided(PolicySet(), to(GRACE, EVE), "Send", "Schedule", "Draft").is_permitted


def test_forbid_wins_and_names_its_policy() -> None:
    """The verdict has the id and the advice of the policy that forbids."""
    verdict = decided(PolicySet(of_company=NO_NIGHTS), to(GRACE))

    assert not verdict.is_permitted
    assert [(policy.id, policy.advice) for policy in verdict.forbidden_by] == [("night", "Send it in the morning.")]


def test_one_forbidden_action_forbids_the_request() -> None:
    """Who schedules asks for Send and for Schedule, and needs both."""
    policies = PolicySet(of_company='@id("now") forbid(principal, action == Action::"Schedule", resource);')

    assert decided(policies, to(GRACE), "Send").is_permitted
    assert not decided(policies, to(GRACE), "Send", "Schedule").is_permitted


def test_policy_that_cannot_be_evaluated_denies_and_is_named() -> None:
    """Cedar skips a policy whose condition fails; here the message does not leave."""
    overflow = (
        '@id("big") forbid(principal, action, resource) when { resource.recipientCount + 9223372036854775807 < 0 };'
    )

    verdict = decided(PolicySet(of_company=overflow), to(GRACE))

    assert not verdict.is_permitted
    assert [policy.id for policy in verdict.failed] == ["big"]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ('resource.externalDomains.contains("evil.example")', to(GRACE, EVE)),
        ("resource.externalCount > 1", to(EVE, reply_to=(EVE,))),
        ('resource.subdomainsOf.contains("contoso.example")', to(Recipient("a@mail.contoso.example"))),
        ('resource.recipients.contains("eve@evil.example")', to(EVE)),
        ('resource.attachmentExtensions.contains("pdf")', to(GRACE, attachments=(AttachedFile("A.PDF", 1),))),
        ("resource.attachmentCount == 2", to(GRACE, attachments=(AttachedFile("a", 1),) * 2)),
        ("resource.attachmentBytes > 9", to(GRACE, attachments=(AttachedFile("a", 5),) * 2)),
        ('resource.linkDomains.contains("evil.example")', to(GRACE, link_domains=frozenset({"evil.example"}))),
        ("resource.hasOtherReplyTo", to(GRACE, reply_to=(GRACE,))),
        ("resource.toSelfOnly", to(Recipient("Ada@contoso.example"))),
        ("resource.hasBcc", to(GRACE, has_bcc=True)),
        ("resource.isReply", to(GRACE, is_reply=True)),
        ("resource.isForward", to(GRACE, is_forward=True)),
        ("resource.isShared", to(GRACE, is_shared=True)),
        ('resource.contentType == "Text"', to(GRACE, content_type="Text")),
        ("context.weekday == 1", to(GRACE)),
        ('context.client == "claude" && !context.clientVerified', to(GRACE)),
        (f'principal == Person::"{":".join(ADA)}"', to(GRACE)),
    ],
)
def test_every_fact_reaches_the_policies(condition: str, message: MessageFacts) -> None:
    """A policy on a fact forbids the message that has it, and permits a plain one unless it is about the call."""
    policies = PolicySet(of_company=f'@id("x") forbid(principal, action, resource) when {{ {condition} }};')

    assert not decided(policies, message).is_permitted
    if "resource" in condition:
        assert decided(policies, to(GRACE)).is_permitted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("permit(principal, action, resource);", "permits something"),
        ("forbid(principal, action, resource);", "no id of its own"),
        ('@id("setting:x") forbid(principal, action, resource);', "no id of its own"),
        ('@id("a") forbid(principal, action, resource);' * 2, "Two policies have the id 'a'"),
        ('@id("default") forbid(principal, action, resource);', "Two policies have the id 'default'"),
        ("forbid(", "cannot be read"),
        (
            '@id("a") forbid(principal, action, resource) when { resource.size > 1 };',
            "'a' is not valid: attribute `size`",
        ),
        ('@id("a") forbid(principal == ?principal, action, resource);', "has a slot"),
        ('@id("a") forbid(principal, action == Action::"Delete", resource);', "'a' is not valid"),
    ],
)
def test_policy_that_is_not_valid_is_refused_in_a_sentence(text: str, said: str) -> None:
    """A file with a mistake is never read in part."""
    with pytest.raises(PolicyMistake, match=said.replace("(", r"\(")):
        PolicySet(of_company=text)


def test_empty_text_adds_nothing() -> None:
    """An empty file, and one of comments, is a set of the settings alone."""
    assert PolicySet(of_company="").digest == PolicySet().digest
    assert decided(PolicySet(of_company="// nothing yet\n"), to(EVE)).is_permitted


def test_digest_tells_sets_apart() -> None:
    """Replicas with different policies have different digests."""
    assert PolicySet(of_company=NO_NIGHTS).digest != PolicySet().digest


@pytest.mark.parametrize(
    ("rules", "message", "variable"),
    [
        (MailRules(allowed_domains=("contoso.example",)), to(GRACE, EVE), "ALLOWED_DOMAINS"),
        (MailRules(allowed_domains=("contoso.example",)), to(GRACE, reply_to=(EVE,)), "ALLOWED_DOMAINS"),
        (MailRules(allowed_domains=()), to(GRACE), "ALLOWED_DOMAINS"),
        (MailRules(), to(GRACE, has_bcc=True), "BCC"),
        (MailRules(), to(GRACE, is_shared=True), "FROM"),
        (MailRules(), to(GRACE, attachments=(AttachedFile("run.EXE", 1),)), "BLOCKED_EXTENSIONS"),
        (
            MailRules(blocked_extensions=frozenset({"größe"})),
            to(GRACE, attachments=(AttachedFile("a.größe", 1),)),
            "BLOCKED_EXTENSIONS",
        ),
    ],
)
def test_settings_are_policies(rules: MailRules, message: MessageFacts, variable: str) -> None:
    """What a setting forbids is forbidden by a policy that carries its name, with and without a file."""
    for of_company in ("", '@id("never") forbid(principal, action, resource) when { false };'):
        verdict = decided(PolicySet(policies_of(rules), of_company), message)
        assert [policy.id for policy in verdict.forbidden_by] == [f"setting:M365_SEND_{variable}"]
    assert decided(
        PolicySet(policies_of(MailRules(allow_bcc=True, allow_from=True, blocked_extensions=frozenset()))), message
    ).is_permitted


@pytest.mark.parametrize(
    ("own", "external"),
    [
        ({"ada@contoso.example"}, {"evil.example"}),
        ({"ada@gmail.com"}, {"contoso.example", "evil.example"}),
        ({"ada_fabrikam.example#ext#@contoso.example", "ada@fabrikam.example"}, {"contoso.example", "evil.example"}),
        (set(), {"contoso.example", "evil.example"}),
    ],
)
def test_unset_internal_domains_are_the_persons_own(own: set[str], external: set[str]) -> None:
    """Guests and people with a free address have no colleagues by domain, so that everything is external to them."""
    assert InternalDomains().external({"contoso.example", "evil.example"}, own) == external


def test_internal_domains_are_exact_unless_a_wildcard_is_written() -> None:
    """contoso.example is not mail.contoso.example, and a domain that only ends alike is another one."""
    domains = {"contoso.example", "mail.contoso.example", "notcontoso.example"}

    assert InternalDomains(("contoso.example",)).external(domains, ()) == domains - {"contoso.example"}
    assert InternalDomains(("*.contoso.example",)).external(domains, ()) == domains - {"mail.contoso.example"}


def test_cedar_is_not_asked_about_what_no_policy_can_forbid() -> None:
    """A request that Cedar could not read is permitted there, and denied where a policy is to be asked."""
    policies = PolicySet(of_company='@id("no") forbid(principal, action == Action::"Send", resource) when { false };')

    def broken(action: str) -> Verdict:
        requests, _ = requests_of(ADA, (action,), to(GRACE), MONDAY_NIGHT)
        return policies.decide([{**one, "resource": {"type": "Unknown", "id": "this"}} for one in requests], [])

    assert broken("SendUnasked").is_permitted
    assert broken("Draft").is_permitted
    assert not broken("Send").is_permitted
