"""Reads the recipients of a message and checks them against the operator's rules. Each entry must be one address."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from m365_mcp.errors import InvalidArgument, RecipientNotAllowed
from m365_mcp.mail.addresses import comparable_domain, may_leave_domain
from m365_mcp.mail.recipient import Recipient, read_recipient
from m365_mcp.mail.report import named
from m365_mcp.mail.rules import MailRules

_MAX_NAMED_ENTRIES = 5  # entries that an error names; it counts the others


@dataclass(frozen=True)
class MessageRecipients:
    """The recipients of a message. Each address stands once in `to`, `cc` and `bcc` together.

    Attributes:
        repeated: how many repeated recipients were removed.
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


def read_recipients(rules: MailRules, **fields: Sequence[str] | None) -> MessageRecipients:
    """Return the recipients of the fields `to`, `cc`, `bcc` and `reply_to`.

    Raises:
        InvalidArgument: an entry is not one address, there is no recipient, or there are too many.
        RecipientNotAllowed: a recipient is outside the domains that the operator allows.
    """
    given = {field: (values,) if isinstance(values, str) else values or () for field, values in fields.items()}
    # Parsing addresses takes time, so too many entries are refused first. Repeated ones may double the allowed number.
    _check_count(sum(map(len, given.values())), 2 * rules.max_recipients)
    entries = [entry for field, values in given.items() for entry in _read_entries(field, values)]
    reply_to = [entry for entry in entries if entry.field == "reply_to"]
    receivers = [entry for entry in entries if entry.field != "reply_to"]
    unique = _remove_repeated(receivers)
    recipients = MessageRecipients(
        to=_recipients_of("to", unique),
        cc=_recipients_of("cc", unique),
        bcc=_recipients_of("bcc", unique),
        reply_to=_recipients_of("reply_to", reply_to),
        repeated=len(receivers) - len(unique),
    )
    if not recipients.to:
        raise InvalidArgument("There is no recipient.", advice="Put at least one address into 'to'.")
    _check_count(max(len(unique), len(reply_to)), rules.max_recipients)
    _check_domains(entries, rules)
    return recipients


def check_recipients(rules: MailRules, *, reply_to: Sequence[Recipient] = (), **fields: Sequence[Recipient]) -> None:
    """Check the recipients of an existing draft, for example of a reply, against the operator's rules.

    Raises:
        InvalidArgument: there is no recipient, there are too many, or there are blind copies.
        RecipientNotAllowed: a recipient or a reply-to address is outside the domains that the operator allows.
    """
    entries = [entry for field, recipients in fields.items() for entry in _entries_of(field, recipients)]
    if not entries:
        raise InvalidArgument("There is no recipient.", advice="Put at least one address into the message in Outlook.")
    check_bcc(fields.get("bcc"), rules)
    _check_count(max(len(entries), len(reply_to)), rules.max_recipients)
    _check_domains((*entries, *_entries_of("reply_to", reply_to)), rules)


def _entries_of(field: str, recipients: Sequence[Recipient]) -> list[_Entry]:
    return [_Entry(field, number, recipient) for number, recipient in enumerate(recipients, start=1)]


def check_bcc(bcc: Sequence[object] | None, rules: MailRules) -> None:
    """Raise InvalidArgument if there are blind copies and the operator does not allow them."""
    if bcc and not rules.allow_bcc:
        raise InvalidArgument(
            "'bcc' is switched off on this server.",
            advice="Leave it out, or ask the people who run this server to set M365_SEND_BCC.",
        )


def _read_entries(field: str, values: Sequence[str]) -> Iterator[_Entry]:
    for number, value in enumerate(values, start=1):
        yield _Entry(field, number, read_recipient(f"'{field}' entry {number}", value))


def _remove_repeated(entries: Iterable[_Entry]) -> list[_Entry]:
    first: dict[str, _Entry] = {}
    for entry in entries:
        first.setdefault(entry.recipient.key, entry)
    return list(first.values())


def _recipients_of(field: str, entries: Iterable[_Entry]) -> tuple[Recipient, ...]:
    return tuple(entry.recipient for entry in entries if entry.field == field)


def _check_count(count: int, limit: int) -> None:
    if count > limit:
        raise InvalidArgument(
            f"There are {count:,} recipients, and one message may have {limit:,}.",
            advice="Send it in several messages, or to a distribution list.",
        )


def _check_domains(entries: Sequence[_Entry], rules: MailRules) -> None:
    if rules.allowed_domains is None:
        return
    allowed = {comparable_domain(domain) for domain in rules.allowed_domains}
    _refuse_where(entries, lambda one: one.domain not in allowed, "outside the domains that this server may send to")
    _refuse_where(
        entries,
        lambda one: may_leave_domain(one.address),
        "written so that mail systems may send on to another domain than the one after the @",
    )


def _refuse_where(entries: Iterable[_Entry], condition: Callable[[Recipient], bool], fault: str) -> None:
    outside = [entry for entry in entries if condition(entry.recipient)]
    if outside:
        verb = "is" if len(outside) == 1 else "are"
        which = named([entry.where for entry in outside], _MAX_NAMED_ENTRIES)
        error = RecipientNotAllowed(f"{len(outside)} of the addresses {verb} {fault}: {which}.")
        error.addresses = tuple(entry.recipient.address for entry in outside)
        raise error
