"""The fenced blocks of the documents, and whether each is run here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.docs.pages import ROOT, is_translation, pages, tokens

SHELL = {"bash", "sh", "shell", "console", "powershell", "pwsh", "cmd"}
MARKER = re.compile(r"<!-- (not run here|run by):? (.+?) -->")
# README.md has no markers. Its blocks by their first words, and why no test here runs them.
README = {
    "git clone": "not run here: needs an address to clone from; tests/e2e/test_commands.py runs the demo",
    "cp .env.example": "not run here: needs a tenant",
}


@dataclass(frozen=True)
class Block:
    """One fenced block: where it is, its language and text, and what its marker says (empty: a test runs it)."""

    page: Path
    line: int
    language: str
    text: str
    marker: str

    @property
    def is_shell(self) -> bool:
        """Tell whether a person types this block into a shell."""
        return self.language in SHELL

    @property
    def place(self) -> str:
        """Page and line, for messages and names of tests."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The lines, with continued ones joined, and without comments and empty ones."""
        lines = re.sub(r"\\\n\s*", "", self.text).splitlines()
        bare = [re.sub(r"(^|\s+)#.*$", "", line).strip() for line in lines]
        return [line for line in bare if line]


def blocks() -> list[Block]:
    """Return all fenced blocks of all documents; translations have the same ones, which a test compares."""
    return [block for page in pages() if not is_translation(page) for block in blocks_of(page)]


def blocks_of(page: Path) -> list[Block]:
    """Return the fenced blocks of `page`, in their order."""
    found, before = [], ""
    for token in tokens(page):
        if token.type == "fence":
            line = token.map[0] + 1 if token.map else 0
            marker = _marker(page, before, token.content)
            found.append(Block(page, line, token.info.strip(), token.content, marker))
        before = token.content if token.type == "html_block" else ""
    return found


def _marker(page: Path, before: str, text: str) -> str:
    if page == ROOT / "README.md":
        return next((marker for start, marker in README.items() if text.startswith(start)), "")
    match = MARKER.search(before)
    return f"{match[1]}: {match[2]}" if match else ""
