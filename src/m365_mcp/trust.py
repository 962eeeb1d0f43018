"""The certificate authorities that the server trusts; a file of them takes about 30 ms to read, so it is read once."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path

import httpx2


@cache
def trust_of(ca_file: Path | None) -> ssl.SSLContext:
    """Return what outgoing connections verify servers with.

    Args:
        ca_file: a PEM file with certificate authorities; None: those that httpx2 brings.

    Raises:
        OSError: the file cannot be read, or contains no certificates (`ssl.SSLError`).
    """
    return ssl.create_default_context(cafile=ca_file) if ca_file else httpx2.create_ssl_context()
