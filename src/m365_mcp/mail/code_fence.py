"""Recognises a text that is one code fence (CommonMark 4.5) from its first line to its last, as models wrap answers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from m365_mcp.mail.text import words

_LANGUAGES = {
    **dict.fromkeys(words("html htm xhtml html5"), "html"),
    **dict.fromkeys(words("markdown md gfm commonmark mdown mkd"), "markdown"),
    **dict.fromkeys(words("text txt plain plaintext none"), "text"),
    **dict.fromkeys(words("email mail eml letter"), ""),
}
_MOST_FENCES = 2_000
_FENCE_LINE = re.compile(r"^ {0,3}(`{3,}|~{3,})(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Fence:
    """The one code fence of a text.

    Attributes:
        language: `html`, `markdown` or `text`; empty if the fence names none; otherwise the name of another language.
    """

    language: str
    content: str

    @property
    def is_program(self) -> bool:
        """Whether its content is neither a mail nor the text of one."""
        return self.language not in ("html", "markdown", "text", "")


def read_whole_fence(text: str) -> Fence | None:
    """Return the fence if all of `text` is one, or None."""
    text = text.strip().replace("\r\n", "\n")
    if not text.startswith(("```", "~~~")) or text.count(text[:3]) > _MOST_FENCES:
        return None
    mark = text[: len(text) - len(text.lstrip(text[0]))]
    lines = [found for found in _FENCE_LINE.finditer(text) if found[1].startswith(mark)]
    first, last = lines[0], lines[-1]
    info = first[2].strip()
    if len(lines) < 2 or last.end() < len(text) or last[2].strip() or (text.startswith("`") and "`" in info):
        return None
    name = (info.split() or [""])[0].lower()
    language = _LANGUAGES.get(name, name)
    if not _are_pairs([found[2].strip() for found in lines[1:-1]], language == "markdown"):
        return None
    return Fence(language, text[first.end() + 1 : max(last.start() - 1, first.end() + 1)])


def _are_pairs(infos: list[str], may_begin_bare: bool) -> bool:
    """Return whether the fences between the first and the last line open and close in turn.

    A model wraps Markdown in a fence and forgets that the Markdown has fences too. An opening fence names a language,
    and a closing one does not; in Markdown an opening one may have no name either.
    """
    is_open = False
    for info in infos:
        if is_open and info:
            return False
        if not is_open and not info and not may_begin_bare:
            return False
        is_open = not is_open
    return not is_open
