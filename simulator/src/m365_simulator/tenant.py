"""The state of the simulated tenant in one object, which a reset restores."""

import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace

from m365_simulator.app_registration import AppRegistration
from m365_simulator.faults import FaultList
from m365_simulator.keys import Clock, KeyRing, MakeKey, make_rsa_key
from m365_simulator.organizations import CONTOSO, FABRIKAM, Organization
from m365_simulator.people import Person, sample_people
from m365_simulator.request_log import RequestLog
from m365_simulator.sending_rights import SendingRights
from m365_simulator.sign_ins import SignIns
from m365_simulator.switches import Switches
from m365_simulator.transport import MailTransport
from m365_simulator.uploads import Uploads

SHORTEST_LIFE, LONGEST_LIFE = 3600, 5399
"""An access token lives a random 60 to 90 minutes (page "Configurable token lifetimes"), in seconds."""
SHORTEST_CAE_LIFE, LONGEST_CAE_LIFE = 20 * 3600, 28 * 3600
"""One that can be challenged lives 20 to 28 hours (page "Continuous access evaluation", "Token lifetime")."""


@dataclass(frozen=True, slots=True)
class Directory:
    """What never changes while the simulator runs; `authority` is scheme, host and port of the Microsoft side.

    `upload_authority` is the same for the host that takes large attachments, outlook.office.com in the real world.
    The app registration stands in `home`; `others` are the tenants of customers.
    """

    authority: str
    app: AppRegistration
    upload_authority: str = "https://localhost:8445"
    home: Organization = CONTOSO
    others: tuple[Organization, ...] = (FABRIKAM,)
    people: tuple[Person, ...] = ()
    seed: int | None = None


class Tenant:
    """The directory and all that happened to it since the start or the last reset."""

    def __init__(
        self,
        directory: Directory,
        *,
        read_clock: Callable[[], float] | None = None,
        make_key: MakeKey = make_rsa_key,
    ) -> None:
        self.directory = directory
        self.clock = Clock() if read_clock is None else Clock(read_clock)
        self.mail = MailTransport(
            self.clock.now, lambda: tuple(self.people.values()), lambda: self.sending_rights.addresses
        )
        self.keys = KeyRing(make_key)
        self.saved_sign_ins: dict[str, SignIns] = {}
        self.reset()

    def save_sign_ins(self, name: str) -> None:
        """Keep who is signed in, with consents and refresh tokens, for a later reset."""
        self.saved_sign_ins[name] = deepcopy(self.sign_ins)

    def reset(self, sign_ins: str | None = None) -> None:
        """Restore the state of the start: people, tenants, app, consents, mail, keys and everything else.

        Args:
            sign_ins: the name of saved sign-ins to restore; None: nobody is signed in.
        """
        self.app = self.directory.app
        self.organizations = (self.directory.home, *self.directory.others)
        self.people = {person.name: person for person in self.directory.people or sample_people()}
        self._names: dict[str, str] = {}  # the handle of who answered to a name
        self.sign_ins = deepcopy(self.saved_sign_ins[sign_ins]) if sign_ins else SignIns()
        self.switches = Switches()
        self.keys.reset()
        self.requests = RequestLog()
        self.faults = FaultList()
        self.clock.offset_seconds = 0.0
        self._dice = random.Random(self.directory.seed)  # noqa: S311 - jitter, no secret
        self.sending_rights = SendingRights()
        self.uploads = Uploads()
        self.mail.reset()

    @property
    def tenant_id(self) -> str:
        """The GUID of the home tenant."""
        return self.directory.home.id

    @property
    def authority(self) -> str:
        """Scheme, host and port under which clients reach Entra and Graph."""
        return self.directory.authority

    def issuer(self, tenant_id: str) -> str:
        """Return the `iss` of v2.0 tokens for people of this tenant."""
        return f"{self.authority}/{tenant_id}/v2.0"

    def find_organization(self, text: str) -> Organization | None:
        """Return the tenant with this GUID or verified domain."""
        return next((one for one in self.organizations if one.answers_to(text)), None)

    def find_person(self, username: str) -> Person | None:
        """Return the person with this handle, sign-in name, address or object id; a tenant may have thousands."""
        known = self.people.get(self._names.get(username, ""))
        if known is not None and known.answers_to(username):
            return known
        found = next((person for person in self.people.values() if person.answers_to(username)), None)
        if found is not None:
            self._names[username] = found.name
        return found

    def change_person(self, name: str, **changes: object) -> Person:
        """Replace fields of a person; KeyError for an unknown name."""
        self.people[name] = replace(self.people[name], **changes)  # type: ignore[arg-type]
        return self.people[name]

    def token_life(self, *, cae: bool = False) -> int:
        """Return how many seconds the next access token lives."""
        if self.app.expires_in is not None:
            return self.app.expires_in
        if cae:
            return self._dice.randint(SHORTEST_CAE_LIFE, LONGEST_CAE_LIFE)
        return self._dice.randint(SHORTEST_LIFE, LONGEST_LIFE)
