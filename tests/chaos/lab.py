"""Two servers with one store, and clients for them, for tests that look at one fault at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
import redis as redis_py

from tests.chaos.balancer import RoundRobin
from tests.chaos.light_client import CALLBACK, BehindBalancer, LightClient
from tests.chaos.replicas import Replicas
from tests.chaos.tally import Tally
from tests.e2e.person import direct_client
from tests.e2e.programs import PATIENCE_SECONDS, Redis, Server, Simulator

ADA = "ada@contoso.example"


@dataclass
class Lab:
    """What such a test works with."""

    replicas: Replicas
    redis: Redis
    simulator: Simulator
    http: httpx2.AsyncClient

    def admin(self) -> redis_py.Redis:
        """Return a connection of the operator's own to Redis."""
        return redis_py.Redis.from_url(self.redis.url)

    def person(self, username: str = ADA) -> BehindBalancer:
        """Return somebody with a new browser."""
        ca_file = self.simulator.ready["ca_file"]
        return BehindBalancer(ca_file, username, self.replicas.public_url, self.replicas.balancer)

    def client(self, person: BehindBalancer | None = None) -> LightClient:
        """Return a client that knows nothing yet."""
        return LightClient(self.http, self.replicas.public_url, person or self.person(), Tally())

    async def signed_in(self) -> LightClient:
        """Return Ada's client, signed in and used once, with nothing noted."""
        client = self.client()
        await client.sign_in()
        assert await client.call()
        client.tally = Tally()
        return client

    @property
    def log(self) -> str:
        """What both servers have logged."""
        return "".join(server.log for server in self.replicas.servers)


async def begins_sign_ins(server: Server) -> None:
    """Return once the server takes registrations: for a second after an outage it may know of a store nearly full."""
    registration = {"redirect_uris": [CALLBACK]}
    async with direct_client() as http, asyncio.timeout(PATIENCE_SECONDS):
        while (await http.post(f"{server.url}/register", json=registration)).status_code == 503:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@asynccontextmanager
async def opened_lab(replicas: Replicas, redis: Redis, simulator: Simulator) -> AsyncIterator[Lab]:
    """Open the way to servers that run, with a balancer of this event loop's own."""
    fresh = Replicas(replicas.public_url, replicas.servers, RoundRobin(replicas.balancer.ports))
    async with (
        fresh.balancer.watched(),
        httpx2.AsyncClient(transport=fresh.balancer, trust_env=False, timeout=60) as http,
    ):
        yield Lab(fresh, redis, simulator, http)
