"""Quotes a few words of the person's own text in the report, so that it says by name what it means."""

from __future__ import annotations

from collections.abc import Iterable

LONGEST_QUOTE = 60  # characters


def quote(text: str) -> str:
    """Return the beginning of `text` in one line."""
    line = " ".join(text[: 4 * LONGEST_QUOTE].split())
    return line if len(line) <= LONGEST_QUOTE else f"{line[: LONGEST_QUOTE - 1]}…"


def named(texts: Iterable[str], most: int = 3) -> str:
    """Return the first of `texts`, each once, in one phrase: `a, b, c and 2 more`."""
    different = list(dict.fromkeys(texts))
    rest = f" and {len(different) - most} more" if len(different) > most else ""
    return f"{', '.join(different[:most])}{rest}"
