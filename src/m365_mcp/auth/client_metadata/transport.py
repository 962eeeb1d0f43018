"""Sends a request to an address that has been checked, so that DNS cannot answer differently the second time.

The transport resolves the name once, checks every address, and connects to one of them. TLS and the Host header still
have the name. It keeps no connection open, because httpx2 would use it for another host at the same address.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import httpx2

from m365_mcp.auth.client_metadata.hosts import HTTPS_PORT, HostRules, Target
from m365_mcp.auth.client_metadata.special_purpose import is_special_purpose

Resolve = Callable[[str, int], Awaitable[list[str]]]
CONNECT_SECONDS = 2.0  # for each address, so that a dead one leaves time for the next
_MAX_ADDRESSES = 4  # to try
_ONE_REQUEST_EACH = httpx2.Limits(max_keepalive_connections=0)


class NameNotResolved(httpx2.ConnectError):
    """DNS has no address for the name, or does not answer."""


class SpecialPurposeAddress(httpx2.ConnectError):
    """The name has an address of this machine, of a private network, or of another special-purpose range."""


class Resolver:
    """Asks DNS in threads of its own; a name server that never answers occupies only these."""

    def __init__(self, threads: int = 4) -> None:
        self._threads = ThreadPoolExecutor(threads, "client-metadata-dns")

    async def __call__(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host. Raises NameNotResolved."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, _look_up, host, port)
        except (OSError, UnicodeError) as error:
            raise NameNotResolved("the name has no address") from error
        return list(dict.fromkeys(found))

    def close(self) -> None:
        """Take no more questions."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> list[str]:
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class CheckedTransport(httpx2.AsyncBaseTransport):
    """Connects to checked addresses only.

    Args:
        trust: the certificate authorities.
        rules: lift the check for hosts that the operator names.
        resolve: returns the addresses of a host.
    """

    def __init__(self, trust: ssl.SSLContext, rules: HostRules, resolve: Resolve) -> None:
        self._inner = httpx2.AsyncHTTPTransport(verify=trust, trust_env=False, limits=_ONE_REQUEST_EACH)
        self._rules = rules
        self._resolve = resolve

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request to the first address that accepts a connection. Raises httpx2.HTTPError."""
        target = Target(request.url.host.lower().removesuffix("."), request.url.port or HTTPS_PORT)
        addresses = await self._resolve(target.host, target.port)
        if not self._rules.lift(target) and any(map(is_special_purpose, addresses)):
            raise SpecialPurposeAddress("the name has an address that nothing is fetched from")
        failure: httpx2.TransportError = NameNotResolved("the name has no address")
        for address in addresses[:_MAX_ADDRESSES]:
            try:
                return await self._inner.handle_async_request(_at(address, request))
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                failure = error
        raise failure

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


def _at(address: str, request: httpx2.Request) -> httpx2.Request:
    """Return the request for one address of its host; the Host header and the name in the certificate stay."""
    extensions = {**request.extensions, "sni_hostname": request.url.host}
    url = request.url.copy_with(host=address)
    return httpx2.Request(request.method, url, headers=request.headers, stream=request.stream, extensions=extensions)
