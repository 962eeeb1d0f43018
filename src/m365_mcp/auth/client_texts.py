"""Limits on what a client says of itself: anyone can register, under any name and with any URI."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MAX_NAME = 60  # characters; a longer name could push the rest of the page out of sight
# The members of a client's metadata that are URIs (RFC 7591 section 2).
URI_MEMBERS = ("client_uri", "jwks_uri", "logo_uri", "policy_uri", "redirect_uris", "tos_uri")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def spoilt_uris(metadata: Mapping[str, Any]) -> list[str]:
    """Return the members of a client's metadata that are no URIs, because there is a control character in them.

    Pydantic, which reads them for FastMCP and the MCP SDK 2.3, removes some of those. It would read another URI.
    """
    return [name for name in URI_MEMBERS if any(map(_CONTROL.search, _texts(metadata.get(name))))]


def _texts(value: Any) -> list[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]
