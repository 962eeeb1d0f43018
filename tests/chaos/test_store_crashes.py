"""A server is killed after each Redis command of a token request, and the client goes on."""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.chaos.balancer import RoundRobin
from tests.chaos.lab import Lab, opened_lab
from tests.chaos.light_client import LightClient
from tests.chaos.redis_proxy import Hook, RedisProxy
from tests.chaos.replicas import Replicas, make_replicas
from tests.e2e.programs import Redis, Server, Simulator

VICTIMS = 3
TRIES = 3  # on a busy machine a lease may run out under a request, which then has fewer commands than another
Prepare = Callable[[LightClient], Awaitable[dict[str, str]]]


@dataclass(frozen=True)
class Victim:
    """A server that is killed and started again and again, and the way to it alone."""

    owner: str
    server: Server
    http: httpx2.AsyncClient


@asynccontextmanager
async def victims(lab: Lab) -> AsyncIterator[asyncio.Queue[Victim]]:
    """Yield those that are alive; the first server of the lab is not among them and survives."""
    waiting: asyncio.Queue[Victim] = asyncio.Queue()
    async with AsyncExitStack() as stack:
        for number, port in list(enumerate(lab.replicas.balancer.ports))[1:]:
            http = httpx2.AsyncClient(transport=RoundRobin([port]), trust_env=False, timeout=30)
            waiting.put_nowait(Victim(str(number), lab.replicas.servers[number], await stack.enter_async_context(http)))
        yield waiting


@pytest.fixture
async def crash_lab(simulator: Simulator, redis: Redis, proxy: RedisProxy, tmp_path: Path) -> AsyncIterator[Lab]:
    """A server that survives and some that do not, all with their own way to Redis; nobody asks their probes."""
    urls = [await proxy.url_for(str(number)) for number in range(1 + VICTIMS)]
    replicas = make_replicas(tmp_path, simulator, urls)
    await replicas.start()
    async with opened_lab(Replicas(replicas.public_url, replicas.servers, replicas.balancer), redis, simulator) as lab:
        yield lab
    await asyncio.gather(*(replicas.kill(server) for server in replicas.servers))


async def code_form(client: LightClient) -> dict[str, str]:
    verifier = secrets.token_urlsafe(48)
    await client.register()
    return client.code_form(await client.code(verifier), verifier)


async def refresh_form(client: LightClient) -> dict[str, str]:
    await client.sign_in()
    return client.refresh_form


async def answered(client: LightClient, form: dict[str, str]) -> httpx2.Response:
    """Send the form again until the answer is none that says later."""
    while (reply := await client.token(form)) is None or reply.status_code == 503:  # noqa: ASYNC110 - a pause
        await asyncio.sleep(0.2)
    return reply


async def dies(lab: Lab, proxy: RedisProxy, victim: Victim, form: dict[str, str], at: int) -> bool:
    """Send the form to the victim, which dies when its command number `at` is carried out; return whether it did."""
    proxy.forget(victim.owner)
    proxy.on_command(victim.owner, Hook(at, lambda: victim.server.program.send(signal.SIGKILL)))
    client = lab.client()
    client.http = victim.http
    reply = await client.token(form)
    proxy.forget(victim.owner)  # a hook that was not reached must not meet the server's next start
    return reply is None


async def commands_of(lab: Lab, proxy: RedisProxy, victim: Victim, prepare: Prepare) -> list[str]:
    """Return the Redis commands of one token request, in order."""
    form = await prepare(lab.client())
    proxy.forget(victim.owner)
    reply = await victim.http.post(f"{lab.replicas.public_url}/token", data=form)
    assert reply.status_code == 200
    return list(proxy.counted[victim.owner])


async def places_to_die(lab: Lab, proxy: RedisProxy, victim: Victim, prepare: Prepare) -> list[int]:
    """Return the numbers of the commands of one token request after which the store is not as it was before.

    Of reads in a row the first will do, and of a transaction, which is sent in one piece, its end. A write outside of
    transactions, such as that of a lease, changes the store by itself.
    The shortest of some requests counts: a longer one waited for a lease or had its server's own work beside it.
    """
    measured = [await commands_of(lab, proxy, victim, prepare) for _ in range(TRIES)]
    commands = min(measured, key=len)
    places, is_queued = [], False
    for number, (before, now) in enumerate(zip(["", *commands], commands, strict=False), start=1):
        is_queued = now == "MULTI" or (is_queued and now != "EXEC")
        if not is_queued and (now != before or now in ("SET", "DEL")):
            places.append(number)
    return places


@pytest.mark.full
@pytest.mark.parametrize("prepare", [code_form, refresh_form], ids=["code", "refresh"])
@pytest.mark.timeout(240)
async def test_s13_server_killed_at_any_command_leaves_nothing_stuck(
    crash_lab: Lab, proxy: RedisProxy, prepare: Prepare
) -> None:
    """E13/S13: the server dies after each Redis command of /token: the client repeats the request and goes on.

    A code that was taken before the crash is good no more, and the client signs in anew; a refresh token always is.
    The repeated request goes to another replica, the call after it to the server that died, started again.
    """
    outcomes: dict[int, tuple[bool, int, bool]] = {}

    async def one(at: int, waiting: asyncio.Queue[Victim]) -> None:
        client, victim = crash_lab.client(), await waiting.get()
        for _ in range(TRIES):
            form = await prepare(client)
            if died := await dies(crash_lab, proxy, victim, form, at):
                break
        reply = await answered(client, form)
        if reply.status_code == 200:
            client.take(reply)
        else:
            await client.sign_in()
        await crash_lab.replicas.kill(victim.server)
        await crash_lab.replicas.start_one(victim.server)
        client.http = victim.http
        outcomes[at] = died, reply.status_code, await client.call()
        waiting.put_nowait(victim)

    async with victims(crash_lab) as waiting:
        first = await waiting.get()
        places = await places_to_die(crash_lab, proxy, first, prepare)
        waiting.put_nowait(first)
        crash_lab.replicas.balancer.ports = crash_lab.replicas.balancer.ports[:1]
        await asyncio.gather(*(one(at, waiting) for at in places))

    assert len(places) >= 6
    assert {at: outcome for at, outcome in outcomes.items() if not (outcome[0] and outcome[2])} == {}
    refused = [at for at, outcome in outcomes.items() if outcome[1] != 200]
    assert refused in ([], [places[-1]] if prepare is code_form else [])
