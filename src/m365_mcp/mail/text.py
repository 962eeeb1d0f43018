"""Finds characters that make a line of text look different from what it is."""

from __future__ import annotations

import unicodedata

# Controls of the reading direction (UAX 9): they can make a header look different from what it is.
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Letters and marks without a visible shape: combining grapheme joiner, Hangul fillers, Khmer inherent vowels.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")


def has_control_characters(text: str) -> bool:
    """Return whether `text` has a line break, another control, half a surrogate pair, or a direction control."""
    # Cc: CR, LF, NUL and the rest. Zl, Zp: line and paragraph separators. Cs: half of a surrogate pair.
    return any(unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") or c in _BIDI for c in text)


def has_invisible_characters(text: str) -> bool:
    """Return whether `text` has an invisible character: zero width, a direction mark, a filler."""
    # Cf: zero-width space and joiners, byte order mark, soft hyphen, every direction mark, tags.
    return any(unicodedata.category(c) == "Cf" or c in _BLANK for c in text)


def shows_nothing(text: str) -> bool:
    """Return whether `text` has no character that a reader sees: only white space and invisible characters."""
    return all(unicodedata.category(c) in ("Cc", "Cf", "Zs", "Zl", "Zp") or c in _BLANK for c in text)


def cannot_be_mailed(text: str) -> bool:
    """Return whether `text` has a character that no mail can carry: NUL, or half of a surrogate pair."""
    if "\x00" in text:
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def words(text: str) -> frozenset[str]:
    """Return the words of `text`, which white space separates."""
    return frozenset(text.split())
