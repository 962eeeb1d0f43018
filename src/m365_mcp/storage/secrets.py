"""The server's own keys: what signs our tokens and what encrypts the store, given or derived.

Knows nothing of the rest of the project.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def derive(secret: str, purpose: str) -> bytes:
    """Return 32 bytes for one purpose from a high-entropy secret (HKDF-SHA256, RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"m365-mcp {purpose}".encode()).derive(secret.encode())


def make_fernet(keys: Sequence[str], fallback_secret: str) -> MultiFernet:
    """Return what encrypts the store.

    Args:
        keys: Fernet keys, the first encrypts and all decrypt.
        fallback_secret: what a key is derived from when `keys` is empty.
    """
    chosen = list(keys) or [base64.urlsafe_b64encode(derive(fallback_secret, "storage")).decode()]
    return MultiFernet([Fernet(key) for key in chosen])
