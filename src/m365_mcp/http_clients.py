"""The outgoing HTTP clients: the operator's proxy and certificate authorities, and no cookies."""

from __future__ import annotations

from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx2

from m365_mcp import __version__, tracing
from m365_mcp.settings import Settings
from m365_mcp.trust import trust_of

TIMEOUT = httpx2.Timeout(30.0, connect=3.0, pool=10.0)


def make_http_clients(
    settings: Settings, transport: httpx2.AsyncBaseTransport | None
) -> tuple[httpx2.AsyncClient, httpx2.AsyncClient]:
    """Return the clients for Entra ID and for Graph: two pools, so that a slow Graph does not delay sign-ins.

    Args:
        settings: the settings of the server.
        transport: replaces the network; for tests.
    """
    entra = httpx2.Limits(max_connections=100, max_keepalive_connections=10)
    graph = httpx2.Limits(max_connections=200, max_keepalive_connections=20)
    trust = trust_of(settings.ssl_cert_file)
    hooks = {"request": [_pass_trace_on]} if tracing.is_on() else {}
    return (
        plain_client(verify=trust, limits=entra, transport=transport, event_hooks=hooks),
        plain_client(verify=trust, limits=graph, transport=transport, event_hooks=hooks),
    )


async def _pass_trace_on(request: httpx2.Request) -> None:
    tracing.pass_on(request.headers)


def plain_client(**options: Any) -> httpx2.AsyncClient:
    """Return a client that stores no cookies, because all people share it."""
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    headers = {"User-Agent": f"m365-mcp/{__version__}"}
    return httpx2.AsyncClient(cookies=no_cookies, timeout=TIMEOUT, headers=headers, **options)
