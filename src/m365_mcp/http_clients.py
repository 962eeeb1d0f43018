"""The outgoing HTTP clients: the operator's proxy and certificate authorities, and no cookies."""

from __future__ import annotations

import ssl
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx2

from m365_mcp import __version__
from m365_mcp.settings import Settings

TIMEOUT = httpx2.Timeout(30.0, connect=3.0, pool=10.0)


def trust_of(settings: Settings) -> ssl.SSLContext | bool:
    """Return the certificate authorities to trust."""
    return ssl.create_default_context(cafile=settings.ssl_cert_file) if settings.ssl_cert_file else True


def make_http_client(settings: Settings, connections: int, kept: int) -> httpx2.AsyncClient:
    """Return a client for Microsoft's services.

    Args:
        settings: the settings of the server.
        connections: how many connections it has at most.
        kept: how many of them stay open without a request.
    """
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=kept)
    return plain_client(verify=trust_of(settings), limits=limits)


def plain_client(**options: Any) -> httpx2.AsyncClient:
    """Return a client that stores no cookies, because all people share it."""
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    headers = {"User-Agent": f"m365-mcp/{__version__}"}
    return httpx2.AsyncClient(cookies=no_cookies, timeout=TIMEOUT, headers=headers, **options)
