"""The part of the report that tells how the mail looks: hidden text, properties that are gone, rules that are gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import unescape

from m365_mcp.mail.report import Note, Weight

_QUOTED = 60  # characters of a quote
_NAMED = 6  # properties that are named
_NAMES = {"gradient": "background gradients"}


@dataclass
class LookReport:
    """Collects what sanitising changes of the look.

    Attributes:
        declared: the text that the styles openly do not display, piece by piece.
        disguised: the text that they hide in another way.
        pale: the text that can hardly be told from its background, which stays.
        noticed: how many elements lost each property.
        elements: how many elements lost a property.
        generated: the texts that rules add with `::before` or `::after`.
        recolored: how many elements lost the colour of their text, because nobody could read it any more.
    """

    declared: list[str] = field(default_factory=list)
    disguised: list[str] = field(default_factory=list)
    pale: list[str] = field(default_factory=list)
    noticed: Counter[str] = field(default_factory=Counter)
    elements: int = 0
    generated: Sequence[str] = ()
    recolored: int = 0

    def lose(self, properties: Iterable[str]) -> None:
        """Count one element that lost `properties`."""
        self.noticed.update(properties)
        self.elements += 1

    def notes(self) -> tuple[Note, ...]:
        """Return the notes for the report."""
        found = [
            _quoting(Weight.MISLEADING, self.disguised, "Text that the styles disguise was removed"),
            _quoting(
                Weight.MISLEADING, self.pale, "Text has almost the colour of its background, so readers may overlook it"
            ),
            _quoting(Weight.LOOK, self.declared, "Text that the styles do not display was removed"),
            self._properties(),
            self._colors(),
            self._generated(),
        ]
        return tuple(note for note in found if note)

    def _properties(self) -> Note | None:
        if not self.noticed:
            return None
        names = [
            _NAMES.get(name, name) for name, _ in sorted(self.noticed.items(), key=lambda item: (-item[1], item[0]))
        ]
        shown = [*names[:_NAMED], *(["others"] if len(names) > _NAMED else [])]
        listed = shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
        verb = "was" if listed in self.noticed else "were"
        which = "1 element" if self.elements == 1 else f"{self.elements:,} elements"
        return Note(
            Weight.LOOK, f"{listed} {verb} removed from {which}, because mail programs do not follow such styles."
        )

    def _colors(self) -> Note | None:
        if not self.recolored:
            return None
        which = "1 element" if self.recolored == 1 else f"{self.recolored} elements"
        return Note(
            Weight.LOOK, f"The text colour of {which} was changed, because its background could not stay as it was."
        )

    def _generated(self) -> Note | None:
        if not self.generated:
            return None
        text = " ".join(dict.fromkeys(self.generated))
        quote = text if len(text) <= _QUOTED else f"{text[:_QUOTED].rstrip()}…"
        return Note(Weight.LOST, f'Style sheets add text, which a mail cannot have; write it into the body: "{quote}"')


def _quoting(weight: Weight, pieces: list[str], what: str) -> Note | None:
    text = " ".join(unescape(" ".join(pieces)).split())
    if not text:
        return None
    count = "1 character" if len(text) == 1 else f"{len(text):,} characters"
    quote = text if len(text) <= _QUOTED else f"{text[:_QUOTED].rstrip()}…"
    return Note(weight, f'{what} ({count}): "{quote}"')
