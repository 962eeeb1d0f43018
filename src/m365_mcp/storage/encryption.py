"""The encryption of what is stored: every record is tied to its place.

py-key-value's Fernet wrapper (0.4.6) accepts records that are not encrypted and records copied from another key, so
that whoever can write to Redis can become any user. Here the collection and the key are part of what is
encrypted, and anything that does not open, or opens for another place, counts as missing.
May know `logs`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from m365_mcp import logs

_log = logs.get(__name__)


class Seal:
    """Closes and opens records.

    Args:
        keys: the first encrypts and all decrypt, so that keys can be rotated.
    """

    def __init__(self, *keys: Fernet) -> None:
        self._newest = keys[0]
        self._fernet = MultiFernet(keys)

    def is_old(self, text: str) -> bool:
        """Return whether what was closed was closed with another key than the first."""
        try:
            self._newest.decrypt(text.encode())
        except InvalidToken:
            return True
        return False

    def close(self, value: Mapping[str, Any], collection: str | None, key: str) -> str:
        """Return `value` as ciphertext for this place; never the same twice."""
        text = json.dumps([collection, key, value], separators=(",", ":"))
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, text: str, collection: str | None, key: str) -> dict[str, Any] | None:
        """Return what was closed for this place, or None."""
        try:
            place_collection, place_key, value = json.loads(self._fernet.decrypt(text.encode()))
        except (InvalidToken, ValueError):
            _log.warning("record_unreadable", collection=collection)
            return None
        if (place_collection, place_key) != (collection, key):
            _log.warning("record_misplaced", collection=collection)
            return None
        opened: dict[str, Any] = value
        return opened
