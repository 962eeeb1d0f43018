"""Finds characters that make a line of text look different from what it is, and removes them."""

from __future__ import annotations

import re
import unicodedata

# Controls of the reading direction (UAX 9): they can make a header look different from what it is.
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Letters and marks without a visible shape: combining grapheme joiner, Hangul fillers, Khmer inherent vowels.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
_OVERRIDES = frozenset("\u202d\u202e")
_JOINERS = frozenset("\u200c\u200d\u180e")  # ZWNJ, ZWJ, Mongolian vowel separator
# Format characters that have a shape (property Prepended_Concatenation_Mark): Arabic, Syriac and Kaithi number signs.
_VISIBLE_FORMAT = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e007a]{1,8}\U000e007f")  # UTS 51, emoji tag sequence
_SEPARATORS = ("Cc", "Zs", "Zl", "Zp")
_NOT_CHARACTERS = ("Cs", "Co", "Cn")  # half a surrogate pair, private use, unassigned
_BLANK_BRAILLE = "\u2800"
_STACKED = re.compile(r"(?<=[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]{2})"
                      r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]+")  # fmt: skip


def has_control_characters(text: str) -> bool:
    """Return whether `text` has a line break, another control, half a surrogate pair, or a direction control."""
    # Cc: CR, LF, NUL and the rest. Zl, Zp: line and paragraph separators. Cs: half of a surrogate pair.
    return any(unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") or c in _BIDI for c in text)


def find_control(text: str) -> str | None:
    """Return what the first control character of `text` is, as words for a sentence, or None."""
    if not has_control_characters(text):
        return None
    control = next(character for character in text if has_control_characters(character))
    return "a line break" if control.splitlines() == [""] else f"a control character (U+{ord(control):04X})"


def find_invisible(text: str, *, in_file_name: bool = False) -> str | None:
    """Return the first invisible character of `text` as `U+200B`, or None: zero width, a direction mark, a filler.

    Args:
        in_file_name: whether to pass the characters that scripts and emoji need: joiners between letters, variation
            selectors, and the tags of a flag.
    """
    if text.isascii():
        return None
    checked = _FLAG.sub("", text) if in_file_name else text
    for place, character in enumerate(checked):
        if _is_invisible(character) and not (in_file_name and _is_needed(checked, place)):
            return f"U+{ord(character):04X}"
    return None


def strip_invisible(text: str) -> str:
    """Return `text` without its invisible characters."""
    return text if text.isascii() else "".join(c for c in text if not _is_invisible(c))


def clean(text: str, limit: int) -> str:
    """Return a text of a stranger as it can do no harm on a page: one line, visible characters only, at most `limit`.

    Controls of the reading direction go, and so do accents that are piled up over the lines above.
    """
    kept = unicodedata.normalize("NFC", text[: 20 * limit])
    kept = "".join(" " if _separates(one) else one for one in kept if unicodedata.category(one) not in _NOT_CHARACTERS)
    words = " ".join(_STACKED.sub("", strip_invisible(kept)).split())
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"


def strip_ends(text: str, also: str = "") -> str:
    """Return `text` without blanks, line breaks, invisible characters and those of `also` at both ends.

    Overrides of the reading direction stay: they are no accident of copying.
    """
    start, end = 0, len(text)
    while start < end and _is_accidental(text[start], also):
        start += 1
    while start < end and _is_accidental(text[end - 1], also) and not _ends_a_letter(text, end - 1):
        end -= 1
    return text[start:end]


def _separates(character: str) -> bool:
    return unicodedata.category(character) in _SEPARATORS or character == _BLANK_BRAILLE


def _is_accidental(character: str, also: str) -> bool:
    if character in " \t\r\n" or character in also:
        return True
    if character.isascii() or character in _OVERRIDES or _is_variation(character):
        return False
    return _is_invisible(character) or unicodedata.category(character) == "Zs"


def _is_invisible(character: str) -> bool:
    # Cf: zero-width space and joiners, byte order mark, soft hyphen, every direction mark, tags.
    if character in _BLANK or _is_variation(character):
        return True
    return unicodedata.category(character) == "Cf" and character not in _VISIBLE_FORMAT


def _is_variation(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


def _is_needed(text: str, place: int) -> bool:
    """Return whether the invisible character at `place` is a part of the writing."""
    if _is_variation(text[place]):
        return place > 0
    if text[place] not in _JOINERS:
        return False
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    return _can_be_joined(before) and (_can_be_joined(after) or _ends_a_letter(text, place))


def _can_be_joined(character: str) -> bool:
    # Letters, marks, digits and symbols (emoji); the Latin letters of ASCII need no joiner.
    return bool(character) and not character.isascii() and unicodedata.category(character)[0] in "LMNS"


def _ends_a_letter(text: str, place: int) -> bool:
    # After a virama, a joiner chooses the shape of the letter, also at the end of a word (Unicode 12.1, chillu).
    return text[place] in _JOINERS and place > 0 and unicodedata.combining(text[place - 1]) == 9


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
