"""How many registrations there are with which nobody has signed in, and which of them make room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count

import pytest
from cryptography.fernet import Fernet
from key_value.aio.stores.memory import MemoryStore

from m365_mcp.auth.unused_registrations import UnusedRegistrations
from m365_mcp.storage.backends import RedisBackend
from m365_mcp.storage.encryption import RecordCipher
from m365_mcp.storage.guard import Guard
from m365_mcp.storage.numbers import LocalNumbers, Numbers, RedisNumbers
from m365_mcp.storage.records import Records
from m365_mcp.storage.redis_client import connect
from tests.backends import make_records, one_node
from tests.e2e.programs import Redis
from tests.inprocess import running
from tests.web.apps import authorize, opened, register

KEY = Fernet(Fernet.generate_key())


@dataclass(frozen=True)
class Shared:
    """A store for replicas."""

    records: Records
    numbers: Numbers

    def replica(self, limit: int) -> UnusedRegistrations:
        return UnusedRegistrations(self.records, self.numbers, limit)


@pytest.fixture(params=["redis", "local"])
async def shared(request: pytest.FixtureRequest, redis: Redis) -> AsyncIterator[Shared]:
    if request.param == "local":
        yield Shared(make_records(), LocalNumbers(MemoryStore()))
        return
    client = connect(redis.url)
    await client.flushall()
    yield Shared(
        Records(RedisBackend(one_node(client), Guard()), RecordCipher(KEY)), RedisNumbers(one_node(client), Guard())
    )
    await client.aclose()


@pytest.mark.parametrize("planted", [("SET", "rubbish"), ("HSET", "f", "v"), ("SET", str(2**63 - 1))])
async def test_h3_number_that_is_none_begins_again(redis: Redis, planted: tuple[str, ...]) -> None:
    """Rubbish in the place of a number does not end registrations; the number begins again at one."""
    async with connect(redis.url) as client:
        numbers = RedisNumbers(one_node(client), Guard())
        await client.delete("m365-numbers:registrations")
        command, *values = planted
        await client.execute_command(command, "m365-numbers:registrations", *values)  # type: ignore[no-untyped-call]

        assert [await numbers.next("registrations") for _ in range(3)] == [1, 2, 3]


async def test_h3_numbers_are_counted_once_each(shared: Shared) -> None:
    """Fifty concurrent callers get fifty numbers without a gap."""
    numbers = await asyncio.gather(*(shared.numbers.next("n") for _ in range(50)))

    assert sorted(numbers) == list(range(1, 51))


async def test_h3_oldest_unused_registration_makes_room(shared: Shared) -> None:
    """Over two replicas the third registration after it drops the first, then the second; one in use stays."""
    one, other = shared.replica(3), shared.replica(3)

    dropped = [await replica.add(f"c{n}") for n, replica in zip(range(4), (one, other) * 2, strict=True)]
    used = await other.use("c1")
    more = [await one.add(f"d{n}") for n in range(3)]

    assert dropped == [None, None, None, "c0"]
    assert used
    assert more == [None, "c2", "c3"]
    assert not await one.use("c0")
    assert await one.use("c1")


@dataclass
class Tally:
    dropped: list[str] = field(default_factory=list)
    used: list[str] = field(default_factory=list)


async def test_h3_registration_is_used_or_dropped_and_never_both(shared: Shared) -> None:
    """While replicas register and sign people in at the same time, each registration comes to one end."""
    replicas, tally, names = [shared.replica(4) for _ in range(3)], Tally(), (f"c{n}" for n in count())

    async def register_and_use(replica: UnusedRegistrations, client_id: str) -> None:
        dropped = await replica.add(client_id)
        tally.dropped += [dropped] if dropped else []
        if await replica.use(client_id):
            tally.used.append(client_id)

    async def register_only(replica: UnusedRegistrations) -> None:
        dropped = await replica.add(next(names))
        tally.dropped += [dropped] if dropped else []

    for turn in range(15):
        await asyncio.gather(
            *(register_only(replica) for replica in replicas),
            *(register_and_use(replica, f"{turn}-{n}") for n, replica in enumerate(replicas)),
        )

    assert len(tally.dropped) == len(set(tally.dropped))
    assert set(tally.dropped) & set(tally.used) == set()
    assert len(tally.used) > 0
    # Everything was used or dropped, but for what holds a slot now.
    assert 90 - len(tally.dropped) - len(tally.used) <= 4


async def test_h3_operator_chooses_how_many_are_unused() -> None:
    """With MCP_MAX_UNUSED_REGISTRATIONS=3, the clients that registered first are unknown, and the last three begin."""
    async with opened(mcp_max_unused_registrations=3) as http:
        clients = [await register(http) for _ in range(5)]
        begun = [(await authorize(http, client)).status_code for client in clients]

    assert begun == [400, 400, 302, 302, 302]


async def test_h3_registration_of_a_person_who_signed_in_is_not_dropped() -> None:
    """After a flood of registrations the person's client refreshes, and the person signs in with it again."""
    async with running(mcp_max_unused_registrations=2) as world:
        tokens = await world.sign_in()
        flood = [(await world.register()).json()["client_id"] for _ in range(10)]
        form = {"grant_type": "refresh_token", "client_id": tokens.client_id, "refresh_token": tokens.refresh}
        refreshed = await world.token(**form)
        again = await world.redeem(tokens.client_id, await world.code(tokens.client_id))
        stored = [await world.container.auth.get_client(client_id) is not None for client_id in flood]

    assert refreshed.status_code == 200, refreshed.text
    assert again.status_code == 200
    assert stored == [False] * 8 + [True] * 2


async def test_h3_client_that_is_dropped_during_its_sign_in_registers_again() -> None:
    """Its code is refused with `invalid_client`, on which clients register anew."""
    async with running(mcp_max_unused_registrations=1) as world:
        client_id = (await world.register()).json()["client_id"]
        code = await world.code(client_id)
        await world.register()
        refused = await world.redeem(client_id, code)

    assert refused.status_code == 401
    assert refused.json()["error"] == "invalid_client"
