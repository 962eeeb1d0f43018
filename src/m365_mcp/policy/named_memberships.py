"""Reads from policies in Cedar's JSON which groups and roles they name, and checks how these are written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from m365_mcp.person import PersonId
from m365_mcp.policy.memberships import Memberships
from m365_mcp.policy.policy_json import entities_of

_GUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
GROUP = re.compile(f"{_GUID}:{_GUID}")
# "Add app roles to your application": a value has no blank, begins with no full stop, and has at most 120 characters.
ROLE = re.compile(r"[^\s.]\S{0,119}")


@dataclass(frozen=True)
class NamedMemberships:
    """What a set of policies names of groups and roles.

    Attributes:
        groups: the groups, as `<tenant id>:<object id>`.
        roles: the values of roles.
    """

    groups: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()

    @classmethod
    def of_all(cls, several: Iterable[NamedMemberships]) -> NamedMemberships:
        """Return what any of `several` names."""
        found = tuple(several)
        groups, roles = (one.groups for one in found), (one.roles for one in found)
        return cls(frozenset().union(*groups), frozenset().union(*roles))

    def groups_in(self, tenant_id: str) -> frozenset[str]:
        """Return the object ids of the groups of one tenant."""
        pairs = (group.split(":") for group in self.groups)
        return frozenset(group for tenant, group in pairs if tenant == tenant_id)

    def are_known(self, person: PersonId, known: Memberships) -> bool:
        """Return whether it is known of every one of them if the person has it."""
        return self.groups_in(person.tenant_id) <= known.groups.asked and not (self.roles and known.roles is None)


def named_by(policies: Iterable[Mapping[str, Any]]) -> NamedMemberships:
    """Return what some policies name."""
    named = [one for policy in policies for one in entities_of(policy)]
    groups, roles = ({id_ for kind, id_ in named if kind == wanted} for wanted in ("Group", "Role"))
    return NamedMemberships(frozenset(groups), frozenset(roles))


def mistake_in(policy: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the name of a group or a role, in words that follow the policy's id; None: nothing."""
    named = named_by([policy])
    for group in sorted(named.groups):
        if not GROUP.fullmatch(group):
            return (
                f"names the group {group!r}, but a group is written as its tenant's id and its object id, "
                'Group::"<tenant id>:<object id>", both GUIDs in lower case'
            )
    for role in sorted(named.roles):
        if not ROLE.fullmatch(role):
            return f"names the role {role!r}, but the value of an app role has no blank and at most 120 characters"
    return None
