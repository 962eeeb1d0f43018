"""Counts what a call costs others: round trips to Redis, and requests to Entra. They do not depend on the machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import httpx2

from benchmarks.bench import Bench, Replica
from benchmarks.contender import Contender
from benchmarks.processes import processor_seconds
from benchmarks.requests import requests_of
from benchmarks.sign_ins import Tokens, sign_in_all
from tests.chaos.redis_proxy import RedisProxy
from tests.trust import NO_AUTHORITY

TRIES = 4  # the fewest of some: a contender's own work may fall into one of them
REFRESHES = 60
OWNER = "contender"


@dataclass(frozen=True)
class Counts:
    """What one call asks of the store and of Entra, by name of the call; `refresh` is at the token endpoint."""

    round_trips: dict[str, int]
    refresh_at_entra: int


@dataclass(frozen=True)
class Refreshing:
    """What a refresh takes, one after the other: seconds, and seconds of the contender's processor."""

    seconds: float
    processor: float


async def count(bench: Bench, contender: Contender, person: str) -> Counts:
    """Start the contender with a counted way to Redis, sign a person in, and count warm calls."""
    proxy = RedisProxy(bench.redis)
    place = replace(bench.place(contender), redis_url=await proxy.url_for(OWNER))
    replica = Replica(contender, place, bench.cores.contender)
    try:
        await asyncio.to_thread(replica.start)
        [tokens] = await sign_in_all(place.public_url, place.ca_file, [person])
        round_trips = {name: await _fewest(proxy, _call(contender, name, place.public_url, tokens)) for name in CALLS}
        refresher = Refresher(place.public_url, tokens)
        round_trips["refresh"] = await _fewest(proxy, refresher.refresh)
        bench.simulator.control("DELETE", "requests")
        await refresher.refresh()
        return Counts(round_trips, bench.simulator.count(grant_type="refresh_token"))
    finally:
        await asyncio.to_thread(replica.stop)
        await proxy.close()


CALLS = ("profile", "list", "send")


def _call(contender: Contender, name: str, url: str, tokens: Tokens) -> Callable[[], Awaitable[None]]:
    next_request = requests_of(contender.calls[name], [tokens], contender.revision, f"{url}/mcp")

    async def call() -> None:
        head, _, body = next_request(0).raw.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        async with httpx2.AsyncClient(verify=NO_AUTHORITY, trust_env=False, timeout=30) as http:
            (await http.post(f"{url}/mcp", content=body, headers=headers)).raise_for_status()

    return call


async def _fewest(proxy: RedisProxy, call: Callable[[], Awaitable[None]]) -> int:
    await call()
    found = []
    for _ in range(TRIES):
        proxy.forget(OWNER)
        await call()
        found.append(proxy.round_trips[OWNER])
    return min(found)


class Refresher:
    """A client that renews its tokens again and again."""

    def __init__(self, url: str, tokens: Tokens) -> None:
        self._url = url
        self.tokens = tokens
        self._http = httpx2.AsyncClient(verify=NO_AUTHORITY, trust_env=False, timeout=30)

    async def refresh(self) -> None:
        """Renew them once; HTTPStatusError when the server refuses."""
        form = {"grant_type": "refresh_token", "refresh_token": self.tokens.refresh}
        reply = await self._http.post(f"{self._url}/token", data={**form, "client_id": self.tokens.client_id})
        found = reply.raise_for_status().json()
        self.tokens = replace(self.tokens, access=found["access_token"], refresh=found["refresh_token"])


async def time_refreshes(replica: Replica, tokens: Tokens, times: int = REFRESHES) -> tuple[Refreshing, Tokens]:
    """Renew one client's tokens so many times, one after the other; return the last ones, too."""
    refresher = Refresher(replica.place.public_url, tokens)
    await refresher.refresh()
    processor, began = processor_seconds([replica.pid]), time.perf_counter()
    for _ in range(times):
        await refresher.refresh()
    seconds = time.perf_counter() - began
    used = processor_seconds([replica.pid]) - processor
    return Refreshing(seconds / times, used / times), refresher.tokens
