"""Reads recipients from text and checks them against the operator's rules. Each entry must be exactly one address.
Sources: RFC 5321 section 4.5.3.1 (64 octets before the @, 254 in all) and RFC 5322 section 3.4.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.utils import getaddresses, parseaddr
from typing import Any

import idna
from email_validator import EmailNotValidError, validate_email

from m365_mcp.errors import InvalidArgument, RecipientNotAllowed
from m365_mcp.mail.rules import MAX_NAME, MailRules
from m365_mcp.mail.text import has_control_characters

_ONE_ADDRESS_ADVICE = "Give one address an entry, as name@example.com or Name <name@example.com>."
_MAX_LOCAL_OCTETS = 64
_MAX_OCTETS = 254
_MAX_ENTRY = 1000  # characters; more than a display name and an address need; a longer entry is not parsed


@dataclass(frozen=True)
class Recipient:
    """One person a message goes to.

    Attributes:
        address: normalised `local@domain`; an internationalised domain stays in its own script.
        name: display name, or None.
    """

    address: str
    name: str | None = None

    @property
    def domain(self) -> str:
        """The domain in the form for comparisons; see `comparable_domain`."""
        return comparable_domain(self.address.rpartition("@")[2])

    @property
    def key(self) -> str:
        """The address in the form for comparisons; Exchange ignores upper and lower case."""
        return f"{self.address.rpartition('@')[0].casefold()}@{self.domain}"

    def as_graph(self) -> dict[str, Any]:
        """Return Graph's `recipient`."""
        inner = {"address": self.address, "name": self.name} if self.name else {"address": self.address}
        return {"emailAddress": inner}


def comparable_domain(domain: str) -> str:
    """Return `domain` as A-label in lower case, without a trailing dot and surrounding space (RFC 5890, UTS 46)."""
    bare = domain.strip().removesuffix(".").lower()
    if bare.isascii():
        return bare
    try:
        return idna.encode(bare, uts46=True).decode().lower()
    except idna.IDNAError:
        return bare  # equals no valid domain


def read_recipient(where: str, value: str) -> Recipient:
    """Return the recipient written as `a@b` or `Name <a@b>` (RFC 5322 section 3.4).

    Raises:
        InvalidArgument: the text is not exactly one address; the error names `where` and never repeats the text.
    """
    text = _check_text(where, value)
    unquoted = re.sub(r'"[^"]*"', "", text)
    if len(getaddresses([text])) != 1 or ";" in unquoted or (unquoted.count("@") > 1 and "<" not in text):
        raise InvalidArgument(f"{where} holds more than one address.", advice=_ONE_ADDRESS_ADVICE)
    name, address = parseaddr(text)
    if not address or ("<" in text) != text.endswith(">") or ("<" in text) != (address != text):
        raise InvalidArgument(f"{where} has a form that cannot be read.", advice=_ONE_ADDRESS_ADVICE)
    return Recipient(_normalise(where, address), _check_name(where, name))


def _check_text(where: str, value: str) -> str:
    if len(value) > _MAX_ENTRY:
        raise InvalidArgument(f"{where} has {len(value):,} characters.", advice=_ONE_ADDRESS_ADVICE)
    if has_control_characters(value):
        raise InvalidArgument(
            f"{where} contains a line break or another control character.", advice=_ONE_ADDRESS_ADVICE
        )
    text = value.strip()
    if not text:
        raise InvalidArgument(f"{where} is empty.", advice=_ONE_ADDRESS_ADVICE)
    return text


def _normalise(where: str, address: str) -> str:
    bare = address.strip().removesuffix(".")  # a trailing dot marks a full DNS name; it does not change the address
    if len(bare.rpartition("@")[0].encode()) > _MAX_LOCAL_OCTETS or len(bare.encode()) > _MAX_OCTETS:
        raise InvalidArgument(f"{where} is not a mail address: it is too long.", advice=_ONE_ADDRESS_ADVICE)
    try:
        # Exchange finds out whether mail can be delivered. Special domains (example.com, .test) are valid here.
        validated = validate_email(bare, check_deliverability=False, test_environment=True, strict=True)
    except EmailNotValidError:
        raise InvalidArgument(f"{where} is not a mail address.", advice=_ONE_ADDRESS_ADVICE) from None
    # An ASCII address stays in ASCII (xn--…); an address in another script keeps its script.
    return validated.ascii_email or validated.normalized if address.isascii() else validated.normalized


def _check_name(where: str, name: str) -> str | None:
    # "boss@example.com <other@example.com>" shows one address and goes to another. A full-width @ and an encoded word
    # (RFC 2047) have the same effect, because mail programs decode them.
    if "@" in unicodedata.normalize("NFKC", name) or "=?" in name:
        raise InvalidArgument(f"{where} has an address in its display name.", advice=_ONE_ADDRESS_ADVICE)
    if len(name) > MAX_NAME:
        raise InvalidArgument(f"{where} has a display name of {len(name)} characters.", advice=_ONE_ADDRESS_ADVICE)
    return name or None


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


def _check_domains(entries: Iterable[_Entry], rules: MailRules) -> None:
    if rules.allowed_domains is None:
        return
    allowed = {comparable_domain(domain) for domain in rules.allowed_domains}
    outside = [entry.where for entry in entries if entry.recipient.domain not in allowed]
    if outside:
        unnamed = len(outside) - _MAX_NAMED_ENTRIES
        named = ", ".join(outside[:_MAX_NAMED_ENTRIES]) + (f" and {unnamed} more" if unnamed > 0 else "")
        verb = "is" if len(outside) == 1 else "are"
        raise RecipientNotAllowed(
            f"{len(outside)} of the addresses {verb} outside the domains that this server may send to: {named}."
        )
