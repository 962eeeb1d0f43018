"""A simulator for all chaos tests of a worker, a Redis and a crowd's worth of processes for each."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.chaos.lab import Lab, begins_sign_ins, opened_lab
from tests.chaos.redis_proxy import RedisProxy
from tests.chaos.replicas import Replicas, make_replicas
from tests.e2e.conftest import nothing_left_running as nothing_left_running
from tests.e2e.conftest import shared_simulator as shared_simulator
from tests.e2e.conftest import simulator as simulator
from tests.e2e.programs import Redis, Simulator, make_redis


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A Redis of one test, which may be killed, frozen and filled."""
    redis = make_redis(tmp_path)
    redis.start()
    yield redis
    redis.program.end(signal.SIGKILL)


@pytest.fixture
async def proxy(redis: Redis) -> AsyncIterator[RedisProxy]:
    """A proxy in front of that Redis."""
    proxy = RedisProxy(redis)
    yield proxy
    await proxy.close()


@pytest.fixture(scope="module")
def lab_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A Redis that the tests of a file break and mend, one after the other."""
    redis = make_redis(tmp_path_factory.mktemp("redis"))
    redis.program.shared = True
    redis.start()
    yield redis
    redis.program.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def lab_replicas(
    tmp_path_factory: pytest.TempPathFactory, shared_simulator: Simulator, lab_redis: Redis
) -> Iterator[Replicas]:
    """Two servers of a file's tests; each call asks the store, because the tests look at what its trouble does."""
    folder, chosen = tmp_path_factory.mktemp("servers"), {"MCP_SESSION_CACHE_SECONDS": "0"}
    replicas = make_replicas(folder, shared_simulator, [lab_redis.url] * 2, **chosen)
    for server in replicas.servers:
        server.program.shared = True
        server.start()
    yield replicas
    assert [server.program.end() for server in replicas.servers] == [0, 0]


@pytest.fixture
async def lab(lab_replicas: Replicas, lab_redis: Redis, simulator: Simulator) -> AsyncIterator[Lab]:
    """Those servers with nothing stored, and a simulator in its first state."""
    async with opened_lab(lab_replicas, lab_redis, simulator) as lab:
        for server in lab_replicas.servers:  # an earlier test may have ended with the end of an outage
            server.wait_until_ready()
            await begins_sign_ins(server)
        with lab.admin() as admin:
            admin.flushall()
        yield lab
