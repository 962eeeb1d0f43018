"""Who may send in the name of another mailbox (page "Send Outlook messages from another user")."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["as", "on_behalf"]


@dataclass(frozen=True, slots=True)
class SendingRight:
    """Exchange's "Send As", which hides the person, or "Send on Behalf", which names both."""

    person: str
    address: str
    kind: Kind
    display_name: str = ""


class SendingRights:
    """The rights that an administrator granted."""

    def __init__(self) -> None:
        self._granted: dict[tuple[str, str], SendingRight] = {}

    def grant(self, right: SendingRight) -> None:
        """Grant a right; it replaces the person's earlier one for the same address."""
        self._granted[right.person, right.address.casefold()] = right

    def withdraw(self, person: str, address: str) -> None:
        """Remove a right."""
        self._granted.pop((person, address.casefold()), None)

    def find(self, person: str, address: str) -> SendingRight | None:
        """Return the person's right to send from an address."""
        return self._granted.get((person, address.casefold()))

    @property
    def all(self) -> tuple[SendingRight, ...]:
        """Every right, oldest first."""
        return tuple(self._granted.values())

    @property
    def addresses(self) -> tuple[str, ...]:
        """The shared addresses, in lower case: they exist, and mail to them is no failure."""
        return tuple(address for _, address in self._granted)
