"""A simulator for all chaos tests of a worker, a Redis and a crowd's worth of processes for each."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.chaos.redis_proxy import RedisProxy
from tests.e2e.conftest import nothing_left_running as nothing_left_running
from tests.e2e.conftest import shared_simulator as shared_simulator
from tests.e2e.conftest import simulator as simulator
from tests.e2e.programs import Redis, make_redis


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here, and keep it in one worker: each of these tests needs the machine for itself."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.xdist_group("chaos"))
