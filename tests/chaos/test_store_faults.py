"""The store is killed, frozen, slow, read-only, empty or full, one after the other, and everybody stays signed in."""

from __future__ import annotations

import asyncio
import secrets
import signal
import statistics
from pathlib import Path

import httpx2
import pytest

from tests.chaos.lab import Lab, opened_lab
from tests.chaos.light_client import HEADERS, LIST, LightClient, Refreshed
from tests.chaos.redis_proxy import RedisProxy, Slowness
from tests.chaos.replicas import make_replicas
from tests.chaos.routes import FREE, ask_everywhere, expected
from tests.e2e.programs import Redis, Simulator, free_port

pytestmark = [pytest.mark.full, pytest.mark.timeout(120)]
ANSWERS_SECONDS = 2.5  # one attempt at the store; a page that reads twice may take two of them


def seconds(reply: httpx2.Response) -> float:
    return reply.elapsed.total_seconds()


def assert_all_say_when_to_come_back(replies: dict[str, httpx2.Response]) -> None:
    assert {name: reply.status_code for name, reply in replies.items()} == expected(503)
    away = {name: reply for name, reply in replies.items() if name not in FREE}
    assert [name for name, reply in away.items() if int(reply.headers.get("Retry-After", 0)) < 1] == []
    programs = ("mcp", "register", "authorize", "token, code", "token, refresh")
    assert {away[name].json()["error"] for name in programs} == {"temporarily_unavailable"}
    assert all("<html" in away[name].text for name in ("authorize, browser", "consent", "callback"))


async def together(client: LightClient, calls: int) -> list[httpx2.Response]:
    """Make so many calls at once."""
    body = {"jsonrpc": "2.0", "id": 1, "method": LIST[0], "params": LIST[1]}
    headers = {**HEADERS, "Authorization": f"Bearer {client.access_token}"}
    url = f"{client.public_url}/mcp"
    return await asyncio.gather(*(client.http.post(url, json=body, headers=headers) for _ in range(calls)))


@pytest.mark.full
async def test_s1_redis_killed_under_load_is_503_at_once_everywhere(lab: Lab) -> None:
    """E1/S1: Redis dies under load: every route says 503 and when to come back, and afterwards everybody goes on."""
    client = await lab.signed_in()
    load = asyncio.create_task(together(client, 60))

    lab.redis.program.end(signal.SIGKILL)
    under_load = await load
    replies = await ask_everywhere(client)
    lab.redis.start()
    went_on = [await client.call(), await client.renew(), await client.call()]

    assert_all_say_when_to_come_back(replies)
    assert statistics.median(seconds(reply) for reply in replies.values()) < 1
    assert max(seconds(reply) for reply in replies.values()) < ANSWERS_SECONDS
    assert {reply.status_code for reply in under_load} <= {200, 503}
    assert went_on == [True] * 3
    assert client.tally.forced_sign_ins == []


@pytest.mark.full
async def test_s2_frozen_redis_is_503_within_seconds_everywhere(lab: Lab) -> None:
    """E2/S2: Redis hangs: every route answers 503 after one attempt at it, and afterwards everybody goes on."""
    client = await lab.signed_in()

    lab.redis.program.send(signal.SIGSTOP)
    try:
        replies = await ask_everywhere(client)
    finally:
        lab.redis.program.send(signal.SIGCONT)
    went_on = [await client.call(), await client.renew(), await client.call()]

    assert_all_say_when_to_come_back(replies)
    assert seconds(replies["mcp"]) < ANSWERS_SECONDS + 0.5
    assert max(seconds(reply) for reply in replies.values()) < 2 * ANSWERS_SECONDS + 0.5
    assert went_on == [True] * 3
    assert client.tally.forced_sign_ins == []


@pytest.mark.full
async def test_s3_slow_redis_slows_calls_and_refuses_nobody(
    simulator: Simulator, redis: Redis, proxy: RedisProxy, tmp_path: Path
) -> None:
    """E3/S3: with 0.3 s a command and 5 s for one in a hundred, 99 of 100 calls end in 3 s; nobody has to sign in.

    A refresh asks the store many times; one that gets no answer in ten seconds is repeated and finds its tokens.
    """
    replicas = make_replicas(tmp_path, simulator, [await proxy.url_for("a"), await proxy.url_for("b")])
    await replicas.start()
    async with opened_lab(replicas, redis, simulator) as lab:
        clients = [await lab.signed_in() for _ in range(20)]
        proxy.slowness = Slowness(seconds=0.3, fraction=0.01, fraction_seconds=5)
        for _ in range(5):
            await asyncio.gather(*(client.call(LIST) for client in clients))
        refreshed = await asyncio.gather(*(refreshed_at_last(client) for client in clients))
        proxy.slowness = Slowness()
    await proxy.close()
    await asyncio.gather(*(replicas.kill(server) for server in replicas.servers))

    answers = [answer for client in clients for answer in client.tally.answers]
    calls = [answer for answer in answers if answer.path == "/mcp"]
    assert [answer for answer in calls if not answer.is_right] == []
    assert sorted(answer.seconds for answer in calls)[int(len(calls) * 0.99) - 1] < 3
    assert refreshed == ["done"] * len(clients)


async def refreshed_at_last(client: LightClient) -> Refreshed:
    """Refresh, and again while the server says later or nothing."""
    while (refreshed := await client.refresh()) == "later":
        continue
    return refreshed


@pytest.mark.full
async def test_s4_bursts_of_calls_are_not_mistaken_for_an_outage(lab: Lab) -> None:
    """E4/S4: 101 and 300 calls at once all succeed; of 1,000 none is refused, at most told to come back."""
    client = await lab.signed_in()

    small = [reply.status_code for burst in (101, 300) for reply in await together(client, burst)]
    large = await together(client, 1000)

    assert set(small) == {200}
    assert {reply.status_code for reply in large} <= {200, 503}
    assert all("Retry-After" in reply.headers for reply in large if reply.status_code == 503)


async def test_s5_read_only_redis_serves_reads_and_keeps_everybody(lab: Lab) -> None:
    """E5/S5: during a failover Redis takes no writes: calls go on, what must be written waits, and nobody is lost."""
    client = await lab.signed_in()
    with lab.admin() as admin:
        admin.execute_command("REPLICAOF", "127.0.0.1", free_port())
        try:
            called = await client.call()
            replies = await ask_everywhere(client)
        finally:
            admin.execute_command("REPLICAOF", "NO", "ONE")
    went_on = [await client.call(), await client.renew(), await client.call()]

    assert called
    assert [replies[name].status_code for name in ("mcp", "register", "token, refresh")] == [200, 503, 503]
    assert {reply.status_code for reply in replies.values()} <= {200, 302, 400, 401, 503}
    assert went_on == [True] * 3
    assert client.tally.forced_sign_ins == []


async def test_s6_lost_store_is_one_clean_sign_in(lab: Lab) -> None:
    """E6/S6: when everything stored is lost, a client hears 401 once, registers and signs in again, and goes on."""
    client = await lab.signed_in()
    old_client_id = client.client_id

    with lab.admin() as admin:
        admin.flushall()
    went_on = [await client.call(), await client.call(), await client.renew()]

    assert went_on == [True] * 3
    assert len(client.tally.forced_sign_ins) == 1
    assert [answer.status for answer in client.tally.wrong] == [401, 401]  # the call, and the refresh after it
    assert client.client_id != old_client_id


async def test_s6_forgotten_client_is_no_dead_end_in_the_browser(lab: Lab) -> None:
    """E6/S6: a browser sent by a client that is not known any more shows a page that says what to do."""
    client = await lab.signed_in()
    with lab.admin() as admin:
        admin.flushall()

    page = (await ask_everywhere(client))["authorize, browser"]

    assert page.status_code == 400
    assert "add it again, and connect" in page.text
    assert "<html" in page.text


async def test_s7_full_redis_serves_reads_and_burns_no_code(lab: Lab) -> None:
    """E7/S7: without memory calls go on, writes wait, and a code or refresh token that was refused works afterwards."""
    client, other = await lab.signed_in(), lab.client()
    await other.register()
    verifier = secrets.token_urlsafe(48)
    form = other.code_form(await other.code(verifier), verifier)

    with lab.admin() as admin:
        admin.config_set("maxmemory", "1mb")
        try:
            called = await client.call()
            replies = await ask_everywhere(client)
            refused = await other.token(form)
        finally:
            admin.config_set("maxmemory", "0")
    redeemed = await other.token(form)
    went_on = [await client.renew(), await client.call()]

    assert called
    assert [replies[name].status_code for name in ("mcp", "register", "token, refresh")] == [200, 503, 503]
    assert refused is not None
    assert refused.status_code == 503
    assert redeemed is not None
    assert redeemed.status_code == 200
    assert went_on == [True] * 2
    assert client.tally.forced_sign_ins == []
