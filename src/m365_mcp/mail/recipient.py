"""Reads one recipient from text, and writes one. Each entry must be exactly one address.

The last `<…>` is the address, and all before it is the name, whatever it holds: commas, colons, brackets, an @. A name
may not show another address than the one that gets the mail.
Sources: RFC 5322 section 3.4, RFC 2047 (encoded words); CommonMark 6.3 and Slack's links, as chat programs paste them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.errors import MessageError
from email.header import decode_header, make_header
from html import unescape
from typing import Any

from m365_mcp.errors import InvalidArgument
from m365_mcp.mail.addresses import (
    ONE_ADDRESS,
    addresses_in,
    comparable_address,
    comparable_domain,
    domains_in_local_part,
    read_address,
    without_mailto,
)
from m365_mcp.mail.rules import MAX_NAME
from m365_mcp.mail.text import find_control, strip_ends

_MAX_ENTRY = 1000  # characters; more than a display name and an address need; a longer entry is not parsed
_SEPARATORS = ",;"
_QUOTES = {'"': '"', "'": "'", "`": "`", "\u201c": "\u201d"}  # around a whole entry
_MAX_QUOTES = 2  # quotation marks in one another, around a whole entry
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_GROUP = re.compile(r'[^@<"]*:')
_SPECIALS = re.compile(r'[()<>@,;:\\".\[\]]')  # RFC 5322 section 3.2.3: a name with one of these stands in quotes
_MARKS = "\"'`.,;!?\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb"  # around an address in a sentence
_UNKNOWN_CHARSET = re.compile(r"=\?[^?]*\?([bqBQ])\?")
_MAX_ENCODED_WORDS = 16  # the parser of encoded words takes quadratic time


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
    def domains(self) -> frozenset[str]:
        """Every domain that the address may mean, for comparisons: its own, and those in its local part."""
        return domains_in_local_part(self.address) | {self.domain}

    @property
    def key(self) -> str:
        """The address in the form for comparisons; see `comparable_address`."""
        return comparable_address(self.address)

    def as_graph(self) -> dict[str, Any]:
        """Return Graph's `recipient`."""
        inner = {"address": self.address, "name": self.name} if self.name else {"address": self.address}
        return {"emailAddress": inner}


def read_recipient(where: str, value: str) -> Recipient:
    """Return the recipient written as `a@b`, as `Name <a@b>`, or in a spelling that can mean only one of these.

    Raises:
        InvalidArgument: the text is not exactly one address; the error names `where` and never repeats the text.
    """
    text = _check_text(where, value)
    before, written = _split(text)
    label, written = _read_link(where, written)
    names = [name for name in (_read_name(where, part) for part in (before, label)) if name]
    if not names:
        _check_form(where, written)
    is_group = bool(_GROUP.match(text)) and value.rstrip().endswith(";")
    if is_group and any(map(addresses_in, names)):
        raise InvalidArgument(f"{where} is a group of addresses.", advice=ONE_ADDRESS)
    address = read_address(where, written)
    for name in names:
        _check_name(where, name, address)
    shown = [name for name in names if not _is_only(name, address)]
    return Recipient(address, shown[0] if shown else None)


def write_recipient(address: str, name: str | None) -> str | None:
    """Return an entry that `read_recipient` reads as `address` and `name`; None if it cannot read the address.

    An entry has no name where it would not be read back: a name that shows an address, or has a control character.
    """
    try:
        bare = read_recipient("", address).address
    except InvalidArgument:
        return None
    wanted = Recipient(bare, strip_ends(name or "") or None)
    entry = f"{_quote(wanted.name)} <{bare}>" if wanted.name else bare
    return entry if _reads_as(entry, wanted) else bare


def _reads_as(entry: str, wanted: Recipient) -> bool:
    try:
        return read_recipient("", entry) == wanted
    except InvalidArgument:
        return False


def _quote(name: str) -> str:
    if not _SPECIALS.search(name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _check_text(where: str, value: str) -> str:
    if len(value) > _MAX_ENTRY:
        raise InvalidArgument(f"{where} has {len(value):,} characters.", advice=ONE_ADDRESS)
    if "&lt;" in value and value.rstrip().rstrip(f"{_SEPARATORS}. ").endswith("&gt"):  # copied from HTML
        value = unescape(value)
    text = strip_ends(value.replace("\t", " "), _SEPARATORS)
    without_dot = strip_ends(text.rstrip("."), _SEPARATORS)
    if without_dot.endswith((">", ")", *_QUOTES.values())):
        text = without_dot  # a dot directly after an address is read with the address
    _check_control_characters(where, text)
    if not text:
        raise InvalidArgument(f"{where} is empty.", advice=ONE_ADDRESS)
    return _unwrap(text)


def _check_control_characters(where: str, text: str) -> None:
    if control := find_control(text):
        raise InvalidArgument(f"{where} contains {control}.", advice=ONE_ADDRESS)


def _unwrap(text: str) -> str:
    """Return `text` without quotation marks around the whole of it; no address begins and ends with one."""
    for _ in range(_MAX_QUOTES):
        if len(text) > 2 and text[-1] == _QUOTES.get(text[0]):
            text = strip_ends(text[1:-1], _SEPARATORS)
    return text


def _split(text: str) -> tuple[str, str]:
    """Return the name and the address as they are written."""
    if text.endswith(">"):
        name, bracket, address = text[:-1].rpartition("<")
        return (name, address) if bracket else ("", text)
    words = text.split(None, 1)
    if len(words) == 2 and "@" in words[0] and text[0] != "[" and words[1][0] == "(" and text[-1] == ")":
        return words[1][1:-1], words[0]  # a name in brackets after the address (RFC 5322 section 3.2.2)
    return "", text


def _read_link(where: str, written: str) -> tuple[str, str]:
    """Return the label and the address of a link as chat programs paste it: `[label](mailto:a)`, `mailto:a|label`."""
    text = _unwrap(strip_ends(written))
    label = ""
    if text.startswith("[") and text.endswith(")"):
        label, link, target = text[1:-1].rpartition("](")
        text = target.strip("<>") if link else text
    elif text[:7].lower() == "mailto:":
        text, _, label = text.partition("|")
    return label, strip_ends(without_mailto(where, strip_ends(text)))


def _check_form(where: str, written: str) -> None:
    """Refuse what stands around an address that has no name in front of it."""
    if _GROUP.match(written):
        raise InvalidArgument(f"{where} is a group of addresses, or has a colon before one.", advice=ONE_ADDRESS)
    if "<" in written and ">" in written.rpartition("<")[2]:
        raise InvalidArgument(f"{where} has text after its address.", advice=ONE_ADDRESS)
    if "<" in written or ">" in written:
        raise InvalidArgument(f"{where} has a < without a >, or a > without a <.", advice=ONE_ADDRESS)


def _read_name(where: str, written: str) -> str:
    name = strip_ends(_decode_words(where, _unquote(strip_ends(written))))
    _check_control_characters(where, name)
    if len(name) > MAX_NAME:
        raise InvalidArgument(f"{where} has a display name of {len(name)} characters.", advice=ONE_ADDRESS)
    return name


def _unquote(name: str) -> str:
    """Return what a quoted string quotes (RFC 5322 section 3.2.4); marks that do not pair belong to the name."""
    text = name.replace('\\"', '"') if name.startswith('\\"') and name.endswith('\\"') else name
    quoted = _QUOTED.fullmatch(text)
    return re.sub(r'\\(["\\])', r"\1", quoted[1]) if quoted else text


def _decode_words(where: str, name: str) -> str:
    """Return `name` with its encoded words decoded; one that cannot be decoded stays."""
    if name.count("=?") > _MAX_ENCODED_WORDS:
        raise InvalidArgument(f"{where} has a name that is encoded (RFC 2047).", advice="Write the name as plain text.")
    if "=?" not in name:
        return name
    try:
        return str(make_header(decode_header(name)))
    except (LookupError, ValueError, MessageError):  # an unknown character set, or bytes that are not of it
        return name


def _check_name(where: str, name: str, address: str) -> None:
    # "boss@example.com <other@example.com>" shows one address and goes to another. An encoded word that this server
    # cannot decode may have the same effect, because mail programs try harder.
    readings = {name, _decode_words(where, _UNKNOWN_CHARSET.sub(r"=?iso-8859-1?\1?", name))}
    if all(_is_address(word, address) for reading in readings for word in addresses_in(reading)):
        return
    if re.search("[<,;]", name):
        raise InvalidArgument(f"{where} holds more than one address.", advice=ONE_ADDRESS)
    raise InvalidArgument(f"{where} has another address in its display name.", advice=ONE_ADDRESS)


def _is_only(name: str, address: str) -> bool:
    """Return whether `name` says nothing but the address."""
    return not re.search(r"\s", name) and bool(addresses_in(name)) and _is_address(name, address)


def _is_address(word: str, address: str) -> bool:
    """Return whether each address in `word`, which has no blank, is `address`."""
    parts = [part.strip(_MARKS) for part in re.split(r"[()\[\]|<>:]+", word) if "@" in part]
    return all(comparable_address(part) == comparable_address(address) for part in parts)
