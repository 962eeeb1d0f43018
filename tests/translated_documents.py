"""Documents in other languages: whether their source has changed since they were translated.

`docs/clients.zh-Hant.md` is the translation of `docs/clients.md`. It begins with a comment that names the source, and
has a line for each section of it: a digest of what was translated, and the heading. Generated parts do not count.
`make translations ARGS=docs/clients.zh-Hant.md` writes the comment anew, after somebody has read what changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[1]
LANGUAGE = ".zh-Hant"
_COMMENT = re.compile(r"<!-- translation of (?P<source>\S+)\n(?P<sections>(?:[0-9a-f]{16} .*\n)*)-->\n")
_GENERATED = re.compile(r"(<!-- begin: (\w+) -->).*?(<!-- end: \2 -->)", re.DOTALL)
_FENCE = re.compile(r"^ *(```|~~~)")

Section = tuple[str, str]  # digest and heading


def documents() -> list[Path]:
    """Return every document that is a translation."""
    return sorted([*ROOT.glob(f"*{LANGUAGE}.md"), *(ROOT / "docs").rglob(f"*{LANGUAGE}.md")])


def source_of(document: Path) -> Path:
    """Return the document that this one is the translation of, by its name."""
    return document.with_name(document.name.replace(LANGUAGE, ""))


def sections_of(text: str) -> list[Section]:
    """Return the digest and the heading of each section; what stands before the first heading has none."""
    found: list[list[str]] = [[""]]
    for is_code, line in _lines(_GENERATED.sub(r"\1\3", text)):
        if line.startswith("#") and not is_code:
            found.append([])
        found[-1].append(line.rstrip())
    return [
        (sha256("\n".join(lines).strip().encode()).hexdigest()[:16], lines[0].lstrip("# "))
        for lines in found
        if any(lines)
    ]


def code_of(text: str) -> list[str]:
    """Return the lines of all blocks of code."""
    return [line for is_code, line in _lines(text) if is_code]


def headings_of(text: str) -> list[int]:
    """Return the level of each heading."""
    return [len(line) - len(line.lstrip("#")) for is_code, line in _lines(text) if line.startswith("#") and not is_code]


def _lines(text: str) -> Iterator[tuple[bool, str]]:
    """Yield each line, and whether it is of a block of code."""
    is_code = False
    for line in text.splitlines():
        is_fence = _FENCE.match(line) is not None
        yield is_code or is_fence, line
        is_code ^= is_fence


def changes(translated: str, source: str) -> list[str]:
    """Return the sections of a source that the comment of its translation does not know, or that are gone."""
    comment = _COMMENT.match(translated)
    known = [] if comment is None else [line.split(" ", 1) for line in comment["sections"].splitlines()]
    stamped = [(digest, heading) for digest, heading in known]
    now = sections_of(source)
    changed = [
        f"changed or new: {heading or 'beginning'}" for digest, heading in now if (digest, heading) not in stamped
    ]
    headings = [heading for _, heading in now]
    return changed + [f"gone: {heading or 'beginning'}" for _, heading in stamped if heading not in headings]


def stamp(document: Path) -> None:
    """Write the comment of a translated document, as its source is now."""
    source = source_of(document)
    rows = "".join(f"{digest} {heading}\n" for digest, heading in sections_of(source.read_text()))
    comment = f"<!-- translation of {source.resolve().relative_to(ROOT)}\n{rows}-->\n"
    document.write_text(comment + _COMMENT.sub("", document.read_text(), count=1))
