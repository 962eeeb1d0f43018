"""The groups and app roles of a person, as policies name them and as far as they are known."""

from __future__ import annotations

from dataclasses import dataclass

from m365_mcp.person import PersonId


@dataclass(frozen=True)
class ToldGroups:
    """What Microsoft Graph said about groups of one person's tenant.

    Attributes:
        asked: the object ids that it was asked about.
        member: those of the groups that the person is in.
    """

    asked: frozenset[str] = frozenset()
    member: frozenset[str] = frozenset()

    def with_answer(self, asked: frozenset[str], member: frozenset[str]) -> ToldGroups:
        """Return this together with a further answer."""
        return ToldGroups(self.asked | asked, self.member | member)


NOTHING_TOLD = ToldGroups()


@dataclass(frozen=True)
class Memberships:
    """What is known of a person's groups and roles.

    Attributes:
        groups: what Graph said about the groups of the person's tenant.
        roles: the values of the app roles assigned to the person; None: not known.
    """

    groups: ToldGroups = NOTHING_TOLD
    roles: frozenset[str] | None = None

    def parents_of(self, person: PersonId) -> list[dict[str, str]]:
        """Return the parents of the principal, in Cedar's JSON."""
        groups = [{"type": "Group", "id": f"{person.tenant_id}:{group}"} for group in sorted(self.groups.member)]
        return [*groups, *({"type": "Role", "id": role} for role in sorted(self.roles or ()))]


UNKNOWN = Memberships()
