"""One recipient: read from text, refused when it is not exactly one address.

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
from m365_mcp.mail.unicode_checks import has_control_characters

_ONE_ADDRESS = "Give one address an entry, as name@example.com or Name <name@example.com>."
_MAX_LOCAL_OCTETS = 64
_MAX_OCTETS = 254
_MAX_ENTRY = 1000  # a display name, an address and room to spare; what is longer is not looked at


@dataclass(frozen=True)
class Recipient:
    """One person a message goes to.

    Attributes:
        address: normalised `local@domain`; an internationalised domain is kept readable.
        name: display name, or None.
    """

    address: str
    name: str | None = None

    @property
    def domain(self) -> str:
        """The domain in the form domains are compared in."""
        return comparable_domain(self.address.rpartition("@")[2])

    @property
    def key(self) -> str:
        """The address in the form addresses are compared in; Exchange does not tell upper from lower case."""
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
        return bare  # equals no domain that mail can go to


def read_recipient(where: str, value: str) -> Recipient:
    """Return the recipient written as `a@b` or `Name <a@b>` (RFC 5322 section 3.4).

    Raises:
        InvalidArgument: it is not exactly one address; `where` is named, the text is not repeated.
    """
    text = _check_text(where, value)
    unquoted = re.sub(r'"[^"]*"', "", text)
    if len(getaddresses([text])) != 1 or ";" in unquoted or (unquoted.count("@") > 1 and "<" not in text):
        raise InvalidArgument(f"{where} holds more than one address.", advice=_ONE_ADDRESS)
    name, address = parseaddr(text)
    if not address or ("<" in text) != text.endswith(">") or ("<" in text) != (address != text):
        raise InvalidArgument(f"{where} has a form that cannot be read.", advice=_ONE_ADDRESS)
    return Recipient(_normalise(where, address), _check_name(where, name))


def _check_text(where: str, value: str) -> str:
    if len(value) > _MAX_ENTRY:
        raise InvalidArgument(f"{where} has {len(value):,} characters.", advice=_ONE_ADDRESS)
    if has_control_characters(value):
        raise InvalidArgument(f"{where} contains a line break or another control character.", advice=_ONE_ADDRESS)
    text = value.strip()
    if not text:
        raise InvalidArgument(f"{where} is empty.", advice=_ONE_ADDRESS)
    return text


def _normalise(where: str, address: str) -> str:
    bare = address.strip().removesuffix(".")  # DNS's way to write a whole name; in an address it changes nothing
    if len(bare.rpartition("@")[0].encode()) > _MAX_LOCAL_OCTETS or len(bare.encode()) > _MAX_OCTETS:
        raise InvalidArgument(f"{where} is not a mail address: it is too long.", advice=_ONE_ADDRESS)
    try:
        # Deliverability is Exchange's to find out; special domains (example.com, .test) are legal to write to.
        found = validate_email(bare, check_deliverability=False, test_environment=True, strict=True)
    except EmailNotValidError:
        raise InvalidArgument(f"{where} is not a mail address.", advice=_ONE_ADDRESS) from None
    # An address that was given in ASCII stays in ASCII (xn--…); one in another script keeps its script.
    return found.ascii_email or found.normalized if address.isascii() else found.normalized


def _check_name(where: str, name: str) -> str | None:
    # "boss@example.com <other@example.com>" shows one address and goes to another; so do a full-width @ and an
    # encoded word (RFC 2047), which a mail client would decode.
    if "@" in unicodedata.normalize("NFKC", name) or "=?" in name:
        raise InvalidArgument(f"{where} has an address in its display name.", advice=_ONE_ADDRESS)
    if len(name) > MAX_NAME:
        raise InvalidArgument(f"{where} has a display name of {len(name)} characters.", advice=_ONE_ADDRESS)
    return name or None


_SHOWN = 5  # places an error names before it only counts


@dataclass(frozen=True)
class MessageRecipients:
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


def read_recipients(rules: MailRules, **fields: Sequence[str] | None) -> MessageRecipients:
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
    people = MessageRecipients(
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


def check_recipients(rules: MailRules, **fields: Sequence[Recipient]) -> None:
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
