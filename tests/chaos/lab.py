"""Two servers with one store, and clients for them, for tests that look at one fault at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
import redis as redis_py

from tests.chaos.balancer import RoundRobin
from tests.chaos.light_client import BehindBalancer, LightClient
from tests.chaos.replicas import Replicas
from tests.chaos.tally import Tally
from tests.e2e.programs import Redis, Simulator

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


@asynccontextmanager
async def opened_lab(replicas: Replicas, redis: Redis, simulator: Simulator) -> AsyncIterator[Lab]:
    """Open the way to servers that run, with a balancer of this event loop's own."""
    fresh = Replicas(replicas.public_url, replicas.servers, RoundRobin(replicas.balancer.ports))
    async with (
        fresh.balancer.watched(),
        httpx2.AsyncClient(transport=fresh.balancer, trust_env=False, timeout=60) as http,
    ):
        yield Lab(fresh, redis, simulator, http)
