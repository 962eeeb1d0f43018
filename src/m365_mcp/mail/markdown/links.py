"""Addresses: bare ones become links, and the target of a link may contain blanks.

A bare address is a link if a reader would open it: one with http or https, one that begins with www, or a mail address.
A name like `report.py` or `St.Gallen` is none. Punctuation at the end, and a bracket that the address has not opened,
are not part of it, and neither are CJK characters, which follow it without a space.

linkify-it-py and the autolink plugin of mdit-py-plugins are not used: the first knows no mail address in a new
top-level domain and no address after a CJK character, and it links `report.py`; the second copies the rest of the
text at every colon, which takes quadratic time.
"""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

from markdown_it import helpers
from markdown_it.rules_inline import StateInline

_LATIN = "0-9A-Za-z\u00c0-\u024f"
# Hangul Jamo; from CJK radicals to Hangul syllables; compatibility and fullwidth forms; supplementary ideographs.
_CJK = "\u1100-\u11ff\u2e80-\ud7ff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff"
_LOCAL_PART = rf"[{_LATIN}_][{_LATIN}._%+'-]{{0,63}}+"
_LABELS = rf"(?:\.[{_LATIN}-]{{1,63}}+)"
_WEB = re.compile(
    rf"(?:https?://(?:[^\s/@<>]+@)?(?:[{_LATIN}][{_LATIN}.-]*+|\w[\w.-]*+)|www{_LABELS}{{2,10}}+)"
    rf"(?::\d+)?(?:[/?#][^\s<>\"`\\|“”„«»{_CJK}]*+)?",
    re.IGNORECASE,
)
_MAIL = re.compile(
    rf"(?:mailto:)?{_LOCAL_PART}@[{_LATIN}-]{{1,63}}+{_LABELS}{{1,10}}+(?<=[^\W\d]{{2}})(?![{_LATIN}_@]|[:/]\w)",
    re.IGNORECASE,
)
_QUERY = re.compile(rf"\?[^\s<>\"`\\|“”„«»{_CJK}]++")  # of a mailto address: a subject
_MAY_BEGIN = rf"(?<![{_LATIN}@.])(?=https?://|www\.)|(?<![{_LATIN}._%+-])(?=(?:mailto:)?{_LOCAL_PART}@[{_LATIN}])"
_BEGINS = re.compile(_MAY_BEGIN, re.IGNORECASE)
_MAY_CONTAIN = re.compile(r"://|www\.|@", re.IGNORECASE)
_OPENING = {")": "(", "]": "["}
_AFTER_AN_ADDRESS = ".,;:!?'\"*_~([’‘…–—"

_TARGET_END = re.compile(r"\s*+(?:\"[^\"]*\"|'[^']*'|\([^()]*\))?\s*+\)")
_TARGET_WITH_BLANKS = re.compile(r"(?:https?://|mailto:)(?:[^\n<>()\"]|\([^\n<>()\"]*+\))++(?=\))", re.IGNORECASE)


def pattern_of_stops(terminators: re.Pattern[str], markdown: str) -> re.Pattern[str]:
    """Return a pattern that finds where the library's rule for plain text must stop: markup, and bare addresses."""
    if not _MAY_CONTAIN.search(markdown):
        return terminators
    return re.compile(f"{terminators.pattern}|{_MAY_BEGIN}", re.IGNORECASE)


def link_address(state: StateInline, silent: bool) -> bool:
    """Make a link of the bare address that begins here."""
    if silent or state.linkLevel > 0 or not _BEGINS.match(state.src, state.pos, state.posMax):
        return False
    address = _address_at(state.src, state.pos, state.posMax)
    if not address:
        return False
    href = state.md.normalizeLink(address)
    state.push("link_open", "a", 1).attrs = {"href": href}
    state.push("text", "", 0).content = address
    state.push("link_close", "a", -1)
    state.pos += len(address)
    return True


def _address_at(text: str, start: int, end: int) -> str:
    if mail := _MAIL.match(text, start, end):
        query = _QUERY.match(text, mail.end(), end) if ":" in mail[0] else None
        return without_what_follows(mail[0] + query[0]) if query else mail[0]
    web = _WEB.match(text, start, end)
    return without_what_follows(web[0]) if web else ""


def without_what_follows(address: str) -> str:
    """Return `address` up to a bracket that it has not opened, and without the punctuation at its end."""
    open_brackets: list[str] = []
    for position, character in enumerate(address):
        if character in "([":
            open_brackets.append(character)
        elif character in ")]" and (not open_brackets or open_brackets.pop() != _OPENING[character]):
            address = address[:position]
            break
    return address.rstrip(_AFTER_AN_ADDRESS)


def complete(address: str) -> str:
    """Return the target of a link with the scheme that a person leaves out."""
    if address[:4].lower() == "www.":
        return f"https://{address}"
    return f"mailto:{address}" if _MAIL.fullmatch(address) and address[:7].lower() != "mailto:" else address


def _parse_target(text: str, position: int, end: int) -> Any:
    """Parse the target of a link as the library does, or else an address with blanks up to the bracket."""
    found = helpers.parseLinkDestination(text, position, end)
    if not found.ok or not _TARGET_END.match(text, found.pos, end):
        address = _TARGET_WITH_BLANKS.match(text, position, end)
        if address and " " in address[0]:
            found.ok, found.pos, found.str = True, address.end(), address[0].strip()
    return found


HELPERS = SimpleNamespace(
    parseLinkLabel=helpers.parseLinkLabel,
    parseLinkTitle=helpers.parseLinkTitle,
    parseLinkDestination=_parse_target,
)
