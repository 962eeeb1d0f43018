"""Finds what a reader takes for an address in the text of a link, however it is written.

A text is read as it looks: without invisible characters, in the plain form of letters and dots (Unicode NFKC, and the
look-alikes that it leaves), with percent-encoding decoded. Two hosts belong together when they have one registrable
domain by the Public Suffix List, whose copy comes with `publicsuffixlist`; nothing is loaded.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from urllib.parse import unquote

from publicsuffixlist import PublicSuffixList

from m365_mcp.mail.text import find_invisible, words

_MAX_TEXT = 500  # characters of a link's text that are read
_MAX_HOSTS = 4  # of one text
_MAX_CACHED = 5_000
_MAX_HOST = 253  # characters (RFC 1035)
# Characters that look like a full stop and that NFKC keeps: of CJK, Arabic, Syriac, Vai and others, bullets and dots.
_DOTS = dict.fromkeys(map(ord, "。｡․٠۔܁܂ꓸ꘎·‧•∙⋅・･𐩐"), ".")
# Letters of Cyrillic, Armenian and Greek that look like Latin ones (Unicode TS 39, confusables), and soft spaces.
_LOOK_ALIKES = str.maketrans("асеорхуіјѕԁһкмтвнոοναρτικυ", "aceopxyijsdhkmtbhnovaptiku")
_CANDIDATE = re.compile(r"(?:([\w.+'-]++)@)?((?<![\w.-])[\w-]++(?:\.[\w-]++)++|(?<=@)[\w-]++(?:\.[\w-]++)++)")
_SPACED_ADDRESS = re.compile(r"(?:https?:|www\s*\.)", re.IGNORECASE)
_FILES = words(
    "csv css doc docx eml gif htm html ics jpeg jpg js json log md mov mp3 mp4 odt pdf png ppt pptx py rtf sh svg tar "
    "ts txt xls xlsx xml yaml yml zip"
)
_PRODUCTS = words("ado.net asp.net ml.net paint.net vb.net")
_A_LABEL = "xn--"  # RFC 5890
_RESERVED = words("corp example home internal invalid lan local localhost onion test")  # RFC 2606, RFC 6762, ICANN


class _Looks(dict[int, int | str | None]):
    """How each character looks, for `str.translate`: nothing, a full stop, or itself."""

    def __missing__(self, code: int) -> int | str | None:
        is_invisible = find_invisible(chr(code)) is not None
        looks = None if is_invisible else _DOTS.get(code, code)
        if len(self) < _MAX_CACHED:
            self[code] = looks
        return looks


_looks = _Looks()


@dataclass(frozen=True)
class ShownAddress:
    """An address in a text, as it looks.

    Attributes:
        mailbox: what stands before the @; empty: it is the address of a page.
    """

    host: str
    mailbox: str = ""

    @property
    def text(self) -> str:
        """The address in one word."""
        return f"{self.mailbox}@{self.host}" if self.mailbox else self.host


def as_it_looks(text: str) -> str:
    """Return `text` as a reader sees it."""
    text = " ".join(text.split())[:_MAX_TEXT]
    if "%" in text:
        text = unquote(text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_looks)).translate(_looks)
    return text.replace(" ", "") if _SPACED_ADDRESS.match(text) and " ." in text.replace(". ", " .") else text


def find_addresses(text: str) -> list[ShownAddress]:
    """Return the addresses of pages and mailboxes in `text`, which `as_it_looks` has returned; at most a few."""
    found: list[ShownAddress] = []
    for candidate in _CANDIDATE.finditer(text) if "." in text else ():
        address = ShownAddress(comparable_host(candidate[2]), (candidate[1] or "").lower())
        before = text[: candidate.start()][-3:]
        if len(candidate[2]) <= _MAX_HOST and (
            before.endswith("//") or address.mailbox or _looks_like_host(candidate[2], text[candidate.end() :][:1])
        ):
            found.append(address)
            if len(found) == _MAX_HOSTS:
                break
    return found


def _looks_like_host(text: str, after: str) -> bool:
    """Return whether a reader takes a word with a dot for a host, and not for a file, a number or two sentences."""
    first, *_ = labels = text.split(".")
    last = labels[-1]
    if first.lower() == "www" and len(labels) > 2:
        return True
    if (last.lower() in _FILES and after not in ("/", ":", "?")) or text.lower() in _PRODUCTS:
        return False
    if len(last) == 2 and last.istitle() and not first.isupper():  # "this.It": a blank is missing
        return False
    return is_top_level(last.lower()) or is_top_level(last.lower().translate(_LOOK_ALIKES))


def comparable_host(host: str) -> str:
    """Return `host` in the form in which equal hosts are equal: U-labels in lower case, no dot at the end."""
    host = host.strip(".").lower()
    # Not by the `idna` library: it takes ten times as long, and a name that no registry accepts is comparable too.
    if not host.isascii():
        host = unicodedata.normalize("NFKC", host.translate(_DOTS)).lower()
    return ".".join(map(_u_label, host.split("."))) if _A_LABEL in host else host


def _u_label(label: str) -> str:
    if not label.startswith(_A_LABEL) or not label.isascii():
        return label
    try:
        return label.removeprefix(_A_LABEL).encode().decode("punycode")
    except UnicodeError:
        return label  # equals no other name


def unmistakable(host: str) -> str:
    """Return a comparable host with A-labels, because letters of two alphabets may look equal."""
    labels = host.split(".")
    return ".".join(s if s.isascii() else f"{_A_LABEL}{s.encode('punycode').decode()}" for s in labels)


def belong_together(shown: str, target: str) -> bool:
    """Return whether two comparable hosts have one registrable domain."""
    return shown == target or (registrable(shown) == registrable(target) != "")


@lru_cache(maxsize=_MAX_CACHED)
def registrable(host: str) -> str:
    """Return the registrable domain of a comparable host; a host without one (an IP address, a suffix) is its own."""
    suffix = _public_suffixes().publicsuffix(host)
    if suffix is None:  # no public suffix: a reserved name, or an IP address
        last_two = ".".join(host.split(".")[-2:])
        return host if last_two.replace(".", "").isdigit() else last_two
    return str(_public_suffixes().privatesuffix(host) or host)


@lru_cache(maxsize=_MAX_CACHED)
def is_top_level(label: str) -> bool:
    """Return whether hosts on the internet or in a company's network end with `label`."""
    return label in _RESERVED or _public_suffixes().publicsuffix(comparable_host(label)) is not None


@cache
def _public_suffixes() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False)
