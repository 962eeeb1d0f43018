"""What the chaos happens to: three servers, their store, the simulator and the crowd; and ways to look at it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import redis as redis_py

from tests.chaos.crowd import Crowd, gathered
from tests.chaos.replicas import Replicas, make_replicas
from tests.e2e.programs import Redis, Server, Simulator, make_redis

SERVERS = 3
EARLY_SECONDS = 300
"""How long before its end a token of Entra's is renewed."""
TOKEN_SECONDS = EARLY_SECONDS + 5
"""How long Entra's tokens live: each is due for renewal after five seconds, and a Graph token after half its life."""
SHORT_TOKEN_SECONDS = 6
"""How long they live in a phase that wants them to run out."""
REFRESH = "refresh_token"
EXCHANGE = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@dataclass
class World:
    """Everything there is."""

    simulator: Simulator
    redis: Redis
    replicas: Replicas
    crowd: Crowd
    chance: random.Random

    def any_server(self) -> Server:
        """Return one of the servers, by lot."""
        return self.chance.choice(self.replicas.servers)

    def admin(self) -> redis_py.Redis:
        """Return a connection of the operator's own to Redis."""
        return redis_py.Redis.from_url(self.redis.url, decode_responses=True)

    def requests(self, grant: str) -> Counter[str]:
        """Return how many requests with this grant Entra has carried out, by person."""
        seen: list[dict[str, Any]] = self.simulator.control("GET", "requests")
        done = [one for one in seen if one["status"] == 200 and one["fault"] is None]
        return Counter(str(one["person"]) for one in done if one["grant_type"] == grant)

    async def until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        """Return once the condition holds; it is about other processes and is asked again and again."""
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - other processes
                await asyncio.sleep(0.1)

    def count(self, *grants: str) -> dict[str, Counter[str]]:
        """Return what `requests` says of each of these grants."""
        return {grant: self.requests(grant) for grant in grants}

    async def everybody_has_more(self, before: dict[str, Counter[str]]) -> None:
        """Return once Entra has carried out each of these grants for everybody, beyond what was counted before."""
        size = len(self.crowd.clients)
        for grant, counted in before.items():
            await self.until(partial(self._has_grown, grant, counted, size), seconds=60)

    def _has_grown(self, grant: str, counted: Counter[str], size: int) -> bool:
        return len(self.requests(grant) - counted) >= size


@asynccontextmanager
async def opened(
    folder: Path, simulator: Simulator, *, clients: int, pace: float, chance: random.Random, **settings: str
) -> AsyncIterator[World]:
    """Start everything, sign everybody in and let them call until the end of the block."""
    redis = make_redis(folder)
    redis.start()
    simulator.control("PATCH", "app", expires_in=TOKEN_SECONDS)
    replicas = make_replicas(folder, simulator, [redis.url] * SERVERS, **settings)
    await replicas.start()
    async with (
        replicas.balancer.watched(),
        gathered(simulator, replicas, clients, pace, chance) as crowd,
        crowd.calling(),
    ):
        await crowd.answered()
        yield World(simulator, redis, replicas, crowd, chance)
    await replicas.end()
