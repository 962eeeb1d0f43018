"""One recipient: read from text, refused when it is not exactly one address.

Sources: RFC 5321 section 4.5.3.1 (64 octets before the @, 254 in all) and RFC 5322 section 3.4. May know only `errors`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from email.utils import getaddresses, parseaddr
from typing import Any

import idna
from email_validator import EmailNotValidError, validate_email

from m365_mcp.errors import InvalidArgument
from m365_mcp.mail.rules import MAX_NAME
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
