"""What the sanitizer removes, and what it changes of the look, with a note for the report about each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from html import unescape

from m365_mcp.mail.report import Note, Weight, counted, listed, named, quote


class Removal(Enum):
    """A kind of removed content: its singular, its plural, and the reason."""

    SCRIPT = "script", "scripts", "mail programs do not run them and distrust mail with scripts"
    EVENT_HANDLER = "event handler", "event handlers", "mail programs do not run scripts"
    STYLE_SHEET = (
        "linked style sheet",
        "linked style sheets",
        "loading one tells its server who reads the mail; write its rules into <style>",
    )
    ACTIVE_STYLE = "style", "styles", "such styles can load remote content or run code"
    REMOTE_IMAGE = (
        "remote picture",
        "remote pictures",
        "loading one tells its server who reads the mail, and when; attach it and write its cid: address",
    )
    DATA_IMAGE = (
        "picture inside the HTML",
        "pictures inside the HTML",
        "the data is no PNG, JPEG, GIF, WebP or BMP; attach a picture and write its cid: address",
    )
    SVG_IMAGE = (
        "SVG picture inside the HTML",
        "SVG pictures inside the HTML",
        "mail programs do not show SVG; attach it as PNG and write its cid: address",
    )
    BACKGROUND_IMAGE = "background picture", "background pictures", "many mail programs do not show any"
    LINK = (
        "link target",
        "link targets",
        "only complete http, https, mailto and tel addresses can be opened from a mail",
    )
    FRAME = "embedded page or object", "embedded pages or objects", "mail programs do not load them; a link stays"
    MEDIA = "audio or video element", "audio or video elements", "mail programs do not play them; a link stays"
    DRAWING = "drawing or formula", "drawings or formulas", "mail programs do not show svg and math; their text stays"
    FORM = "form control", "form controls", "nobody can fill in a mail; their state stays as text"
    OTHER = "unknown tag", "unknown tags", "mail programs know no such tags; the text between them stays"
    OPEN_COMMENT = "comment", "comments", ""


_NAMED = 6  # properties that are named
_NAMES = {"gradient": "background gradients"}
_WEIGHTS = {
    **dict.fromkeys((Removal.REMOTE_IMAGE, Removal.DATA_IMAGE, Removal.SVG_IMAGE, Removal.LINK), Weight.LOST),
    **dict.fromkeys((Removal.FRAME, Removal.MEDIA, Removal.DRAWING), Weight.LOST),
    **dict.fromkeys((Removal.SCRIPT, Removal.EVENT_HANDLER, Removal.OTHER), Weight.DETAIL),
}


class Removals(Counter[Removal]):
    """How many removals there were of each kind.

    Attributes:
        names: for some kinds, what was removed, by name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[Removal, list[str]] = {}

    def count(self, kind: Removal, number: int = 1) -> None:
        """Count removals; none at all leave no trace."""
        if number:
            self[kind] += number

    def uncount(self, kind: Removal) -> None:
        """Take back the last removal of a kind, because it is counted with its name later."""
        self[kind] -= 1
        if not self[kind]:
            del self[kind]

    def add(self, kind: Removal, name: str) -> None:
        """Count one removal of something that has a name."""
        self[kind] += 1
        self.names.setdefault(kind, []).append(name)


def removal_notes(removed: Removals) -> tuple[Note, ...]:
    """Return one note for each kind in `removed`, in the order of `Removal`."""
    kinds = (kind for kind in Removal if removed.get(kind))
    return tuple(
        Note(_WEIGHTS.get(kind, Weight.LOOK), _sentence(kind, removed[kind], removed.names.get(kind, ())))
        for kind in kinds
    )


def _sentence(kind: Removal, count: int, names: Sequence[str]) -> str:
    singular, plural, reason = kind.value
    if kind is Removal.OPEN_COMMENT:
        which, they = (f"1 {singular} has", "it stays") if count == 1 else (f"{count} {plural} have", "they stay")
        return f"{which} no end (-->), so {they} as text."
    which = counted(count, singular, plural) + (f" ({named(names)})" if names else "")
    return f"{which} {'was' if count == 1 else 'were'} removed, because {reason}."


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
        verb = "was" if len(names) == 1 and names[0] in self.noticed else "were"
        which = counted(self.elements, "element", "elements")
        return Note(
            Weight.LOOK,
            f"{listed(shown)} {verb} removed from {which}, because mail programs do not follow such styles.",
        )

    def _colors(self) -> Note | None:
        if not self.recolored:
            return None
        which = counted(self.recolored, "element", "elements")
        return Note(
            Weight.LOOK, f"The text colour of {which} was changed, because its background could not stay as it was."
        )

    def _generated(self) -> Note | None:
        if not self.generated:
            return None
        text = quote(" ".join(dict.fromkeys(self.generated)))
        return Note(Weight.LOST, f'Style sheets add text, which a mail cannot have; write it into the body: "{text}"')


def _quoting(weight: Weight, pieces: list[str], what: str) -> Note | None:
    text = " ".join(unescape(" ".join(pieces)).split())
    if not text:
        return None
    count = counted(len(text), "character", "characters")
    return Note(weight, f'{what} ({count}): "{quote(text)}"')
