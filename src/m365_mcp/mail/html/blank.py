"""Tells whether a reader of sanitised HTML would see anything."""

from __future__ import annotations

from html import unescape

from m365_mcp.mail.html.tokens import Start, Text, read_tokens
from m365_mcp.mail.text import has_invisible_characters


def is_blank(html: str) -> bool:
    """Return whether `html`, which must be sanitised, has neither text nor a picture nor a line."""
    for token in read_tokens(html):
        if isinstance(token, Start) and token.name in ("img", "hr"):
            return False
        if isinstance(token, Text) and (text := unescape(token.raw).strip()):
            if not all(has_invisible_characters(character) for character in text):
                return False
    return True
