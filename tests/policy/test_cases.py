"""Messages and cases that an operator writes down: each field reaches the policies, and each mistake is a sentence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from m365_mcp.errors import InvalidArgument, PolicyDenied, PolicyFailed
from m365_mcp.mail import MailRules
from m365_mcp.policy.cases import Decision, WrittenCall, read_call, read_cases
from m365_mcp.policy.facts import InternalDomains
from m365_mcp.policy.policy_set import PolicySet
from m365_mcp.policy.setting_rules import policies_of

PAGE = Path(__file__).parents[2] / "docs" / "policy.md"
ID = "11111111-2222-4333-8444-555555555555:22222222-3333-4444-8555-666666666666"

TURNED = ":".join(reversed(ID.split(":")))


def decided(condition: str, **call: Any) -> Decision:
    policies = PolicySet(of_company=f'@id("x") forbid(principal, action, resource) when {{ {condition} }};')
    return WrittenCall.model_validate({"message": {}, **call}).decide(policies, InternalDomains())


@pytest.mark.parametrize(
    ("condition", "call"),
    [
        (
            'resource.recipients.contains("grace@contoso.example")',
            {"message": {"to": ["Grace <Grace@Contoso.example>"]}},
        ),
        ('resource.recipients.contains("grace@contoso.example")', {"message": {"cc": ["grace@contoso.example"]}}),
        ("resource.hasBcc", {"message": {"bcc": ["grace@contoso.example"]}}),
        ("resource.hasOtherReplyTo", {"message": {"reply_to": ["grace@contoso.example"]}}),
        ("resource.isShared", {"message": {"from": "team@contoso.example"}}),
        ('resource.linkDomains == ["evil.example"]', {"message": {"body": '<a href="//evil.example/x">x</a>'}}),
        ('resource.linkDomains == ["xn--gre-6ka8i.example"]', {"message": {"links": ["Größe.example"]}}),
        ('resource.contentType == "Text"', {"message": {"content_type": "Text"}}),
        ("resource.attachmentBytes == 7", {"message": {"attachments": [{"name": "a.pdf", "size": 7}]}}),
        ("resource.isReply", {"message": {"is_reply": True}}),
        (
            "resource.firstTimeCount == 1",
            {"message": {"to": ["A@b.example", "c@b.example"], "first_time": ["a@b.example"]}},
        ),
        ("resource.isForward", {"message": {"is_forward": True}}),
        ("resource.toSelfOnly", {"message": {"to": ["a@b.example"]}, "person": {"addresses": ["A@b.example"]}}),
        (f'principal == Person::"{ID}"', {"person": {"id": ID.upper()}}),
        (f'principal in Group::"{ID}"', {"person": {"groups": [ID.upper()]}}),
        (f'principal in Group::"{ID}"', {"person": {"id": ID, "groups": [ID]}}),
        ('principal in Role::"Mail.External"', {"person": {"roles": ["Mail.External"]}}),
        ('context.client == "claude"', {"client": "claude"}),
        ("context.hour == 5", {"hour": 5}),
        ("context.personMessagesHour == 5", {"counts": {"personMessagesHour": 5}}),
        ("context.companyRecipientsDay > 6", {"counts": {"companyRecipientsDay": 7}}),
        ("context.weekday == 7", {"weekday": 7}),
        ('action == Action::"Draft"', {"action": "Draft"}),
        ('action == Action::"Schedule"', {"action": "Schedule"}),
        ('action == Action::"Read"', {"action": "Read"}),
        ('context.tool == "find_people"', {"action": "Read", "tool": "find_people"}),
    ],
)
def test_every_field_reaches_the_policies(condition: str, call: dict[str, Any]) -> None:
    """A policy on what the field says denies the call that says it, and permits one that does not."""
    decision = decided(condition, **call)

    assert (decision.word, decision.rules) == ("denied", ("x",))
    assert isinstance(decision.refusal, PolicyDenied)
    assert decided(condition).word == "permitted"
    assert decided(condition).refusal is None


@pytest.mark.parametrize(
    ("action", "word"),
    [("Send", "approval_needed"), ("Schedule", "approval_needed"), ("Draft", "permitted"), ("Read", "permitted")],
)
def test_mail_that_would_wait_is_told_apart(action: str, word: str) -> None:
    """A policy against SendUnasked has what is sent wait; a draft waits for nobody."""
    policies = PolicySet(policies_of(MailRules(approval="all")))

    decision = WrittenCall.model_validate({"message": {}, "action": action}).decide(policies, InternalDomains())

    assert (decision.word, decision.refusal) == (word, None)
    assert decision.rules == (("setting:M365_SEND_APPROVAL",) if word == "approval_needed" else ())


def test_policy_that_cannot_be_evaluated_is_the_reason() -> None:
    """A case may expect the policy that fails."""
    decision = decided("resource.recipientCount + 9223372036854775807 < 0", message={"to": ["a@b.example"]})

    assert decision.rules == ("x",)
    assert isinstance(decision.refusal, PolicyFailed)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"cases: [", "neither YAML nor JSON from line 1 on"),
        (b"", "has a mistake: the whole"),
        (b"cases: []", "cases: Tuple should have at least 1 item"),
        (b"cases: [{name: a, expect: denied}]", "cases.1.message: is missing"),
        (b"cases: [{name: a, expect: denied, message: {too: x}}]", "cases.1.message.too: is not known"),
        (
            b"cases: [{name: a, expect: no, message: {}}]",
            "cases.1.expect: Input should be 'permitted', 'approval_needed' or 'denied'",
        ),
        (b"cases: [{name: a, expect: denied, message: {}, counts: {hour: 1}}]", "must be one of personMessagesHour"),
        (b"cases: [{name: a, expect: denied, message: {}, hour: 24}]", "cases.1.hour: Input should be less than"),
        (
            b"cases: [{name: a, expect: denied, message: {}, person: {id: ada}}]",
            "cases.1.person.id: must be a tenant's id and an object id, both GUIDs",
        ),
        (
            b"cases: [{name: a, expect: denied, message: {}, person: {groups: [press]}}]",
            "cases.1.person.groups.1: must be a tenant's id and an object id, both GUIDs",
        ),
        (
            b"cases: [{name: a, expect: denied, message: {}, person: {roles: [two words]}}]",
            "cases.1.person.roles.1: must be the value of an app role",
        ),
        (
            f"cases: [{{name: a, expect: denied, message: {{}}, person: {{groups: ['{ID}', '{TURNED}']}}}}]".encode(),
            "cases.1.person: a person is only in groups of their own tenant",
        ),
    ],
)
def test_file_with_a_mistake_says_where(text: bytes | None, said: str, tmp_path: Path) -> None:
    """The sentence names the file and the field, and nothing is decided."""
    file = tmp_path / "p.cases.yaml"
    if text is not None:
        file.write_bytes(text)

    with pytest.raises(InvalidArgument, match=re.escape(said)):
        read_cases(file)


def test_address_that_cannot_be_read_is_named_by_its_field(tmp_path: Path) -> None:
    """An entry that is no address is refused as the tools refuse it."""
    file = tmp_path / "message.json"
    file.write_text('{"message": {"to": ["grace@contoso.example", "nobody"]}}')

    with pytest.raises(InvalidArgument, match="'to' entry 2"):
        read_call(file).decide(PolicySet(), InternalDomains())


def test_cases_of_the_documents_are_decided_as_they_say(tmp_path: Path) -> None:
    """The policies and the cases of docs/policy.md fit each other."""
    blocks = re.findall(r"^```(cedar|yaml)\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    policies = PolicySet(policies_of(MailRules()), "".join(text for kind, text in blocks if kind == "cedar"))
    file = tmp_path / "p.cases.yaml"
    written = [text for kind, text in blocks if kind == "yaml"]

    for text in written:
        file.write_text(text)
        cases = read_cases(file)

        assert [case.name for case in cases if not case.decide(policies, InternalDomains()).meets(case)] == []
        assert len(cases) == len(yaml.safe_load(text)["cases"]) > 1
    assert len(written) == 2


def test_first_rule_is_always_the_same() -> None:
    """The policy that the caller is told is the first of the file, and one of a setting only where no other denies."""
    every = "".join(f'@id("p{number}") forbid(principal, action, resource);' for number in range(12))
    policies = PolicySet(policies_of(MailRules(allowed_domains=())), every)

    rules = {WrittenCall.model_validate({"message": {}}).decide(policies, InternalDomains()).rules for _ in range(5)}

    assert rules == {(*(f"p{number}" for number in range(12)), "setting:M365_SEND_ALLOWED_DOMAINS")}
