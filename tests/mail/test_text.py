"""Characters that make a line of text look different from what it is."""

from __future__ import annotations

import pytest

from m365_mcp.mail.text import (
    cannot_be_mailed,
    find_control,
    find_invisible,
    has_control_characters,
    shows_nothing,
    strip_ends,
    strip_invisible,
)

ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"


@pytest.mark.parametrize(
    "character", "\r\n\x00\t\x85\u2028\u2029\ud800\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
def test_control_character_is_found_anywhere(character: str) -> None:
    """Line breaks, controls, half surrogate pairs and direction controls are found at the end of a text, too."""
    is_break = character in "\r\n\x85\u2028\u2029"

    assert has_control_characters(f"a{character}")
    assert find_control(f"a{character}\x01") == (
        "a line break" if is_break else f"a control character (U+{ord(character):04X})"
    )


@pytest.mark.parametrize("text", ["", "Grüße, Ada", "a\u200bb", "\u200e", ENGLAND])
def test_other_text_has_no_control_character(text: str) -> None:
    """Letters, and format characters that change no direction for what follows, are no controls."""
    assert not has_control_characters(text)
    assert find_control(text) is None


@pytest.mark.parametrize(
    "character",
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200d\u2060\u3164\ufe00\ufe0f\ufeff\uffa0\U000e0100\U000e01ef",
)
def test_invisible_character_is_found_and_stripped(character: str) -> None:
    """The first character that shows nothing is named by its number."""
    assert find_invisible(f"é{character}x\u200b") == f"U+{ord(character):04X}"
    assert strip_invisible(f"é{character}x\u200b") == "éx"


@pytest.mark.parametrize(
    "character", "\u0600\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd\ufdff\ufe10\U000e01f0é a"
)
def test_visible_character_stays(character: str) -> None:
    """Number signs of Arabic, and what stands beside the variation selectors in Unicode, are seen."""
    assert find_invisible(f"é{character}") is None
    assert strip_invisible(f"é{character}") == f"é{character}"


@pytest.mark.parametrize(
    ("name", "met"),
    [
        (f"{ENGLAND}.pdf", None),
        (f"{ENGLAND}\u200b.pdf", "U+200B"),
        ("\U0001f3f4\U000e0067.pdf", "U+E0067"),
        (f"{ENGLAND}\ufe0f.pdf", "U+FE0F"),
        ("👩\u200d💻.pdf", None),
        ("می\u200cخواهم.pdf", None),
        ("a\u200cb.pdf", "U+200C"),
        ("م\u200cb.pdf", "U+200C"),
        ("\u200cم.pdf", "U+200C"),
        ("م\u200c", "U+200C"),
        ("അവന\u0d4d\u200d", None),
        ("❤\ufe0f.pdf", None),
        ("é❤\U000e0100.pdf", None),
        ("\ufe0fé.pdf", "U+FE0F"),
        ("é\u200b.pdf", "U+200B"),
    ],
)
def test_file_name_keeps_what_its_script_needs(name: str, met: str | None) -> None:
    """Joiners between letters, selectors after a character and the tags of a flag pass; in an address, none does."""
    assert find_invisible(name, in_file_name=True) == met
    assert find_invisible(name)


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        (" \t\r\na b\n\r\t ", "a b"),
        ("\ufeff\u200b\u00a0\u3000a\u200e\u2060", "a"),
        (";,a,b;,", "a,b"),
        ("X\x0b", "X\x0b"),
        ("\u202ea\u202d", "\u202ea\u202d"),
        ("\ufe0fa\ufe0f", "\ufe0fa\ufe0f"),
        ("ന\u0d4d\u200d", "ന\u0d4d\u200d"),
        ("ന\u200d", "ന"),
        ("\u200d", ""),
        (" ", ""),
        ("", ""),
    ],
)
def test_accidents_of_copying_are_stripped_from_the_ends(text: str, stripped: str) -> None:
    """Blanks, byte order marks, given separators; but neither overrides of the direction nor parts of a letter."""
    assert strip_ends(text, ",;") == stripped


def test_separators_stay_unless_they_are_named() -> None:
    """Without a second argument, only what is no text is stripped."""
    assert strip_ends(" a; ") == "a;"


@pytest.mark.parametrize("text", ["", " \t\n", "\u00a0\u3000", "\u2028", "\u2029", "\u200b\u200e\ufeff\x00", "\u3164"])
def test_text_without_a_visible_character_shows_nothing(text: str) -> None:
    """White space, invisible characters and fillers are nothing to read, and one letter is."""
    assert shows_nothing(text)
    assert not shows_nothing(f"{text}.")


@pytest.mark.parametrize(
    ("text", "cannot"), [("a\x00", True), ("a\ud800", True), ("\udfff", True), ("ä€😀\n\x01", False)]
)
def test_only_nul_and_half_characters_cannot_be_mailed(text: str, cannot: bool) -> None:
    """Everything else has a form in UTF-8 that Graph accepts."""
    assert cannot_be_mailed(text) is cannot
