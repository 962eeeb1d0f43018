"""Footnotes: `[^a]` becomes a number above the line, and the notes stand in a numbered list at the end.

The block rule is that of mdit-py-plugins. Its other rules are not used: they drop a note that nothing refers to, read
the rest of the text at every `[^`, and write links to ids. A link inside a mail leads nowhere in many mail programs
(Outlook on the web and Gmail rename ids), so a reference here is a number without a link.
"""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.common.utils import normalizeReference
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.footnote.index import footnote_def

from m365_mcp.mail.markdown.blocks import USED_LABELS, text_of_line

_REFERENCE = re.compile(r"\[\^([^\s\[\]]{1,100})\]")
_DEFINED = "defined_footnotes"  # in the parser's environment
_MARK = '<sup style="font-size:75%;line-height:0">[{}]</sup>'


def enable_footnotes(md: MarkdownIt) -> None:
    """Add the plugin's block rule and our own for the rest."""
    md.use(footnote_plugin, inline=False, move_to_end=False)
    md.block.ruler.at("footnote_def", _definition, {"alt": ["paragraph", "reference"]})
    md.inline.ruler.at("footnote_ref", _reference)
    md.core.ruler.after("inline", "footnotes_to_the_end", _move_to_the_end)


def _definition(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Take a note out of the text if the text refers to it; it stands outside quotes and lists, and counts once."""
    found = _REFERENCE.match(text_of_line(state, start_line)[:120])
    if not found or normalizeReference(f"^{found[1]}") not in state.env[USED_LABELS]:
        return False
    defined = state.env.setdefault(_DEFINED, set())
    if found[1] in defined or not (silent or state.level == 0):
        return False
    if not footnote_def(state, start_line, end_line, silent):
        return False
    if not silent:
        defined.add(found[1])
    return True


def _reference(state: StateInline, silent: bool) -> bool:
    found = _REFERENCE.match(state.src, state.pos, state.posMax)
    if not found or found[1] not in state.env.get(_DEFINED, ()):
        return False
    if not silent:
        state.push("footnote_ref", "", 0).content = found[1]
    state.pos = found.end()
    return True


def _move_to_the_end(state: StateCore) -> None:
    """Number the references in their order, and put the notes into a list at the end in the order of their numbers."""
    notes = _take_notes(state)
    if not notes:
        return
    order = _Order()
    order.number(state.tokens)
    items: list[Token] = []
    for label in order.labels:  # a note that refers to another adds it to these labels
        items += _item(notes[label], order)
    for label in [label for label in notes if label not in order.numbers]:  # only code refers to it
        items += _item(notes[label], order)
    state.tokens += [Token("hr", "hr", 0, block=True), Token("ordered_list_open", "ol", 1, block=True), *items]
    state.tokens.append(Token("ordered_list_close", "ol", -1, block=True))


def _take_notes(state: StateCore) -> dict[str, list[Token]]:
    notes: dict[str, list[Token]] = {}
    rest: list[Token] = []
    target = rest
    for token in state.tokens:
        if token.type == "footnote_reference_open":
            target = notes[token.meta["label"]] = []
        elif token.type == "footnote_reference_close":
            target = rest
        else:
            target.append(token)
    state.tokens = rest
    return notes


class _Order:
    """The order in which the text refers to notes."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self.numbers: dict[str, int] = {}

    def number(self, tokens: list[Token]) -> None:
        """Write the number of its note into each reference."""
        for token in tokens:
            for child in token.children or ():
                if child.type == "footnote_ref":
                    child.type, child.content = "html_inline", _MARK.format(self._number_of(child.content))

    def _number_of(self, label: str) -> int:
        if label not in self.numbers:
            self.labels.append(label)
            self.numbers[label] = len(self.labels)
        return self.numbers[label]


def _item(note: list[Token], order: _Order) -> list[Token]:
    order.number(note)
    if len(note) == 3:  # one paragraph, in a list without distances
        note[0].hidden = note[2].hidden = True
    return [Token("list_item_open", "li", 1, block=True), *note, Token("list_item_close", "li", -1, block=True)]
