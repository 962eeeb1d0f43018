"""What the HTTP clients of the tests trust: a client that reads the authorities of the machine costs 50 ms."""

from __future__ import annotations

import functools
import ssl

NO_AUTHORITY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # for clients that only speak HTTP without TLS


@functools.cache
def trusting(ca_file: str) -> ssl.SSLContext:
    """Return a context that trusts this authority and no other, the same one for the same file."""
    return ssl.create_default_context(cafile=ca_file)
