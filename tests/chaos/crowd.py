"""Many signed-in clients that keep calling, each for a person of its own."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2

from tests.chaos.light_client import LIST, PROFILE, BehindBalancer, Call, LightClient
from tests.chaos.replicas import Replicas
from tests.chaos.tally import Tally
from tests.e2e.programs import Simulator

DOMAIN = "contoso.example"
RECOVERY_SECONDS = 30.0
CALLS: tuple[Call | str, ...] = (*[PROFILE] * 8, LIST, "refresh")  # what a client does, drawn by lot


class Crowd:
    """The clients, and what they see since `note_anew`.

    Args:
        clients: one for each person.
        pace: calls a second, on average, that all of them together begin when answers take no time.
        chance: decides what they do, and when.
    """

    def __init__(self, clients: list[LightClient], pace: float, chance: random.Random) -> None:
        self.clients = clients
        self.tally = Tally()
        self._pause = len(clients) / pace
        self._chance = chance
        self.note_anew()

    def note_anew(self) -> Tally:
        """Begin a new tally and return it."""
        self.tally = Tally()
        for client in self.clients:
            client.tally = self.tally
        return self.tally

    async def sign_in(self) -> None:
        """Sign everybody in, a few at a time, and let each make a first call."""
        turns = asyncio.Semaphore(4)

        async def one(client: LightClient) -> None:
            async with turns:
                await client.sign_in()
                await client.call()

        await asyncio.gather(*(one(client) for client in self.clients))

    @asynccontextmanager
    async def calling(self) -> AsyncIterator[None]:
        """Keep calling until the end of the block; what a client did not expect ends the block with that error."""
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(self._keep_calling(client)) for client in self.clients]
            try:
                yield
            finally:
                for task in running:
                    task.cancel()

    async def _keep_calling(self, client: LightClient) -> None:
        while True:
            call = self._chance.choice(CALLS)
            if call == "refresh" and client.refresh_token:
                await client.renew()
            await client.call(PROFILE if isinstance(call, str) else call)
            await asyncio.sleep(self._chance.uniform(0.5, 1.5) * self._pause)

    async def answered(self, times: int = 1) -> None:
        """Return once every client has had so many more answers, good or bad."""
        goal = {id(client): client.requests + times for client in self.clients}
        async with asyncio.timeout(RECOVERY_SECONDS * times):
            while any(client.requests < goal[id(client)] for client in self.clients):  # noqa: ASYNC110 - many tasks
                await asyncio.sleep(0.05)

    async def is_well(self) -> bool:
        """Return whether every client succeeds from now on, once more at least and within half a minute."""
        began = time.monotonic()
        while time.monotonic() < began + RECOVERY_SECONDS:
            if all(client.last_good > began for client in self.clients):
                return True
            await asyncio.sleep(0.05)
        return False


@asynccontextmanager
async def gathered(
    simulator: Simulator, replicas: Replicas, size: int, pace: float, chance: random.Random
) -> AsyncIterator[Crowd]:
    """Add so many people to the tenant and give each of them a client that is signed in."""
    names = [f"person{number:03}" for number in range(size)]
    for name in names:
        simulator.control("POST", "people", name=name)
    scopes = [f"https://graph.microsoft.com/{scope}" for scope in ("Mail.Send", "User.Read")]
    simulator.control("POST", "consents", scopes=scopes, admin=True)
    async with httpx2.AsyncClient(transport=replicas.balancer, trust_env=False, timeout=30) as http:
        people = [
            BehindBalancer(simulator.ready["ca_file"], f"{name}@{DOMAIN}", replicas.public_url, replicas.balancer)
            for name in names
        ]
        crowd = Crowd([LightClient(http, replicas.public_url, person, Tally()) for person in people], pace, chance)
        await crowd.sign_in()
        yield crowd
