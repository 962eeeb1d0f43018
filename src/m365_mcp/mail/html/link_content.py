"""Sees that no link loses the only thing that a reader could click on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from m365_mcp.mail.html.replacing import shown_address
from m365_mcp.mail.html.separators import Gap
from m365_mcp.mail.html.tokens import End, Start, Text, Token

_BLANKS = {"", "&nbsp;", "&#160;", "\xa0"}


def keep_links_visible(pieces: Iterable[Token | Gap]) -> Iterator[Token | Gap]:
    """Put the address of a link into it as text if everything in it was removed; a gap stands where something was."""
    target, is_visible, has_lost = "", False, False
    for piece in pieces:
        if isinstance(piece, Gap):
            has_lost = True
        elif isinstance(piece, Text):
            is_visible = is_visible or piece.raw.strip() not in _BLANKS
        elif piece.name == "img":
            is_visible = True
        elif piece.name == "a":
            if isinstance(piece, End) and target and has_lost and not is_visible:
                yield Text(escape(shown_address(target), quote=False))
            target = piece.attributes.get("href", "") if isinstance(piece, Start) else ""
            is_visible = has_lost = False
        yield piece
