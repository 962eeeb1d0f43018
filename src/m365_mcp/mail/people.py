"""Everybody a message names: read, counted once, and compared with what the operator allows. May know only `errors`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from m365_mcp.errors import InvalidArgument, RecipientNotAllowed
from m365_mcp.mail.recipients import Recipient, comparable_domain, read_recipient
from m365_mcp.mail.rules import MailRules

_SHOWN = 5  # places an error names before it only counts


@dataclass(frozen=True)
class People:
    """Everybody a message names, each of `to`, `cc` and `bcc` once.

    Attributes:
        repeated: how many recipients were left out because they were named before.
    """

    to: tuple[Recipient, ...]
    cc: tuple[Recipient, ...]
    bcc: tuple[Recipient, ...]
    reply_to: tuple[Recipient, ...]
    repeated: int


@dataclass(frozen=True)
class _Entry:
    field: str
    number: int
    recipient: Recipient

    @property
    def where(self) -> str:
        return f"'{self.field}' entry {self.number}"


def read_people(rules: MailRules, **fields: Sequence[str] | None) -> People:
    """Return the people in the fields `to`, `cc`, `bcc` and `reply_to`.

    Raises:
        InvalidArgument: an entry is not one address, there is nobody, or there are too many.
        RecipientNotAllowed: somebody is outside the domains the operator allows.
    """
    given = {field: (values,) if isinstance(values, str) else values or () for field, values in fields.items()}
    # Looking at an address takes a while, and repeated ones are not counted; so far more than allowed is far too many.
    _check_count(sum(map(len, given.values())), 2 * rules.max_recipients)
    entries = [entry for field, values in given.items() for entry in _read(field, values)]
    answers = [entry for entry in entries if entry.field == "reply_to"]
    receivers = [entry for entry in entries if entry.field != "reply_to"]
    once = _once(receivers)
    people = People(
        to=_of("to", once),
        cc=_of("cc", once),
        bcc=_of("bcc", once),
        reply_to=_of("reply_to", answers),
        repeated=len(receivers) - len(once),
    )
    if not people.to:
        raise InvalidArgument("There is no recipient.", advice="Put at least one address into 'to'.")
    _check_count(max(len(once), len(answers)), rules.max_recipients)
    _check_domains(entries, rules)
    return people


def check_people(rules: MailRules, **fields: Sequence[Recipient]) -> None:
    """Hold people whom Outlook has put there, such as those of a reply, to the same rules as a caller's.

    Raises:
        InvalidArgument: there is nobody, there are too many, or there are blind copies.
        RecipientNotAllowed: somebody is outside the domains the operator allows.
    """
    entries = [
        _Entry(field, number, one) for field, people in fields.items() for number, one in enumerate(people, start=1)
    ]
    if not entries:
        raise InvalidArgument("There is no recipient.", advice="Put at least one address into the message in Outlook.")
    check_bcc(fields.get("bcc"), rules)
    _check_count(len(entries), rules.max_recipients)
    _check_domains(entries, rules)


def check_bcc(bcc: Sequence[object] | None, rules: MailRules) -> None:
    """Raise InvalidArgument for blind copies that the operator does not allow."""
    if bcc and not rules.allow_bcc:
        raise InvalidArgument(
            "'bcc' is switched off on this server.",
            advice="Leave it out, or ask the people who run this server to set M365_SEND_BCC.",
        )


def _read(field: str, values: Sequence[str]) -> Iterator[_Entry]:
    for number, value in enumerate(values, start=1):
        yield _Entry(field, number, read_recipient(f"'{field}' entry {number}", value))


def _once(entries: Iterable[_Entry]) -> list[_Entry]:
    first: dict[str, _Entry] = {}
    for entry in entries:
        first.setdefault(entry.recipient.key, entry)
    return list(first.values())


def _of(field: str, entries: Iterable[_Entry]) -> tuple[Recipient, ...]:
    return tuple(entry.recipient for entry in entries if entry.field == field)


def _check_count(count: int, limit: int) -> None:
    if count > limit:
        raise InvalidArgument(
            f"There are {count:,} recipients, and one message may have {limit:,}.",
            advice="Send it in several messages, or to a distribution list.",
        )


def _check_domains(entries: Iterable[_Entry], rules: MailRules) -> None:
    if rules.allowed_domains is None:
        return
    allowed = {comparable_domain(domain) for domain in rules.allowed_domains}
    outside = [entry.where for entry in entries if entry.recipient.domain not in allowed]
    if outside:
        named = ", ".join(outside[:_SHOWN]) + (f" and {len(outside) - _SHOWN} more" if len(outside) > _SHOWN else "")
        verb = "is" if len(outside) == 1 else "are"
        raise RecipientNotAllowed(f"{len(outside)} of the addresses {verb} in no domain mail may go to: {named}.")
