"""Reads one mail address, and tells which addresses a list of domains cannot judge.

Every refusal names what was met: a blank, an invisible character, two addresses. None repeats the address.
Sources: RFC 5321 sections 4.1.2 and 4.5.3.1 (64 octets before the @, 254 in all), RFC 6068 (mailto:), RFC 6531.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote

import idna
from email_validator import EmailNotValidError, validate_email

from m365_mcp.errors import InvalidArgument
from m365_mcp.mail.text import find_invisible, strip_invisible

ONE_ADDRESS = "Give one address an entry, as name@example.com or Name <name@example.com>."
_NO_ADDRESS = "Ask for the address, or look the name up with find_people where that tool is available; do not guess it."
_MAX_LOCAL_OCTETS = 64
_MAX_OCTETS = 254
_QUOTED_LOCAL = re.compile(r'"(?:[^"\\]|\\.)*"(?=@)')
# What a local part may hold that is delivered in its own domain: no quotes, no blanks, and none of `%` and `!`.
_PLAIN_LOCAL = re.compile(r'[^\x00-\x20"%!(),:;<>@\[\\\]\x7f]+')
# IMCEASMTP-, IMCEAEX-, …: an address of another system in Exchange's encapsulation ([MS-OXCMAIL]). SRS0=, SRS1=: the
# Sender Rewriting Scheme. `…#EXT#`: the sign-in name of a guest in Entra ID. `/`: X.400 through a gateway (RFC 2156).
_ENCAPSULATED = re.compile(r"imcea\w*-|srs[01][-+=]|/|.*#ext#")
_ENCODED = re.compile(r"\+([0-9A-Fa-f]{2})")  # how IMCEA writes a character
_DOMAIN = re.compile(r"(?:[^\W_][\w-]*\.)+[^\W\d_][\w-]*")
# Blanks so narrow that the text on both sides looks like one word.
_NARROW = dict.fromkeys(map(ord, "\u2006\u2008\u2009\u200a\u202f\u205f"))
_DOTS = re.compile(r"[.\u3002]")  # NFKC makes the other dots of UTS 46 one of these


def comparable_domain(domain: str) -> str:
    """Return `domain` as A-label in lower case, without a trailing dot and surrounding space (RFC 5890, UTS 46)."""
    bare = domain.strip().removesuffix(".").lower()
    if bare.isascii():
        return bare
    try:
        return idna.encode(bare, uts46=True).decode().lower()
    except idna.IDNAError:
        return bare  # equals no valid domain


def comparable_address(address: str) -> str:
    """Return `address` in the form for comparisons; Exchange ignores upper and lower case."""
    local, _, domain = address.rpartition("@")
    return f"{local.casefold()}@{comparable_domain(domain)}"


def may_leave_domain(address: str) -> bool:
    """Return whether a system may deliver `address` to another domain than the one after its last @.

    Mail systems have read `m%other.example@here`, `other.example!m@here`, quoted and encapsulated addresses as routes.
    So a list of allowed domains says nothing about such an address, and nothing about one that has no local part.
    """
    local, _, _ = address.rpartition("@")
    plain = _as_shown(local).casefold()
    return not _PLAIN_LOCAL.fullmatch(plain) or bool(_ENCAPSULATED.match(plain))


def domains_in_local_part(address: str) -> frozenset[str]:
    """Return the domains that an address may mean besides its own, as `comparable_domain`; see `may_leave_domain`.

    Where a system may deliver elsewhere and no domain is readable, the result is `invalid` (RFC 6761 section 6.4).
    """
    if not may_leave_domain(address):
        return frozenset()
    local = _ENCODED.sub(lambda found: chr(int(found[1], 16)), _as_shown(address.rpartition("@")[0]))
    found = {comparable_domain(domain) for domain in _DOMAIN.findall(local)}
    return frozenset(found or {"invalid"})


def addresses_in(text: str) -> list[str]:
    """Return the words of `text` that a reader takes for a mail address: something@domain.tld, in any disguise."""
    found = []
    for word in re.split(r"[\s,;<>]+", _as_shown(text)):
        local, _, domain = word.rpartition("@")
        labels = _DOTS.split(domain)
        if local and len(labels) > 1 and all(labels[:2]):
            found.append(word)
    return found


def _as_shown(text: str) -> str:
    """Return `text` with compatible characters (a full-width @) as plain ones, and without what shows nothing."""
    if text.isascii():
        return text
    return strip_invisible(unicodedata.normalize("NFKC", strip_invisible(text).translate(_NARROW)))


def read_address(where: str, written: str) -> str:
    """Return the normalised address; an internationalised domain keeps the spelling that it was given.

    Raises:
        InvalidArgument: the text is no mail address; the error says why.
    """
    bare = written.removesuffix(".")  # a trailing dot marks a full DNS name; it does not change the address
    _check_characters(where, bare)
    _check_parts(where, bare)
    if len(bare.rpartition("@")[0].encode()) > _MAX_LOCAL_OCTETS or len(bare.encode()) > _MAX_OCTETS:
        raise InvalidArgument(f"{where} is not a mail address: it is too long.", advice=ONE_ADDRESS)
    validated = _validate(bare)
    if validated is None:
        part = "before" if _validate(f"a@{bare.rpartition('@')[2]}") else "after"
        raise InvalidArgument(f"{where} is not a mail address: its part {part} the @ is not valid.", advice=ONE_ADDRESS)
    return validated


def _validate(address: str) -> str | None:
    try:
        # Exchange finds out whether mail can be delivered. Special domains (example.com, .test) are valid here.
        validated = validate_email(address, check_deliverability=False, test_environment=True, allow_quoted_local=True)
    except EmailNotValidError:
        return None
    # An ASCII address stays in ASCII (xn--…); an address in another script keeps its script.
    return validated.ascii_email or validated.normalized if address.isascii() else validated.normalized


def _check_characters(where: str, bare: str) -> None:
    if invisible := find_invisible(bare):
        raise InvalidArgument(
            f"{where} has an invisible character ({invisible}) in its address.",
            advice="Write the address again without it; do not copy it.",
        )
    for character in bare:
        if character != "@" and "@" in unicodedata.normalize("NFKC", character):
            raise InvalidArgument(
                f"{where} has a character in its address that only looks like an @ (U+{ord(character):04X}).",
                advice="Write the address with a plain @.",
            )


def _check_parts(where: str, bare: str) -> None:
    rest = _QUOTED_LOCAL.sub("a", bare) if bare.startswith('"') else bare
    if "@" not in rest:
        fault = "has no @, so it is not a mail address" if rest else "has no address"
        raise InvalidArgument(f"{where} {fault}.", advice=_NO_ADDRESS)
    if rest.startswith("@") and ":" in rest:
        raise InvalidArgument(f"{where} has a route before its address.", advice=ONE_ADDRESS)
    if rest.count("@") > 1 or "," in rest or ";" in rest:
        raise InvalidArgument(f"{where} holds more than one address.", advice=ONE_ADDRESS)
    if re.search(r"\s", rest):
        raise InvalidArgument(
            f"{where} has a blank in its address, or a name without < and > around the address.", advice=ONE_ADDRESS
        )
    if rest.startswith("@") or rest.endswith("@"):
        side = "before" if rest.startswith("@") else "after"
        raise InvalidArgument(f"{where} is not a mail address: it has nothing {side} the @.", advice=ONE_ADDRESS)


def without_mailto(where: str, written: str) -> str:
    """Return the address of a `mailto:` address (RFC 6068) or of Exchange's `SMTP:` address, or `written` as it is.

    Raises:
        InvalidArgument: the mailto: address has parameters, which may name further recipients.
    """
    if written[:5].lower() == "smtp:":  # as Exchange's proxyAddresses have it
        return written[5:]
    if written[:7].lower() != "mailto:":
        return written
    address, question, _ = written[7:].partition("?")
    if question:
        raise InvalidArgument(
            f"{where} is a mailto: address with parameters after a question mark.",
            advice="Give the address alone, and the subject and the text in their own arguments.",
        )
    return unquote(address)
