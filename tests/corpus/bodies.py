"""Reads the corpus: `index.toml` describes the bodies, `bodies/` holds their text as a client would send it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
BODIES = FOLDER / "bodies"


@dataclass(frozen=True)
class Body:
    """One body of the corpus.

    Attributes:
        name: the name of its file in `bodies/`.
        said: the `content_type` of the call.
        kind: what it really is: `html`, `text` or `markdown`.
        genre: letter, report, newsletter, reply and the like.
        language: BCP 47.
        program: the program whose way of writing it imitates; empty if a person or a model writes so.
        columns: groups of texts that stand beside one another; each text begins a column.
        pictures: content ids of the inline attachments that come with the body.
        expected: what a reader sees, where the body itself does not tell it (`<name>.seen.txt`).
    """

    name: str
    said: str
    kind: str
    genre: str
    language: str
    text: str
    program: str = ""
    columns: tuple[tuple[str, ...], ...] = ()
    pictures: tuple[str, ...] = ()
    expected: str | None = None

    @property
    def is_exact_in_lines(self) -> bool:
        """Whether every line of the body is a line in the mail, and no line is broken elsewhere."""
        return self.kind != "html" or self.expected is not None


@cache
def corpus() -> tuple[Body, ...]:
    """Return all bodies, in the order of the index."""
    index = tomllib.loads((FOLDER / "index.toml").read_text())
    return tuple(_read(**entry) for entry in index["body"])


def _read(name: str, columns: list[list[str]] | None = None, pictures: list[str] | None = None, **entry: str) -> Body:
    seen = BODIES / f"{name}.seen.txt"
    return Body(
        name=name,
        text=(BODIES / name).read_text(),
        columns=tuple(tuple(group) for group in columns or ()),
        pictures=tuple(pictures or ()),
        expected=seen.read_text() if seen.exists() else None,
        **entry,
    )
