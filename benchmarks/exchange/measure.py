"""One measurement in a process of its own: reads an order, runs the calls, writes what came of them.

Run as `python -m benchmarks.exchange.measure ORDER OUTCOME`, two JSON files.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import jwt
from pydantic import TypeAdapter

from benchmarks.exchange.contenders import CONTENDERS, ClosedInUse, Exchange, Person
from benchmarks.exchange.scenarios import Scenario

REST_SECONDS = 0.5  # after the last call, before sockets are counted; the simulator hangs up idle ones after 5


@dataclass(frozen=True)
class Order:
    """What to measure: who runs which scenario with which people, and the settings of a server for it."""

    contender: str
    scenario: Scenario
    people: list[Person]
    variables: dict[str, str]


@dataclass(frozen=True)
class Outcome:
    """What the calls came to.

    Attributes:
        seconds: from the first call to the last answer.
        failures: how many calls failed, by kind.
        sockets: open connections to Entra afterwards.
        store_sockets: open connections to the store afterwards.
    """

    seconds: float
    failures: dict[str, int]
    sockets: int
    store_sockets: int


async def measure(order: Order) -> Outcome:
    """Start the replicas, run all calls and look at what is left."""
    async with AsyncExitStack() as stack:
        contender = CONTENDERS[order.contender]
        replicas = [await stack.enter_async_context(contender(order.variables)) for _ in range(order.scenario.replicas)]
        started = time.perf_counter()
        failures = await _run(order, replicas)
        seconds = time.perf_counter() - started
        await asyncio.sleep(REST_SECONDS)
        return Outcome(seconds, failures, *_open_sockets(order.variables))


async def _run(order: Order, replicas: list[Exchange]) -> dict[str, int]:
    turns = asyncio.Semaphore(order.scenario.at_once)

    async def serve(person: Person) -> list[str | None]:
        async with turns:
            calls = (_call(replica, person) for replica in replicas for _ in range(order.scenario.calls))
            return await asyncio.gather(*calls)

    kinds = await asyncio.gather(*(serve(person) for person in order.people))
    return Counter(kind for each in kinds for kind in each if kind is not None)


async def _call(exchange: Exchange, person: Person) -> str | None:
    """Return what kind of failure the call was, or None; a token of somebody else is one, too."""
    try:
        token = await exchange(person)
    except Exception as error:  # whatever it is, it is what is counted here
        return str(error) if isinstance(error, ClosedInUse) else type(error).__name__
    claims = jwt.decode(token, options={"verify_signature": False})
    return None if claims["oid"] == person.object_id else "token of somebody else"


def _open_sockets(variables: Mapping[str, str]) -> tuple[int, int]:
    """Return how many connections this process holds to Entra and to the store."""
    peers = Counter(_peer_port(int(name)) for name in os.listdir("/dev/fd") if name.isdigit())
    return peers[urlsplit(variables["AZURE_AUTHORITY_HOST"]).port], peers[urlsplit(variables["REDIS_URL"]).port]


def _peer_port(descriptor: int) -> int | None:
    try:
        with socket.socket(fileno=os.dup(descriptor)) as connection:
            address = connection.getpeername()
    except OSError:
        return None  # a file, or a socket without a peer
    return address[1] if isinstance(address, tuple) else None


def main() -> None:
    """Measure what the order says."""
    order = TypeAdapter(Order).validate_json(Path(sys.argv[1]).read_bytes())
    outcome = asyncio.run(measure(order))
    Path(sys.argv[2]).write_bytes(TypeAdapter(Outcome).dump_json(outcome))


if __name__ == "__main__":
    main()
