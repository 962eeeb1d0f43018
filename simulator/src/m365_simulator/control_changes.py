"""The changes that the control plane accepts, one model per kind; it refuses a change with an unknown field."""

import uuid
from dataclasses import asdict, replace
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, Strict, TypeAdapter, ValidationError, model_validator
from starlette.requests import Request

from m365_simulator.app_registration import AppRegistration, FederatedCredential, Secret
from m365_simulator.entra.problems import EntraError
from m365_simulator.entra.scopes import read_scopes
from m365_simulator.organizations import Organization
from m365_simulator.people import Person
from m365_simulator.switches import Switches

T = TypeVar("T")
Guid = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
RoleValue = Annotated[str, Field(pattern=r"^[^\s.]\S{0,119}$")]
"""The value of an app role (page "Add app roles to your application"): no blank, no full stop first, at most 120."""
DOCUMENTATION = "See GET /_control/state for names, and the docstrings of faults.py and switches.py for meanings."


class ControlError(Exception):
    """A wrong request to the control plane."""

    def __init__(self, code: str, sentence: str, advice: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.advice = advice
        self.status = status


class Change(BaseModel):
    """The base of all changes: exact names, exact kinds."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @property
    def fields(self) -> dict[str, object]:
        """The fields that were sent, apart from those that are acts rather than fields."""
        return self.model_dump(exclude_unset=True, exclude={"revoked"})


class PersonChange(Change):
    """`revoked: true` ends all sessions of the person; the rest replaces fields."""

    display_name: str = ""
    mail: str | None = None
    licensed: bool = True
    enabled: bool = True
    must_do_mfa: bool = False
    sign_in_frequency_seconds: float | None = None
    aliases: Annotated[tuple[str, ...], Strict(False)] = ()
    groups: Annotated[tuple[Guid, ...], Strict(False)] = ()
    roles: Annotated[tuple[RoleValue, ...], Strict(False)] = ()
    revoked: bool = False


class NewPerson(Change):
    """A person to add until the next reset; what is left out follows from `name` (`eve` is `eve@contoso.example`).

    `domain` names the tenant, by its domain or GUID; without it the person belongs to the home tenant.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")
    display_name: str = ""
    user_principal_name: str = ""
    licensed: bool = True
    domain: str | None = None

    def build(self, organization: Organization) -> Person:
        """Return the person, with a new object id."""
        upn = self.user_principal_name or f"{self.name}@{organization.domain}"
        given_name, _, surname = (self.display_name or self.name.title()).partition(" ")
        return Person(
            name=self.name,
            display_name=self.display_name or self.name.title(),
            given_name=given_name,
            surname=surname,
            user_principal_name=upn,
            object_id=str(uuid.uuid4()),
            mail=upn if self.licensed else None,
            tenant_id=organization.id,
            licensed=self.licensed,
        )


class SendAsChange(Change):
    """The right of a person to send in the name of a shared address, as it or on its behalf."""

    person: str
    address: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    kind: Literal["as", "on_behalf"] = "as"
    display_name: str = ""


class NewTenant(Change):
    """A further tenant until the next reset; it gets a new GUID, and people are added to it by its domain."""

    domain: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,250}\.[a-z]{2,63}$")
    display_name: str = ""

    def build(self) -> Organization:
        """Return the tenant."""
        return Organization(str(uuid.uuid4()), self.domain, self.display_name or self.domain.partition(".")[0].title())


class SecretChange(Change):
    """A client secret; `expires_at` in epoch seconds."""

    value: str
    expires_at: float | None = None


class FederatedChange(Change):
    """A trusted outside issuer, with its public key as PEM."""

    issuer: str
    subject: str
    public_key: str
    audience: str = "api://AzureADTokenExchange"


class AppChange(Change):
    """Fields of the app registration; lists replace the whole list."""

    token_version: int | None = None
    secrets: list[SecretChange] = []
    redirect_uris: list[str] = []
    expires_in: int | None = None
    scope_name: str = ""
    display_name: str = ""
    enabled: bool = True
    multi_tenant: bool = False
    certificates: list[str] = []
    federated_credentials: list[FederatedChange] = []
    optional_claims: list[Literal["auth_time"]] = []

    def apply(self, app: AppRegistration) -> AppRegistration:
        """Return the changed registration; ControlError for values that Entra would not store."""
        changes = self.fields
        if "secrets" in changes:
            changes["secrets"] = tuple(Secret(secret.value, secret.expires_at) for secret in self.secrets)
        for name in ("redirect_uris", "certificates", "optional_claims"):
            if name in changes:
                changes[name] = tuple(getattr(self, name))
        if "federated_credentials" in changes:
            trusted = (FederatedCredential(**one.model_dump()) for one in self.federated_credentials)
            changes["federated_credentials"] = tuple(trusted)
        if self.token_version not in (None, 1, 2) or (self.expires_in is not None and self.expires_in < 1):
            raise ControlError("bad_change", "token_version is null, 1 or 2, and expires_in at least 1.", DOCUMENTATION)
        try:
            return replace(app, **changes)  # type: ignore[arg-type]
        except ValueError as problem:
            raise ControlError("bad_change", str(problem), "Register https, or http for localhost only.") from problem


class SavedSignIns(Change):
    """The name under which the sign-ins of now are kept for a later reset."""

    name: str = Field(min_length=1)


class SwitchesChange(BaseModel):
    """Some of the switches by name; the others keep their value."""

    model_config = ConfigDict(extra="allow", frozen=True)

    def apply(self, switches: Switches) -> Switches:
        """Return the changed switches; ControlError for an unknown name or a wrong value."""
        wanted = self.model_extra or {}
        unknown = wanted.keys() - asdict(switches).keys()
        if unknown:
            raise ControlError("unknown_switch", f"There is no switch named {min(unknown)!r}.", DOCUMENTATION)
        return validate(Switches, asdict(switches) | wanted)


class ConsentChange(Change):
    """Scopes as the `scope` parameter writes them, for one person or, with `admin: true`, for everybody in a tenant.

    `domain` names that tenant, by its domain or GUID; without it it is the home tenant.
    """

    scopes: list[str]
    person: str | None = None
    admin: bool = False
    domain: str | None = None

    @model_validator(mode="after")
    def _person_or_admin(self) -> Self:
        if (self.person is None) != self.admin:
            raise ValueError("name a person, or say admin: true")
        if self.domain is not None and not self.admin:
            raise ValueError("a domain goes with admin: true, a person's tenant is known")
        return self

    def scopes_in_full(self, app: AppRegistration) -> tuple[str, ...]:
        """Return the scopes written in full; ControlError for one that does not exist."""
        try:
            return read_scopes(" ".join(self.scopes), app).in_full(app)
        except EntraError as problem:
            raise ControlError(
                "unknown_scope", str(problem), "Write Graph scopes with https://graph.microsoft.com/."
            ) from problem


class ClockChange(Change):
    """How many seconds the simulator's clock is ahead of the real one."""

    offset_seconds: float


class Roll(Change):
    """An emergency roll signs with a key never published before and withdraws all others at once."""

    emergency: bool = False


async def read_change(request: Request, kind: type[T]) -> T:
    """Return the request's JSON body as a value of this kind; ControlError when it does not fit."""
    try:
        value = await request.json() if await request.body() else {}
    except ValueError as problem:
        raise ControlError(
            "not_json", "The body is not JSON.", "Send an object with Content-Type application/json."
        ) from problem
    return validate(kind, value)


def validate(kind: type[T], value: object) -> T:
    """Return the JSON value as this kind; ControlError names the first thing that is wrong."""
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise ControlError("bad_change", f"{where}: {first['msg']}.", DOCUMENTATION) from problem
