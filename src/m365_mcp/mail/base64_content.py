"""Decodes the base64 of a file inside a call, in every spelling that can mean only one content.

Programs break the text into lines, use the alphabet for URLs, leave out the padding, or write a data: address. Text
that was never base64 often decodes to something as well, so what is decoded must be able to be the file that the name
says. A data: address says by itself that its content is base64, and is believed.
Sources: RFC 4648 sections 3, 4 and 5; RFC 2045 section 6.8; RFC 2397.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field

from m365_mcp.errors import InvalidArgument
from m365_mcp.mail.file_signatures import can_be, has_known_start, is_certainly, is_plain_text
from m365_mcp.mail.text import words

_ADVICE = "Give the bytes of the file as base64 (RFC 4648)."
_ON_PURPOSE = "Encode the bytes of the file once. If this is the content you mean, write data:;base64, in front of it."
_DATA = re.compile(r"data:([^,]{0,500}?)(;base64)?,", re.IGNORECASE)
_ESCAPED = {"%2B": "+", "%2F": "/", "%3D": "="}  # the only characters of base64 that an address may escape
_ALPHABET = re.compile(r"[A-Za-z0-9+/]*(=*)")
_RUNS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[+/]")
_REPEATED = re.compile(r"(.)\1\1")
_SHORTEST_INNER = 4  # bytes; many a short word is base64 of something shorter
_LONGEST_WORDS = 200  # characters; longer text is not taken for words
_ENCODED_FILES = words("b64 base64 pem asc key crt p7s p7m pgp gpg eml uu")  # files that hold base64 themselves


@dataclass(frozen=True)
class Decoded:
    """The content of a file, and how its base64 was written.

    Attributes:
        media_type: the media type of a data: address.
        is_declared: whether it was a data: address, which says that it is base64.
        looks_written: whether the text looks like words, and nothing shows that it is base64.
        lacks_padding: whether short text lacks the padding that most programs write.
    """

    content: bytes = field(repr=False)
    media_type: str | None = None
    is_declared: bool = False
    looks_written: bool = False
    lacks_padding: bool = False


def decode_base64(where: str, text: str) -> Decoded:
    """Return the content of `text`.

    Raises:
        InvalidArgument: the text is not base64; the error names the reason and repeats nothing.
    """
    bare = text.strip("\ufeff\u200b \t\r\n")
    found = _DATA.match(bare)
    if not found:
        return _decode(where, bare)
    if not found[2]:
        raise InvalidArgument(f"{where} has a data: address whose content is not base64.", advice=_ADVICE)
    bare = bare[found.end() :]
    for escaped, character in _ESCAPED.items():
        bare = bare.replace(escaped, character).replace(escaped.lower(), character)
    return Decoded(_decode(where, bare).content, found[1] or None, is_declared=True)


def check_decoded(where: str, decoded: Decoded, kind: str | None) -> None:
    """Refuse content that cannot be meant: text that was never base64, and base64 of base64.

    Args:
        kind: the extension of the file's type, or None if it is not known.

    Raises:
        InvalidArgument: see above.
    """
    if decoded.is_declared or not decoded.content:
        return
    is_doubtful = decoded.looks_written or (decoded.lacks_padding and can_be(kind, decoded.content) is False)
    if is_doubtful and not is_certainly(kind, decoded.content) and not has_known_start(decoded.content):
        raise InvalidArgument(f"{where} has content that is not base64, but text.", advice=_ON_PURPOSE)
    if _is_encoded_twice(decoded.content, kind):
        raise InvalidArgument(f"{where} has content that is base64 twice.", advice=_ON_PURPOSE)


def _decode(where: str, text: str) -> Decoded:
    lines = text.replace("\\r", "\n").replace("\\n", "\n").splitlines()  # also a line break that was escaped twice
    joined = "".join(map(str.strip, lines))
    standard = joined if "+" in joined or "/" in joined else joined.replace("-", "+").replace("_", "/")
    found = _ALPHABET.fullmatch(standard)
    if not found:
        raise _refusal(where, standard)
    digits = standard.removesuffix(found[1])
    missing = -len(digits) % 4
    if missing == 3 or len(found[1]) > missing:
        raise InvalidArgument(f"{where} has content that is not base64: its length is wrong.", advice=_ADVICE)
    content = binascii.a2b_base64(digits + "=" * missing)
    if missing and binascii.b2a_base64(content[-(3 - missing) :])[: 4 - missing] != _tail(digits):
        raise InvalidArgument(f"{where} has content that is not base64: no base64 ends so.", advice=_ADVICE)
    is_bare = len(lines) <= 1 and not found[1] and len(digits) <= _LONGEST_WORDS
    return Decoded(content, looks_written=is_bare and _are_words(digits), lacks_padding=is_bare and bool(missing))


def _tail(digits: str) -> bytes:
    return digits[len(digits) // 4 * 4 :].encode()


def _refusal(where: str, text: str) -> InvalidArgument:
    met = "a blank" if re.search(r"\s", text) else "a character that base64 does not have"
    if "=" in text.rstrip("=") and re.fullmatch(r"[A-Za-z0-9+/=]*", text):
        met = "an end in the middle"
    return InvalidArgument(f"{where} has content that is not base64: it has {met}.", advice=_ADVICE)


def _are_words(digits: str) -> bool:
    """Return whether the text looks like words: its runs of one kind of letters are longer than those of base64."""
    if _REPEATED.search(digits):
        return False  # zeros in binary content become a run of A; no word has three equal letters
    runs = _RUNS.findall(digits)
    return len(runs) == 1 or (len(digits) >= 3 * len(runs) and any(len(run) > 4 and run.isalpha() for run in runs))


def _is_encoded_twice(content: bytes, kind: str | None) -> bool:
    if kind in _ENCODED_FILES or not content.isascii():
        return False
    try:
        inner = decode_base64("", content.decode("ascii")).content
    except InvalidArgument:
        return False
    if len(inner) < _SHORTEST_INNER:
        return False
    return is_plain_text(inner) or (not can_be(kind, content) and is_certainly(kind, inner))
