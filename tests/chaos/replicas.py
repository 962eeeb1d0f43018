"""Several real server processes behind one public URL, with one store and the same keys."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet

from tests.chaos.balancer import RoundRobin
from tests.e2e.programs import Server, Simulator, free_port, make_server


@dataclass
class Replicas:
    """The processes and the way to them."""

    public_url: str
    servers: list[Server]
    balancer: RoundRobin

    async def start(self) -> None:
        """Start all of them and return once all are ready."""
        await asyncio.gather(*(self.start_one(server) for server in self.servers))

    async def start_one(self, server: Server, *, ready: bool = True) -> None:
        """Start one and return once it is ready, or only alive. The event loop goes on, for it may carry the store."""
        await asyncio.to_thread(server.start, ready=ready)

    async def drain(self, server: Server) -> int:
        """Tell one to stop and return its exit code."""
        return await asyncio.to_thread(server.program.end)

    async def kill(self, server: Server) -> None:
        """Kill one without a word."""
        await asyncio.to_thread(server.program.end, signal.SIGKILL)

    async def end(self) -> None:
        """Drain all of them."""
        codes = await asyncio.gather(*(self.drain(server) for server in self.servers))
        assert codes == [0] * len(self.servers)


def make_replicas(folder: Path, simulator: Simulator, redis_urls: Sequence[str], **changes: str) -> Replicas:
    """Return one server for each address of the store; nothing listens at the public URL itself."""
    public_url = f"http://localhost:{free_port()}"
    shared = {
        "MCP_SERVER_BASE_URL": public_url,
        "JWT_SIGNING_KEY": "one-signing-key-for-all-replicas-of-a-test",
        "STORAGE_ENCRYPTION_KEY": Fernet.generate_key().decode(),
        "MCP_SHUTDOWN_DELAY_SECONDS": "1",  # the balancer asks several times in a second
        **changes,
    }
    servers = []
    for url in redis_urls:
        server = make_server(folder, simulator, REDIS_URL=url, **shared)
        # Its own address, where its probes are asked; clients know the public one only.
        server.url = f"http://127.0.0.1:{server.program.environment['MCP_PORT']}"
        servers.append(server)
    ports = [int(server.program.environment["MCP_PORT"]) for server in servers]
    return Replicas(public_url, servers, RoundRobin(ports))
