"""The ways in which the world is made to fail; each ends with everything in order again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.chaos.world import EXCHANGE, REFRESH, SHORT_TOKEN_SECONDS, TOKEN_SECONDS, World

REFRESHES: dict[str, Any] = {"grant_type": REFRESH}
EXCHANGES: dict[str, Any] = {"grant_type": EXCHANGE}
KEYS: dict[str, Any] = {"path": "*/discovery/v2.0/keys"}
PLACES = {"refresh": REFRESHES, "On-Behalf-Of": EXCHANGES, "keys": KEYS}
KINDS: dict[str, dict[str, Any]] = {
    "429": {"status": 429, "headers": {"Retry-After": "2"}, "body": {"error": "temporarily_unavailable"}},
    "503": {"status": 503},
    "HTML with 200": {"status": 200, "html": True},
    "HTML with 500": {"status": 500, "html": True},
    "silence": {"status": 503, "delay_seconds": 30},
    "reset": {"reset": True},
}


Faults = tuple[tuple[str, str], ...]
"""Pairs of a place and a kind."""


@dataclass(frozen=True)
class Phase:
    """One kind of trouble.

    Attributes:
        name: as the table shows it.
        strike: makes the trouble and ends it.
        cuts: a server dies without a word, so that what it was answering breaks off.
        signs_out: everything stored is lost, so that everybody signs in once more.
        renewals: how many more exchanges and refreshes somebody may need than in quiet times.
        short_tokens: tokens end in seconds, so that every call may need a refresh.
    """

    name: str
    strike: Callable[[World], Awaitable[None]]
    cuts: bool = False
    signs_out: bool = False
    renewals: int = 0
    short_tokens: bool = False


async def redis_is_killed(world: World) -> None:
    """Kill Redis, and start it again with what it wrote to disk."""
    world.redis.program.end(signal.SIGKILL)
    await world.crowd.answered(2)
    await asyncio.to_thread(world.redis.start)


async def redis_is_frozen(world: World) -> None:
    """Stop Redis in the middle of everything and let it go on."""
    world.redis.program.send(signal.SIGSTOP)
    try:
        await world.crowd.answered()
    finally:
        world.redis.program.send(signal.SIGCONT)


async def redis_is_full(world: World) -> None:
    """Leave Redis no memory to write anything."""
    with world.admin() as admin:
        admin.config_set("maxmemory-policy", "noeviction")
        admin.config_set("maxmemory", "1mb")
        await world.crowd.answered(4)
        admin.config_set("maxmemory", "0")


async def redis_takes_no_connections(world: World) -> None:
    """Break all connections and let nobody in."""
    with world.admin() as admin:
        before = admin.config_get("maxclients")["maxclients"]
        admin.config_set("maxclients", 1)
        admin.client_kill_filter(_type="normal", skipme=True)
        await world.crowd.answered(2)
        admin.config_set("maxclients", before)


async def server_is_killed(world: World) -> None:
    """Kill a server and start it again."""
    server = world.any_server()
    await world.replicas.kill(server)
    await world.crowd.answered(2)
    await world.replicas.start_one(server)


async def server_is_drained(world: World) -> None:
    """Tell a server to stop, which it does in order, and start it again."""
    server = world.any_server()
    assert await world.replicas.drain(server) == 0
    await world.crowd.answered()
    await world.replicas.start_one(server)


async def servers_are_replaced(world: World) -> None:
    """Replace one server after the other, as a rolling update does."""
    for server in world.replicas.servers:
        assert await world.replicas.drain(server) == 0
        await world.replicas.start_one(server)


async def entra_is_at_fault(world: World, faults: Faults) -> None:
    """Let Entra fail in these ways until tokens have run out everywhere, which takes seconds here.

    Keys are asked for when one is unknown, so the keys are rolled too, twice: the next one is known already.
    """
    places = {place for place, _ in faults}
    async with _short_tokens(world, exchanges="On-Behalf-Of" in places):
        try:
            armed = [_arm(world, place, kind, faults) for place, kind in faults]
            if "keys" in places:
                _roll_to_an_unknown_key(world)
            await world.until(lambda: _struck(world) >= set(armed))
            await world.until(lambda: _has_bitten(world, places))
            await world.crowd.answered()
        finally:
            world.simulator.control("DELETE", "faults")


def _has_bitten(world: World, places: set[str]) -> bool:
    """Return whether clients noticed; without keys a token is good that came from Entra itself."""
    return places == {"keys"} or any(answer.status != 200 or answer.code for answer in world.crowd.tally.answers)


def _roll_to_an_unknown_key(world: World) -> None:
    for _ in range(2):
        world.simulator.control("POST", "keys/roll")


@asynccontextmanager
async def _short_tokens(world: World, *, exchanges: bool) -> AsyncIterator[None]:
    """Give everybody tokens that end in seconds, and ordinary ones again afterwards.

    A Graph token would live on for long; an emergency roll of the keys makes it worthless, so that everybody gets one
    that is due for renewal in seconds.
    """
    grants = (REFRESH, EXCHANGE) if exchanges else (REFRESH,)
    before = world.count(*grants)
    world.simulator.control("PATCH", "app", expires_in=SHORT_TOKEN_SECONDS)
    if exchanges:
        world.simulator.control("POST", "keys/roll", emergency=True)
    await world.everybody_has_more(before)
    yield
    before = world.count(*grants)
    world.simulator.control("PATCH", "app", expires_in=TOKEN_SECONDS)
    await world.everybody_has_more(before)


def _arm(world: World, place: str, kind: str, faults: Faults) -> int:
    """Arm one fault; where several follow each other, all but the last strike a few times."""
    is_last = (place, kind) == [fault for fault in faults if fault[0] == place][-1]
    what = {"where": PLACES[place], "what": KINDS[kind], "times": None if is_last else 3}
    armed = world.simulator.control("POST", "faults", **what)
    return int(armed["id"])


def _struck(world: World) -> set[int]:
    return {armed["id"] for armed in world.simulator.control("GET", "faults") if armed["struck"]}


async def keys_are_rolled(world: World) -> None:
    """Sign with a key that was announced only now."""
    before = world.count(REFRESH)
    _roll_to_an_unknown_key(world)
    await world.everybody_has_more(before)


async def keys_are_rolled_in_an_emergency(world: World) -> None:
    """Sign with a key nobody has seen and withdraw all others: every token of Entra's is worth nothing at once."""
    before = world.count(REFRESH, EXCHANGE)
    world.simulator.control("POST", "keys/roll", emergency=True)
    await world.everybody_has_more(before)


async def redis_forgets(world: World) -> None:
    """Delete everything that is stored."""
    with world.admin() as admin:
        admin.flushall()
    size = len(world.crowd.clients)
    await world.until(lambda: len(set(world.crowd.tally.forced_sign_ins)) >= size)


STORE = (
    Phase("Redis killed, restarted", redis_is_killed),
    Phase("Redis frozen", redis_is_frozen),
    Phase("Redis out of memory", redis_is_full),
    Phase("Redis out of connections", redis_takes_no_connections),
)
KILLED = Phase("a server killed, restarted", server_is_killed, cuts=True)
DRAINED = Phase("a server drained, restarted", server_is_drained)
ROLLING = Phase("all servers replaced", servers_are_replaced)
ROLLS = (
    Phase("Entra's keys rolled", keys_are_rolled),
    Phase("Entra's keys rolled in an emergency", keys_are_rolled_in_an_emergency, renewals=1),
)
FLUSH = Phase("Redis flushed", redis_forgets, signs_out=True, renewals=1)


def entra_fault(*faults: tuple[str, str]) -> Phase:
    """Return the phase in which Entra fails at these places in these ways."""
    name = "Entra: " + ", ".join(f"{kind} at {place}" for place, kind in faults)
    return Phase(name, partial(entra_is_at_fault, faults=faults), renewals=1, short_tokens=True)


EACH_KIND_ONCE = (
    entra_fault(("refresh", "429"), ("refresh", "HTML with 500"), ("refresh", "reset")),
    entra_fault(("On-Behalf-Of", "HTML with 200"), ("On-Behalf-Of", "503"), ("keys", "silence")),
)
EVERY_FAULT_EVERYWHERE = tuple(entra_fault((place, kind)) for place in PLACES for kind in KINDS)

SHORT = (*STORE, KILLED, *EACH_KIND_ONCE, *ROLLS)
"""Each kind once, but for draining, which `ROLLING` has by itself."""
LONG = (*STORE, KILLED, DRAINED, ROLLING, *EVERY_FAULT_EVERYWHERE, *ROLLS)
