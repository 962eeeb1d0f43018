"""The people of the sample tenants: who they are and what state their account is in."""

from dataclasses import dataclass

from m365_simulator.organizations import CONTOSO, FABRIKAM


@dataclass(frozen=True, slots=True)
class Person:
    """One account of the directory; `name` is the short handle that the control plane uses (`ada`)."""

    name: str
    display_name: str
    given_name: str
    surname: str
    user_principal_name: str
    object_id: str
    mail: str | None
    tenant_id: str = CONTOSO.id
    job_title: str | None = None
    office_location: str | None = None
    licensed: bool = True
    """Whether Exchange Online gives this person a mailbox."""
    enabled: bool = True
    """A disabled account is refused with AADSTS50057."""
    must_do_mfa: bool = False
    """A conditional access policy asks for MFA before Graph may be reached (AADSTS50076)."""
    sign_in_frequency_seconds: float | None = None
    """A conditional access policy asks for a new sign-in after so many seconds (AADSTS70043)."""
    aliases: tuple[str, ...] = ()
    """Further addresses of the mailbox."""
    groups: tuple[str, ...] = ()
    """Object ids of the groups that the person is in, directly or through another group."""
    roles: tuple[str, ...] = ()
    """Values of the app roles of our API that are assigned to the person."""

    def answers_to(self, username: str) -> bool:
        """Return whether the text is this person's handle, sign-in name, address or object id."""
        wanted = username.casefold()
        known = (self.name, self.user_principal_name, self.mail or "", self.object_id, *self.aliases)
        return bool(username) and any(text.casefold() == wanted for text in known)


def sample_people() -> tuple[Person, ...]:
    """Return Ada and Grace, who have mailboxes, Linus, who has none, and Marie, who works for the other tenant."""
    return (*_people_of_contoso(), *_people_of_fabrikam())


def _people_of_contoso() -> tuple[Person, ...]:
    return (
        Person(
            name="ada",
            display_name="Ada Lovelace",
            given_name="Ada",
            surname="Lovelace",
            user_principal_name="ada@contoso.example",
            object_id="aaaaaaaa-0001-4000-8000-00000000ada0",
            mail="ada@contoso.example",
            job_title="Analyst",
            office_location="London",
        ),
        Person(
            name="grace",
            display_name="Grace Hopper",
            given_name="Grace",
            surname="Hopper",
            user_principal_name="grace@contoso.example",
            object_id="aaaaaaaa-0002-4000-8000-00000009ace0",
            mail="grace@contoso.example",
            job_title="Rear Admiral",
            office_location="Arlington",
        ),
        Person(
            name="linus",
            display_name="Linus Pauling",
            given_name="Linus",
            surname="Pauling",
            user_principal_name="linus@contoso.example",
            object_id="aaaaaaaa-0003-4000-8000-00000011c500",
            mail=None,
            job_title="Chemist",
            office_location="Pasadena",
            licensed=False,
        ),
    )


def _people_of_fabrikam() -> tuple[Person, ...]:
    return (
        Person(
            name="marie",
            display_name="Marie Curie",
            given_name="Marie",
            surname="Curie",
            user_principal_name="marie@fabrikam.example",
            object_id="aaaaaaaa-0004-4000-8000-0000000c041e",
            mail="marie@fabrikam.example",
            tenant_id=FABRIKAM.id,
            job_title="Professor",
            office_location="Paris",
        ),
    )
