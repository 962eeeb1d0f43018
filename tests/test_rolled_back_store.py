"""Somebody writes to Redis without the key, while two replicas of the whole server use it."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis as redis_py
from rich.console import Console

from m365_mcp import settings
from m365_mcp.app import assemble
from m365_mcp.commands import sessions as command
from m365_mcp.container import build_container
from m365_mcp.errors import RateLimited
from m365_mcp.mail import MessageRequest
from m365_mcp.sending.send_strategy import SendReceipt
from tests.audit.reading import of_class, problems
from tests.e2e.programs import Redis
from tests.inprocess import ADA, GRACE, SERVER, SETTINGS, Network, Tokens, World, running

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")  # py-key-value 0.4.6


@dataclass(frozen=True)
class Writer:
    """Who can write to Redis, and has no key."""

    redis: redis_py.Redis

    def copy(self, kind: str) -> dict[bytes, bytes]:
        """Return what is stored of one kind."""
        return {name: self.redis.get(name) for name in self.redis.scan_iter(f"{kind}:*")}  # type: ignore[misc]

    def put_back(self, kind: str, copy: dict[bytes, bytes]) -> None:
        """Replace all that is stored of one kind by a copy."""
        for name in self.redis.scan_iter(f"{kind}:*"):
            self.redis.delete(name)
        for name, value in copy.items():
            self.redis.set(name, value)


@dataclass(frozen=True)
class Lab:
    """Two replicas, their store, and who writes to it."""

    one: World
    other: World
    writer: Writer
    stored: dict[str, Any]


@asynccontextmanager
async def lab(redis: Redis, **changes: Any) -> AsyncIterator[Lab]:
    with redis_py.Redis.from_url(redis.url) as client:
        client.flushall()
        stored = {"redis_url": redis.url, **changes}
        async with running(**stored) as one, replica_of(one, stored) as other:
            yield Lab(one, other, Writer(client), stored)


@asynccontextmanager
async def replica_of(world: World, stored: dict[str, Any]) -> AsyncIterator[World]:
    """Run another replica, or the same one after a restart."""
    network = Network()
    network.transports |= {name: world.network.transports[name] for name in ("microsoft", "uploads", "control")}
    container = build_container(settings.load(**{**SETTINGS, **stored}), network)
    server = assemble(container)
    network.transports["server"] = httpx2.ASGITransport(server)
    try:
        yield World(container, world.simulator, network, server)
    finally:
        await container.close()


async def is_signed_in(world: World, tokens: Tokens) -> bool:
    """Return whether a call with the access token is let in."""
    return await world.container.auth.load_access_token(tokens.access) is not None


async def refresh(world: World, tokens: Tokens) -> httpx2.Response:
    form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh, "client_id": tokens.client_id}
    return await world.token(**form, scope="mcp-access")


async def send(world: World, tokens: Tokens, key: str | None = "k", to: str = GRACE) -> SendReceipt:
    outbox = await world.outbox(tokens)
    message = await outbox.compose(MessageRequest(to=[to], subject="Figures", body="<p>Hi</p>"))
    return await outbox.send(message, idempotency_key=key, allow_duplicate=False)


async def test_h10_session_that_was_signed_out_stays_out_when_its_record_is_put_back(redis: Redis) -> None:
    """The replica that ended it refuses its token and removes it, so that the other one refuses it as well."""
    async with lab(redis) as one:
        tokens = await one.one.sign_in()
        old = one.writer.copy("m365-sessions")
        before = await is_signed_in(one.one, tokens)
        async with one.one.http() as http:
            await http.post("/revoke", data={"token": tokens.access, "client_id": tokens.client_id})
        one.writer.put_back("m365-sessions", old)
        one.writer.put_back("m365-session-endings", {})

        assert before
        assert [await is_signed_in(world, tokens) for world in (one.one, one.other)] == [False, False]
        assert (await refresh(one.other, tokens)).status_code == 401
        assert one.writer.copy("m365-sessions") == {}


async def test_h10_session_that_an_operator_ended_stays_out_where_it_was_missed(redis: Redis) -> None:
    """The command is another process: each replica that used the session and then missed it goes on refusing it."""
    async with lab(redis, mcp_session_cache_seconds=0) as one:
        tokens = await one.one.sign_in()
        old = one.writer.copy("m365-sessions")
        before = [await is_signed_in(world, tokens) for world in (one.one, one.other)]
        await command.end(
            settings.load(**{**SETTINGS, **one.stored}), Console(file=io.StringIO()), ADA, everybody=False
        )
        missed = [await is_signed_in(world, tokens) for world in (one.one, one.other)]
        one.writer.put_back("m365-sessions", old)
        one.writer.put_back("m365-session-endings", {})

        assert (before, missed) == ([True, True], [False, False])
        assert [await is_signed_in(world, tokens) for world in (one.one, one.other)] == [False, False]


async def test_h10_used_refresh_token_stays_used(redis: Redis) -> None:
    """With the session of before its use put back, a used refresh token ends the session, as it does without."""
    async with lab(redis, mcp_refresh_grace_seconds=0) as one:
        tokens = await one.one.sign_in()
        old = one.writer.copy("m365-sessions")
        first = await refresh(one.one, tokens)
        newer = Tokens(tokens.client_id, first.json()["access_token"], first.json()["refresh_token"])
        one.writer.put_back("m365-sessions", old)
        works = [await is_signed_in(world, newer) for world in (one.one, one.other)]
        [session_id] = [name.decode().partition(":")[2] for name in old]
        session = await one.other.container.sign_ins.sessions.find(session_id)

        assert first.status_code == 200
        assert works == [True, True]
        assert session is not None
        assert session.current.number == 2
        assert (await refresh(one.other, tokens)).status_code == 401
        assert one.writer.copy("m365-sessions") == {}


async def test_h10_deleted_record_of_a_send_is_no_second_mail(redis: Redis, tmp_path: Path) -> None:
    """The same call is a repeat, also on the other replica after the first has put the record back; it is recorded."""
    file = tmp_path / "audit"
    async with lab(redis, m365_audit=f"file:{file}") as one:
        tokens = await one.one.sign_in()
        await send(one.one, tokens)
        one.writer.put_back("m365-sends", {})
        again = [await send(world, tokens) for world in (one.one, one.other)]
        sent = await one.one.sent()
        counted = one.one.container.metrics.registry.get_sample_value(
            "m365_mcp_store_rollbacks_total", {"collection": "m365-sends"}
        )

    records = [record for record in of_class(file, 6003) if record["api"]["operation"] == "store.rolled_back"]
    assert [receipt.is_repeat for receipt in again] == [True, True]
    assert len(sent) == 1
    assert counted == len(records) == 1
    assert [problems(record) for record in records] == [[]]
    assert (records[0]["status"], records[0]["unmapped"]["collection"]) == ("missing", "m365-sends")


async def test_h10_after_a_restart_only_the_records_tell_of_a_second_mail(redis: Redis) -> None:
    """As docs/security.md says: where no process lives that saw the send, a deleted record is a second mail."""
    async with lab(redis) as one:
        tokens = await one.one.sign_in()
        await send(one.one, tokens)
        one.writer.put_back("m365-sends", {})
        async with replica_of(one.one, one.stored) as restarted:
            again = await send(restarted, tokens)

        assert not again.is_repeat
        assert len(await one.one.sent()) == 2


async def test_h10_deleted_counts_lift_no_limit(redis: Redis) -> None:
    """A replica goes by what it has counted itself, as often as the counts are deleted."""
    async with lab(redis, m365_send_person_hourly=3) as one:
        tokens = await one.one.sign_in()
        for number in range(3):
            await send(one.one, tokens, f"k{number}")
            one.writer.put_back("m365-counts", {})
        with pytest.raises(RateLimited):
            await send(one.one, tokens, "k3")

        assert len(await one.one.sent()) == 3


async def test_h10_used_upload_link_works_once(redis: Redis) -> None:
    """The record of an upload link from before its use makes it usable on neither replica."""
    async with lab(redis, m365_toolsets="attachments") as one:
        tokens = await one.one.sign_in()
        outbox = await one.one.outbox(tokens)
        access = await one.one.container.auth.load_access_token(tokens.access)
        assert access is not None
        uploads = one.one.container.services.uploads.for_person(outbox, access.claims["session"])
        request = MessageRequest(to=[GRACE], subject="Figures", body="<p>Hi</p>")
        pending = await uploads.begin(request, [{"name": "a.pdf"}])
        old = one.writer.copy("m365-upload-tickets")
        path = pending.links[0].url.removeprefix(SERVER)
        async with one.one.http() as http, one.other.http() as elsewhere:
            first = await http.put(path, content=b"%PDF-1.7 figures")
            one.writer.put_back("m365-upload-tickets", old)
            again = [await client.put(path, content=b"%PDF-1.7 others") for client in (http, elsewhere)]

        assert first.status_code == 201, first.text
        assert [reply.status_code for reply in again] == [410, 410]


async def test_h10_warm_call_asks_redis_no_more_than_before(redis: Redis) -> None:
    """Letting in a call of somebody who is signed in costs one command of Redis, whatever this replica remembers."""
    async with lab(redis, mcp_session_cache_seconds=0) as one:
        tokens = await one.one.sign_in()
        asked = []
        for world in (one.one, one.other, one.other):
            one.writer.redis.config_resetstat()
            await is_signed_in(world, tokens)
            found: Any = one.writer.redis.info("commandstats")
            asked.append({name: stat["calls"] for name, stat in found.items() if name.startswith("cmdstat_get")})

        assert asked == [{"cmdstat_get": 1}] * 3
