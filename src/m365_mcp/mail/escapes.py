r"""Mends a text in which a program wrote `\n` where a line break was meant.

A model that escapes its text twice sends one line with `\n`, `\t` and `\u00fc` in it (RFC 8259 section 7). A path
(`C:\new`), a command of TeX (`\nabla`), a pattern and a sentence about `\n` look alike. When in doubt the text stays.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from m365_mcp.mail.text import cannot_be_mailed

_LONGEST_TAG = 300
_LONGEST = 200_000  # characters; a longer line is no letter

_TEX = (
    "n(?:abla|eq|oindent|ewcommand|ewline|ewpage|onumber|otin|leq|geq|mid|exists|earrow|warrow|ormalsize|ewenvironment)"
    "|t(?:ext[a-z]*|imes|heta|au)|r(?:ho|ight[a-z]*|enewcommand)"
)
_ESCAPE = re.compile(
    r"(?P<path>(?<![A-Za-z])[A-Za-z]:\\(?:(?!\\r\\n|\\n\\n|(?<=[.,;:!?])\\n)[^\s\"<>|])*+"
    r"|(?<![^\s\"'(<\[])\\\\[\w.$-]+\\(?!\\)(?:(?!\\n\\n)[^\s\"<>|])*+)"
    r"|(?P<code>(?<!`)`(?!`)[^`]*+`(?!`))"
    rf"|(?P<tex>\\(?:{_TEX})(?![A-Za-z]))"
    r"|(?P<breaks>(?:\\r\\n|\\n)++)"
    r"|(?P<unicode>(?:\\u[0-9a-fA-F]{4})++)"
    r"|(?P<simple>\\[tr\"'/\\])"
    r"|(?P<other>\\[A-Za-z0-9])"
)
_SEPARATORS = " \t\"'`([{|=/^"  # what stands before a `\n` that somebody writes about
_PUNCTUATION = ".,:;!?)…。，！？：；"
_PATTERN = re.compile(r"[|)\]}{$]|[+*?](?! )")  # what stands after a `\n` of a regular expression
_SIMPLE = {"\\t": "\t", "\\r": "\n", '\\"': '"', "\\'": "'", "\\/": "/", "\\\\": "\\\\"}


@dataclass
class _Evidence:
    """What speaks for line breaks in a text.

    Attributes:
        breaks: how many `\\n` stand where a line may end.
        is_clear: whether one of them ends a sentence, or stands before something that begins a line.
        has_letters: whether an escaped letter stands in a word, or an escaped quotation mark in a tag.
        is_pattern: whether an escape of another kind is there.
    """

    breaks: int = 0
    is_clear: bool = False
    has_letters: bool = False
    is_pattern: bool = False

    def is_enough(self, is_quoted: bool) -> bool:
        if self.is_pattern:
            return False
        return self.has_letters or (self.is_clear and self.breaks >= (1 if is_quoted else 2))


def mend_escapes(text: str) -> str | None:
    """Return `text` with its escapes resolved, or None if it was meant as it is."""
    line = text.strip()
    if len(line) > _LONGEST or "\\" not in line or "\n" in line or "\r" in line:
        return None
    inner = line[1:-1]
    is_quoted = line[0] == line[-1] == '"' and inner.count('"') == inner.count('\\"')
    if is_quoted:
        line = inner
    if not _collect_evidence(line, is_quoted).is_enough(is_quoted):
        return None
    mended = _ESCAPE.sub(_resolve, line)
    return None if cannot_be_mailed(mended) else mended


def _collect_evidence(line: str, is_quoted: bool) -> _Evidence:
    evidence, quotes, counted = _Evidence(), 0, 0
    for found in _ESCAPE.finditer(line):
        quotes += 0 if is_quoted else line.count('"', counted, found.start())
        counted = found.start()
        if (found["other"] and not _follows_word(line, found.start())) or (
            found["tex"] and line.startswith("{", found.end())
        ):
            evidence.is_pattern = True
            break
        if quotes % 2:  # inside quotation marks: perhaps a piece of a program
            continue
        if found["breaks"]:
            _weigh_breaks(evidence, line, found)
        elif (found["unicode"] and _is_in_word(line, found)) or _begins_value(line, found):
            evidence.has_letters = True
    return evidence


def _follows_word(line: str, position: int) -> bool:
    r"""Return whether the backslash belongs to a name such as `CONTOSO\ada`."""
    return position > 0 and line[position - 1].isalnum()


def _weigh_breaks(evidence: _Evidence, line: str, found: re.Match[str]) -> None:
    before, after = line[found.start() - 1 : found.start()], line[found.end() : found.end() + 2]
    is_apart = before in _SEPARATORS and (not after or after[0] in _SEPARATORS + _PUNCTUATION)
    if (is_apart and found.end() < len(line)) or before in ("(", "[", "|", "^") or _PATTERN.match(after):
        return
    count = found[0].count("\\n")
    evidence.breaks += count
    if count > 1 or (before and before in _PUNCTUATION) or not after[:1].islower():
        evidence.is_clear = True


def _is_in_word(line: str, found: re.Match[str]) -> bool:
    letters = _decode(found[0])
    if not letters.isprintable() or min(letters) < "\u00a0":
        return False
    around = line[found.start() - 1 : found.start()] + line[found.end() : found.end() + 1]
    return any(character.isalpha() for character in around) or len(letters) > 1


def _begins_value(line: str, found: re.Match[str]) -> bool:
    r"""Return whether this is the quotation mark of an attribute, as in `<p class=\"a\">`."""
    before = line[max(0, found.start() - _LONGEST_TAG) : found.start()]
    return found[0] == '\\"' and before.endswith("=") and before.rfind("<") > before.rfind(">")


def _decode(escapes: str) -> str:
    return str(json.loads(f'"{escapes}"'))


def _resolve(found: re.Match[str]) -> str:
    if found["breaks"]:
        return "\n" * found[0].count("\\n")
    if found["unicode"]:
        return _decode(found[0])
    return _SIMPLE[found[0]] if found["simple"] else found[0]
