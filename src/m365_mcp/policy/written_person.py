"""Pure: a person as an operator writes them down, to see what the policies decide of their messages."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator

from m365_mcp.person import PersonId
from m365_mcp.policy.memberships import Memberships, ToldGroups
from m365_mcp.policy.named_memberships import GROUP, ROLE

NOBODY = PersonId("00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000")


class Written(BaseModel):
    """What an operator writes: it has no field that is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _check_pair(text: str) -> str:
    if not GROUP.fullmatch(text.lower()):
        raise ValueError("must be a tenant's id and an object id, both GUIDs, with a colon between them")
    return text.lower()


def _check_role(text: str) -> str:
    if not ROLE.fullmatch(text):
        raise ValueError("must be the value of an app role, without blanks and at most 120 characters")
    return text


Pair = Annotated[str, AfterValidator(_check_pair)]
RoleValue = Annotated[str, AfterValidator(_check_role)]


class WrittenPerson(Written):
    """Who sends.

    Attributes:
        addresses: the person's own.
        id: `<tenant id>:<object id>`; left out: nobody in particular, of the tenant of `groups`.
        groups: the groups that the person is in, as policies name them, `<tenant id>:<object id>`.
        roles: the values of the app roles assigned to the person.
    """

    addresses: tuple[str, ...] = ()
    id: Pair | None = None
    groups: tuple[Pair, ...] = ()
    roles: tuple[RoleValue, ...] = ()

    @model_validator(mode="after")
    def _one_tenant(self) -> Self:
        if any(not one.startswith(f"{self.person_id.tenant_id}:") for one in self.groups):
            raise ValueError("a person is only in groups of their own tenant")
        return self

    @property
    def person_id(self) -> PersonId:
        """The id that the policies see."""
        if self.id:
            return PersonId(*self.id.split(":"))
        return NOBODY._replace(tenant_id=self.groups[0].partition(":")[0]) if self.groups else NOBODY

    @property
    def memberships(self) -> Memberships:
        """The groups and roles that the policies see; no other group has the person."""
        member = frozenset(one.partition(":")[2] for one in self.groups)
        return Memberships(ToldGroups(member, member), frozenset(self.roles))
