"""Emphasis beside Chinese, Japanese and Korean characters, and where asterisks and underscores are no emphasis.

CommonMark decides by spaces and punctuation whether `**` opens or closes (6.2, left- and right-flanking). Chinese and
Japanese have no spaces, and a Korean particle follows without one, so `**「重點」**內容` would stay raw. Here a
CJK character counts as a boundary, as the project markdown-cjk-friendly specifies it. Text without such characters is
read as in CommonMark, except that an asterisk between two digits multiplies, and that the underscores around and in a
name like `_old_file_` belong to it.
"""

from __future__ import annotations

import re
import unicodedata

from markdown_it import MarkdownIt
from markdown_it.common.utils import isMdAsciiPunct, isPunctChar, isWhiteSpace
from markdown_it.parser_inline import ParserInline
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Scanned
from markdown_it.token import Token
from markdown_it.utils import EnvType

# A name with underscores inside, and underscores before or after it too; those inside are never emphasis anyway.
_NAME = re.compile(r"_+[^\W_]++(?:_+[^\W_]++)++_*+(?!\w)")


class _State(StateInline):
    def scanDelims(self, start: int, canSplitWord: bool) -> Scanned:  # noqa: N802, N803, the library's names
        marker = self.src[start]
        end = start
        while end < self.posMax and self.src[end] == marker:
            end += 1
        before = self.src[start - 1] if start > 0 else " "
        after = self.src[end] if end < self.posMax else " "
        if marker == "*" and before.isdigit() and after.isdigit():
            return Scanned(False, False, end - start)
        left = _flanks(before, after)
        right = _flanks(after, before)
        return Scanned(
            left and (canSplitWord or not right or _is_punctuation(before)),
            right and (canSplitWord or not left or _is_punctuation(after)),
            end - start,
        )


def _flanks(outside: str, inside: str) -> bool:
    """Return whether a delimiter between these two characters can belong to the text on the side of `inside`."""
    if isWhiteSpace(ord(inside)):
        return False
    if not _is_punctuation(inside) or _is_cjk(inside):
        return True
    return isWhiteSpace(ord(outside)) or _is_punctuation(outside) or _is_cjk(outside)


def _is_punctuation(character: str) -> bool:
    return isMdAsciiPunct(ord(character)) or isPunctChar(character)


def _is_cjk(character: str) -> bool:
    # Wide, fullwidth or halfwidth (UAX 11), but no emoji and other symbols.
    return unicodedata.east_asian_width(character) in "WFH" and unicodedata.category(character) != "So"


class InlineParser(ParserInline):
    """The library's parser of inline markup, with our rule of flanking."""

    def parse(self, src: str, md: MarkdownIt, env: EnvType, tokens: list[Token]) -> list[Token]:
        """Parse `src` as the library does, with another state."""
        state = _State(src, md, env, tokens)
        self.tokenize(state)
        for rule in self.ruler2.getRules(""):
            rule(state)
        return state.tokens

    def skipToken(self, state: StateInline) -> None:  # noqa: N802, the library's name
        """Skip what was skipped before without looking up the rules; open brackets do so a million times."""
        end = state.cache.get(state.pos)
        if end is None:
            super().skipToken(state)
        else:
            state.pos = end


def keep_name(state: StateInline, silent: bool) -> bool:
    """Copy a name with underscores as it is."""
    if state.src[state.pos] != "_" or (state.pos > 0 and state.src[state.pos - 1].isalnum()):
        return False
    name = _NAME.match(state.src, state.pos, state.posMax)
    if not name:
        return False
    if not silent:
        state.append_pending(name[0])
    state.pos = name.end()
    return True
