"""Tells whether a reader of sanitised HTML sees anything."""

from __future__ import annotations

from html import unescape

from m365_mcp.mail.html.tokens import Start, Text, read_tokens
from m365_mcp.mail.text import shows_nothing


def is_blank(html: str) -> bool:
    """Return whether `html`, which must be sanitised, has neither text nor a picture nor a line."""
    return not any(
        token.name in ("img", "hr")
        if isinstance(token, Start)
        else isinstance(token, Text) and not shows_nothing(unescape(token.raw))
        for token in read_tokens(html)
    )
