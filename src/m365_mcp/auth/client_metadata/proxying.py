"""The HTTP clients that fetch documents: directly to a checked address, or through the operator's proxy."""

from __future__ import annotations

import ssl
from urllib.request import getproxies, proxy_bypass

import httpx2

from m365_mcp.auth.client_metadata.hosts import HostRules
from m365_mcp.auth.client_metadata.transport import CheckedTransport, Resolver
from m365_mcp.http_clients import plain_client


class DocumentClients:
    """Chooses the client for a host: the proxy of `HTTPS_PROXY` or `ALL_PROXY`, unless `NO_PROXY` names the host.

    A proxy resolves names itself, so only `HostRules` checks what it is asked for; its own rules decide the rest.

    Args:
        trust: the certificate authorities.
        rules: lift the check of addresses for hosts that the operator names.
    """

    def __init__(self, trust: ssl.SSLContext, rules: HostRules) -> None:
        self._resolver = Resolver()
        self._direct = plain_client(transport=CheckedTransport(trust, rules, self._resolver))
        proxies = getproxies()
        proxy = proxies.get("https") or proxies.get("all")
        self._proxied = plain_client(proxy=_with_scheme(proxy), verify=trust, trust_env=False) if proxy else None

    def client_for(self, host: str) -> httpx2.AsyncClient:
        """Return the client for a host."""
        return self._direct if self._proxied is None or proxy_bypass(host) else self._proxied

    async def close(self) -> None:
        """Close the connections."""
        self._resolver.close()
        await self._direct.aclose()
        if self._proxied is not None:
            await self._proxied.aclose()


def _with_scheme(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"
