"""Encrypts records, binds each record to its collection and key, and derives the encryption keys.

py-key-value's Fernet wrapper (0.4.6) accepts records that are not encrypted and records copied from another key, so
an attacker who can write to Redis could become any user. `RecordCipher` puts the collection and the key into the
plaintext. A record counts as missing when the cipher cannot decrypt it, or when it names another collection or key.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from m365_mcp import logs

_log = logs.get(__name__)


class RecordCipher:
    """Encrypts and decrypts records.

    Args:
        keys: the first key encrypts and all keys decrypt, so that the operator can rotate keys.
    """

    def __init__(self, *keys: Fernet) -> None:
        self._newest = keys[0]
        self._fernet = MultiFernet(keys)

    def needs_rotation(self, text: str) -> bool:
        """Return whether the record is encrypted with another key than the first."""
        try:
            self._newest.decrypt(text.encode())
        except InvalidToken:
            return True
        return False

    def encrypt(self, value: Mapping[str, Any], collection: str | None, key: str) -> str:
        """Return `value` as ciphertext for this collection and key. Each call returns another ciphertext."""
        text = json.dumps([collection, key, value], separators=(",", ":"))
        return self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, text: str, collection: str | None, key: str) -> dict[str, Any] | None:
        """Return the value that was encrypted for this collection and key, or None."""
        try:
            bound_collection, bound_key, value = json.loads(self._fernet.decrypt(text.encode()))
        except (InvalidToken, ValueError):
            _log.warning("record_unreadable", collection=collection)
            return None
        if (bound_collection, bound_key) != (collection, key):
            _log.warning("record_misplaced", collection=collection)
            return None
        decrypted: dict[str, Any] = value
        return decrypted


def derive(secret: str, purpose: str) -> bytes:
    """Return 32 bytes for one purpose from a high-entropy secret (HKDF-SHA256, RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"m365-mcp {purpose}".encode()).derive(secret.encode())


def make_cipher(keys: Sequence[str], fallback_secrets: Sequence[str]) -> RecordCipher:
    """Return the cipher of the store; the first key encrypts and all keys decrypt.

    Args:
        keys: Fernet keys.
        fallback_secrets: the source of derived keys. They encrypt only when `keys` is empty, and always decrypt, so
            that the server can read old records after the operator sets the first key.
    """
    derived = (base64.urlsafe_b64encode(derive(secret, "storage")).decode() for secret in fallback_secrets)
    return RecordCipher(*(Fernet(key) for key in (*keys, *derived)))
