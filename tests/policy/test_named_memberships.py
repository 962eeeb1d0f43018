"""Groups and roles in policies: which are named and for which action, how they are written, and what they decide."""

from __future__ import annotations

import re

import pytest

from m365_mcp.errors import PolicyDenied, PolicyUnavailable
from m365_mcp.person import PersonId
from m365_mcp.policy.decision_point import PolicyDecisionPoint
from m365_mcp.policy.facts import MessageFacts
from m365_mcp.policy.memberships import UNKNOWN, Memberships, ToldGroups
from m365_mcp.policy.named_memberships import NamedMemberships
from m365_mcp.policy.policy_set import PolicyMistake, PolicySet

TENANT, OTHER = "11111111-2222-4333-8444-555555555555", "99999999-2222-4333-8444-555555555555"
ADA = PersonId(TENANT, "22222222-3333-4444-8555-666666666666")
PRESS, SALES = "11111111-aaaa-4000-8000-000000000001", "11111111-aaaa-4000-8000-000000000002"
FORMS = {
    "in the scope": 'forbid(principal in {}, action == Action::"Send", resource)',
    "with its type": 'forbid(principal is Person in {}, action in [Action::"Send", Action::"Draft"], resource)',
    "of any action": "forbid(principal in {}, action, resource)",
    "in a condition": 'forbid(principal, action == Action::"Send", resource) when {{ principal in {} }}',
    "in a set": 'forbid(principal, action in Action::"Send", resource) unless {{ !(principal in [{}]) }}',
    "with its type in a condition": "forbid(principal, action, resource) when {{ principal is Person in {} }}",
}


def group(id_: str, tenant: str = TENANT) -> str:
    return f'Group::"{tenant}:{id_}"'


def policies(*rules: str) -> PolicySet:
    return PolicySet(of_company="".join(f'@id("p{number}") {rule};' for number, rule in enumerate(rules)))


def told(asked: str, *member: str, roles: frozenset[str] | None = None) -> Memberships:
    return Memberships(ToldGroups(frozenset({asked}), frozenset(member)), roles)


@pytest.mark.parametrize("form", FORMS)
def test_named_group_is_found_wherever_it_stands_and_forbids_its_members(form: str) -> None:
    """A group in scope, condition, set or with escapes is named, denies who is in it, and permits who is not."""
    escaped = group(PRESS).replace("a", r"\u{61}")
    one = policies(FORMS[form].format(escaped))
    point = PolicyDecisionPoint(one)

    assert one.named.groups == one.named_for("Send").groups == {f"{TENANT}:{PRESS}"}
    assert one.named.groups_in(TENANT) == {PRESS}
    point.require(ADA, ("Send",), MessageFacts(()), "", memberships=told(PRESS))
    with pytest.raises(PolicyDenied):
        point.require(ADA, ("Send",), MessageFacts(()), "", memberships=told(PRESS, PRESS))


def test_names_are_told_apart_by_action() -> None:
    """What an action needs is named by the policies about it, those about every action included."""
    one = policies(
        FORMS["in the scope"].format(group(PRESS)),
        FORMS["in the scope"].format('Role::"Mail.External"').replace("Send", "Draft"),
        'forbid(principal, action == Action::"SendUnasked", resource)',
    )

    assert one.named_for("Send") == NamedMemberships(groups=frozenset({f"{TENANT}:{PRESS}"}))
    assert one.named_for("Draft") == NamedMemberships(roles=frozenset({"Mail.External"}))
    assert one.named_for("Send", "Draft") == one.named
    assert one.named_for("SendUnasked") == NamedMemberships()


def test_role_counts_with_its_case() -> None:
    """Roles are compared as Entra writes them."""
    point = PolicyDecisionPoint(policies(FORMS["in a condition"].format('Role::"Mail.External"')))

    point.require(ADA, ("Send",), MessageFacts(()), "", memberships=Memberships(roles=frozenset({"mail.external"})))
    with pytest.raises(PolicyDenied):
        point.require(ADA, ("Send",), MessageFacts(()), "", memberships=Memberships(roles=frozenset({"Mail.External"})))


def test_group_of_another_tenant_is_neither_needed_nor_matched() -> None:
    """A group with the same object id under another tenant's id has no member here."""
    point = PolicyDecisionPoint(policies(FORMS["in the scope"].format(group(PRESS, OTHER))))

    assert point.policies.named.groups_in(TENANT) == frozenset()
    point.require(ADA, ("Send",), MessageFacts(()), "")
    point.require(ADA, ("Send",), MessageFacts(()), "", memberships=told(PRESS, PRESS))


@pytest.mark.parametrize("entity", [group(PRESS), 'Role::"Mail.External"'])
@pytest.mark.parametrize("known", [UNKNOWN, told(SALES, SALES)])
def test_nothing_is_permitted_while_a_name_is_unknown(entity: str, known: Memberships) -> None:
    """A decision needs to know of each group and role that is named; else it is `policy_unavailable`, both ways."""
    forbidden = PolicyDecisionPoint(policies(FORMS["in a condition"].format(entity)))
    asked = PolicyDecisionPoint(policies(FORMS["in the scope"].format(entity).replace("Send", "SendUnasked")))

    with pytest.raises(PolicyUnavailable):
        forbidden.require(ADA, ("Send",), MessageFacts(()), "", memberships=known)
    with pytest.raises(PolicyUnavailable):
        asked.who_asks(ADA, MessageFacts(()), "", memberships=known)
    forbidden.require(ADA, ("Draft",), MessageFacts(()), "", memberships=known)


@pytest.mark.parametrize(
    ("entity", "said"),
    [
        ('Group::"press"', "The policy 'p0' names the group 'press', but a group is written as its tenant's id and"),
        (group(PRESS.upper()), "both GUIDs in lower case"),
        (f'Group::"{PRESS}"', "names the group"),
        (group(f"{PRESS} "), "names the group"),
        ('Role::"Mail External"', "The policy 'p0' names the role 'Mail External', but the value of an app role has"),
        ('Role::""', "names the role ''"),
        ('Groups::"press"', "'p0' is not valid"),
    ],
)
@pytest.mark.parametrize("form", ["in the scope", "in a set"])
def test_name_of_an_unknown_form_is_refused_in_a_sentence(form: str, entity: str, said: str) -> None:
    """A group or role that can never match would silently permit, so the file with it is not taken."""
    with pytest.raises(PolicyMistake, match=re.escape(said)):
        policies(FORMS[form].format(entity))
