"""Backslashes: an escape before punctuation (CommonMark 2.4), and themselves in the paths of Windows."""

from __future__ import annotations

import re

from markdown_it import rules_inline
from markdown_it.rules_inline import StateInline

_LONGEST_PATH = 260  # MAX_PATH of Windows
_SHARE = re.compile(r"\\\\[\w.?]")  # \\server\share, and \\?\C:\long
_INSIDE = re.compile(r"[\w:\\/.]")  # after such a character no share begins
# What stands in a word before a backslash that separates the parts of a path: a drive, or a share.
_PATH = re.compile(r"[^\w\\]*+(?:[A-Za-z]:(?:\\|$)|\\\\[\w.?])")


def read_backslash(state: StateInline, silent: bool) -> bool:
    """Copy a backslash of a path, together with what it would escape; read any other as the library does."""
    if state.src[state.pos] != "\\":
        return False
    literal = _literal(state)
    if not literal:
        return rules_inline.escape(state, silent)
    if not silent:
        state.append_pending(literal)
    state.pos += len(literal)
    return True


def _literal(state: StateInline) -> str:
    word = _word_before(state)
    ahead = state.src[state.pos : min(state.pos + 3, state.posMax)]
    if not _INSIDE.match(word[-1:]) and _SHARE.match(ahead):
        return ahead[:2]
    if ahead[1:2] == "\\" or not _PATH.match(word):  # C:\\new is C:\new, escaped
        return ""
    return ahead[:1] if ahead[1:2].isspace() else ahead[:2]


def _word_before(state: StateInline) -> str:
    before = state.src[max(0, state.pos - _LONGEST_PATH) : state.pos]
    return "" if not before or before[-1].isspace() else before.split()[-1]
