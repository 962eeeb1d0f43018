"""The check of the port that the server listens on."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

import httpx2

from m365_mcp.commands.doctor.examination import Check, Depends
from m365_mcp.errors import Filled, PortInUse
from m365_mcp.loopback import reachable_netloc


@dataclass(frozen=True)
class PortCheck:
    """Whether the port is free, or held by a server with these settings.

    Attributes:
        host: the address to listen on.
        port: the port.
        instance: the instance id of a server with these settings.
        http: a client for this machine, which uses no proxy.
    """

    host: str
    port: int
    instance: str
    http: httpx2.AsyncClient

    def check(self) -> Check:
        """Return the check."""
        return Check("port", self.bind, ("settings",))

    async def bind(self) -> None:
        """Return when the port can be bound, or this same server holds it."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((self.host, self.port))
                return
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                where = {"port": str(self.port), "host": self.host}
                raise PortInUse(
                    Filled("This machine lets nobody listen on port %(port)s at %(host)s.", **where),
                    advice="Set MCP_PORT to a port above 1023, and MCP_HOST to an address of this machine.",
                ) from error
        holder = await self._holder()
        if holder == self.instance:
            return
        mistake = PortInUse(Filled("Another program listens on port %(port)s.", port=str(self.port)))
        if holder is None:
            raise mistake
        raise Depends(mistake, "client_credential")  # with a wrong one this same server has another instance id

    async def _holder(self) -> object:
        try:
            return (
                (await self.http.get(f"http://{reachable_netloc(self.host)}:{self.port}/livez")).json().get("instance")
            )
        except (httpx2.HTTPError, ValueError, AttributeError):
            return None
