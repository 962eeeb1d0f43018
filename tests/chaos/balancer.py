"""A load balancer as an HTTP transport: round robin over the replicas that are ready, as a Kubernetes service does it.

A replica whose /readyz says 503 gets no new calls. A refused connection is not an answer: no byte was sent, and the
next replica is asked. What breaks later is the client's to see.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import httpx2

PROBE_SECONDS = 0.25


class RoundRobin(httpx2.AsyncBaseTransport):
    """Sends each request to the next of these local ports that takes it."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.ports = tuple(ports)
        self.refused = 0
        self._out: set[int] = set()
        self._turn = 0
        # A connection a call, so that none is found closed when it is used again.
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
        self._direct = httpx2.AsyncHTTPTransport(verify=False, trust_env=False, limits=limits)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer with what the first replica says that takes the connection. Raises httpx2.ConnectError for none."""
        for port in self._in_turn():
            try:
                return await self._direct.handle_async_request(_sent_to(request, port))
            except httpx2.ConnectError:
                self.refused += 1
        raise httpx2.ConnectError("no replica takes connections", request=request)

    def skip(self) -> None:
        """Pass over a replica."""
        self._turn += 1

    def _in_turn(self) -> list[int]:
        self.skip()
        ready = [port for port in self.ports if port not in self._out]
        first = self._turn % len(ready) if ready else 0
        return ready[first:] + ready[:first]

    async def aclose(self) -> None:
        """Do nothing: many clients share this transport, and `watched` closes it."""

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Ask the probes all the time, and close everything at the end."""
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            await self._direct.aclose()

    async def _watch(self) -> None:
        limits = httpx2.Limits(max_keepalive_connections=0)
        async with httpx2.AsyncClient(verify=False, trust_env=False, limits=limits) as http:
            while True:
                await asyncio.gather(*(self._probe(http, port) for port in self.ports))
                await asyncio.sleep(PROBE_SECONDS)

    async def _probe(self, http: httpx2.AsyncClient, port: int) -> None:
        try:
            ready = (await http.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200
        except httpx2.TimeoutException:
            return  # a busy machine; a probe has to fail several times in a row
        except httpx2.HTTPError:
            ready = False
        (self._out.discard if ready else self._out.add)(port)


def _sent_to(request: httpx2.Request, port: int) -> httpx2.Request:
    """Return the request for one replica; its Host header stays the public one."""
    url = request.url.copy_with(host="127.0.0.1", port=port)
    return httpx2.Request(
        request.method, url, headers=request.headers, stream=request.stream, extensions=request.extensions
    )
