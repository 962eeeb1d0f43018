"""Tells the attributes of a tag from words that stand between two signs, as in `a <b and c> d`."""

from __future__ import annotations

import re

from m365_mcp.mail.html.elements import BOOLEAN_ATTRIBUTES, CUSTOM_ATTRIBUTE, KNOWN_ATTRIBUTES

_SPACE = r"[\t\n\f\r ]*+"
# Groups: the name, the quoted value, the value without quotes. A quote that never ends leaves the equals sign unread. A
# `<` ends the name and the value, so that no tag reads again what the next one reads.
ATTRIBUTE = re.compile(
    r"[\t\n\f\r /]*+([^\t\n\f\r />=<][^\t\n\f\r />=<]*+)"
    rf"(?:{_SPACE}={_SPACE}(?:(\"[^\"]*+\"|'[^']*+')|([^\"'>\t\n\f\r <][^>\t\n\f\r <]*+)|(?=>)))?(?!<)"
)
_OPEN_QUOTES = ('="', "='")  # what is read as a name when a value has no closing quote


class TagAttributes:
    """What the attributes of a tag tell about it.

    Attributes:
        end: where the tag ends; None: it does not end, or a `<` comes first.
        has_style: whether `style` is among them.
        hold_markup: whether a value in quotes has a `<`.
    """

    __slots__ = ("_named", "_stray_quotes", "_words", "are_none", "end", "has_style", "hold_markup")

    def __init__(self) -> None:
        self.end: int | None = None
        self.are_none = True
        self.has_style = self.hold_markup = self._stray_quotes = False
        self._named = self._words = 0

    def add(self, found: re.Match[str]) -> bool:
        """Take one attribute, and return whether it can be part of a tag."""
        name, quoted, plain = found.groups()
        self.are_none = False
        if name.startswith(_OPEN_QUOTES):
            return False
        self.hold_markup |= bool(quoted) and "<" in quoted
        self.has_style |= name.lower() == "style"
        self._stray_quotes |= '"' in name or "'" in name
        is_custom = CUSTOM_ATTRIBUTE.fullmatch(name) is not None
        if quoted or plain:
            self._named += is_custom or name.lower() in KNOWN_ATTRIBUTES
        else:
            self._words += not is_custom and name.lower() not in BOOLEAN_ATTRIBUTES
        return True

    @property
    def are_of_a_tag(self) -> bool:
        """Whether this is the attribute list of a tag, and not words between two signs of a comparison."""
        if self.end is None or (self.hold_markup and self._stray_quotes):
            return False
        return self._named > 0 or self._words == 0
