"""Signs people in at the simulator, a few at a time, the way a browser and a server do it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

import httpx2

from benchmarks.exchange.contenders import Person
from tests.e2e.programs import Simulator
from tests.simulator.client import Client, read

AT_ONCE = 4


async def sign_in(simulator: Simulator, count: int, on_each: Callable[[], None] = lambda: None) -> list[Person]:
    """Add so many people to the simulator's tenant, sign them in, and call `on_each` after each."""
    trust = ssl.create_default_context(cafile=simulator.ready["ca_file"])
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> Person:
        async with turns:
            person = await _sign_in(simulator, trust, name)
            on_each()
            return person

    return await asyncio.gather(*(one(f"person-{number}") for number in range(count)))


async def _sign_in(simulator: Simulator, trust: ssl.SSLContext, name: str) -> Person:
    # Clients of their own: a cookie belongs to one person's browser.
    async with (
        httpx2.AsyncClient(base_url=simulator.ready["authority"], verify=trust, trust_env=False) as microsoft,
        httpx2.AsyncClient(base_url=simulator.ready["control"], trust_env=False) as tester,
        httpx2.AsyncClient(base_url=simulator.ready["upload"], verify=trust, trust_env=False) as uploads,
    ):
        client = Client(microsoft, tester, uploads)
        added = await client.control("POST", "people", {"name": name})
        tokens = await client.tokens(added["user_principal_name"])
    claims = read(tokens["access_token"])
    return Person(claims["tid"], claims["oid"], tokens["access_token"])
