"""Texts that a client chose itself, as they can do no harm on a page: anyone can register, under any name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from m365_mcp.mail.text import strip_invisible

MAX_NAME = 60  # characters; a longer name could push the rest of the page out of sight
# The members of a client's metadata that are URIs (RFC 7591 section 2).
URI_MEMBERS = ("client_uri", "jwks_uri", "logo_uri", "policy_uri", "redirect_uris", "tos_uri")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SEPARATORS = ("Cc", "Zs", "Zl", "Zp")
_NOT_CHARACTERS = ("Cs", "Co", "Cn")  # half a surrogate pair, private use, unassigned
_BLANK_BRAILLE = "\u2800"
_STACKED = re.compile(r"(?<=[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]{2})"
                      r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]+")  # fmt: skip


def clean(text: str, limit: int) -> str:
    """Return a text of a client as it can do no harm on a page: one line, visible characters only, at most `limit`.

    Controls of the reading direction go, and so do accents that are piled up over the lines above.
    """
    kept = unicodedata.normalize("NFC", text[: 20 * limit])
    kept = "".join(" " if _separates(one) else one for one in kept if unicodedata.category(one) not in _NOT_CHARACTERS)
    words = " ".join(_STACKED.sub("", strip_invisible(kept)).split())
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"


def spoilt_uris(metadata: Mapping[str, Any]) -> list[str]:
    """Return the members of a client's metadata that are no URIs, because there is a control character in them.

    Pydantic, which reads them for FastMCP and the MCP SDK 2.3, removes some of those. It would read another URI.
    """
    return [name for name in URI_MEMBERS if any(map(_CONTROL.search, _texts(metadata.get(name))))]


def _texts(value: Any) -> list[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]


def _separates(character: str) -> bool:
    return unicodedata.category(character) in _SEPARATORS or character == _BLANK_BRAILLE
