"""The server's own keys: what signs our tokens and what encrypts the store, given or derived.

May know `storage.seal`.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from m365_mcp.storage.encryption import Seal


def derive(secret: str, purpose: str) -> bytes:
    """Return 32 bytes for one purpose from a high-entropy secret (HKDF-SHA256, RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"m365-mcp {purpose}".encode()).derive(secret.encode())


def make_seal(keys: Sequence[str], fallback_secrets: Sequence[str]) -> Seal:
    """Return what encrypts the store; the first key encrypts, all decrypt.

    Args:
        keys: Fernet keys.
        fallback_secrets: what keys are derived from that encrypt only when `keys` is empty, and decrypt in any case, so
            that naming a key for the first time loses nothing.
    """
    derived = (base64.urlsafe_b64encode(derive(secret, "storage")).decode() for secret in fallback_secrets)
    return Seal(*(Fernet(key) for key in (*keys, *derived)))
