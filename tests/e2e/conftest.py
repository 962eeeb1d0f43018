"""Real processes for the end-to-end tests, shared within a test worker and reset for each test."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import redis as redis_py

from tests.e2e.attaching import AttachingPerson
from tests.e2e.grants import KEYS, Grant, assistant_at, signed_in
from tests.e2e.outlook import Outlook, outlook_of
from tests.e2e.person import Assistant, PersonAtBrowser, done
from tests.e2e.programs import (
    Redis,
    Server,
    Simulator,
    end_all,
    forget_sends,
    make_redis,
    make_server,
    start_simulator,
)


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    """End what a test started and did not end, also when it failed."""
    yield
    end_all(shared=False)


@pytest.fixture(scope="session")
def shared_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    simulator = start_simulator(tmp_path_factory.mktemp("simulator"))
    simulator.program.shared = True
    yield simulator
    assert simulator.program.end() == 0


@pytest.fixture
def simulator(shared_simulator: Simulator) -> Simulator:
    """The simulator as it is when freshly started."""
    shared_simulator.control("POST", "reset")
    return shared_simulator


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    redis = make_redis(tmp_path_factory.mktemp("redis"))
    redis.program.shared = True
    redis.start()
    yield redis
    assert redis.program.end() == 0


@pytest.fixture
def no_session_left(shared_redis: Redis) -> Iterator[None]:
    """Have the test end every session that it begins; those of earlier tests may be there."""

    def sessions() -> set[str]:
        with redis_py.Redis.from_url(shared_redis.url, decode_responses=True) as client:
            return set(client.scan_iter("m365-sessions:*"))

    before = sessions()
    yield
    assert sessions() <= before


@pytest.fixture(autouse=True)
def nothing_was_sent(request: pytest.FixtureRequest) -> None:
    """Have no test meet the sends of an earlier one; the servers that share a store count what one person sends."""
    if "shared_redis" in request.fixturenames:
        forget_sends(request.getfixturevalue("shared_redis"))


@pytest.fixture(scope="session")
def shared_server(
    tmp_path_factory: pytest.TempPathFactory, shared_simulator: Simulator, shared_redis: Redis
) -> Iterator[Server]:
    server = make_server(tmp_path_factory.mktemp("server"), shared_simulator, REDIS_URL=shared_redis.url)
    server.program.shared = True
    server.start()
    yield server
    assert server.program.end() == 0


@pytest.fixture
def server(shared_server: Server, shared_redis: Redis, simulator: Simulator) -> Server:
    """A running server with a Redis, against a simulator in its first state; nothing has been sent yet."""
    forget_sends(shared_redis)
    return shared_server


@pytest.fixture
def ada(server: Server, simulator: Simulator) -> Assistant:
    """Ada's assistant, not yet signed in."""
    return Assistant(server.url, PersonAtBrowser(simulator.ready["ca_file"]))


@pytest.fixture
async def signed_in_ada(ada: Assistant, simulator: Simulator) -> Assistant:
    """Ada's assistant, signed in and with a Graph token in the server's hands; the simulator's log begins here."""
    result = await ada.call("get_my_profile")
    assert not result.is_error
    simulator.control("DELETE", "requests")
    return ada


@pytest.fixture(scope="session")
def shared_full_server(
    tmp_path_factory: pytest.TempPathFactory, shared_simulator: Simulator, shared_redis: Redis
) -> Iterator[Server]:
    changes = {"REDIS_URL": shared_redis.url, "M365_TOOLSETS": "drafts,replies,schedule,people"}
    server = make_server(tmp_path_factory.mktemp("full-server"), shared_simulator, **changes)
    server.program.shared = True
    server.start()
    yield server
    assert server.program.end() == 0


@pytest.fixture(scope="session")
def attaching_server(
    tmp_path_factory: pytest.TempPathFactory, shared_simulator: Simulator, shared_redis: Redis
) -> Iterator[Server]:
    """A server with the toolset `attachments`."""
    chosen = {"REDIS_URL": shared_redis.url, "M365_TOOLSETS": "attachments", **KEYS}
    server = make_server(tmp_path_factory.mktemp("attaching"), shared_simulator, **chosen)
    server.program.shared = True
    server.start()
    yield server
    assert server.program.end() == 0


@pytest.fixture(scope="session")
def whole_server(
    tmp_path_factory: pytest.TempPathFactory, shared_simulator: Simulator, shared_redis: Redis
) -> Iterator[Server]:
    """A server with every toolset."""
    chosen = {"REDIS_URL": shared_redis.url, "M365_TOOLSETS": "drafts,replies,schedule,people,attachments"}
    server = make_server(tmp_path_factory.mktemp("whole-server"), shared_simulator, **chosen)
    server.program.shared = True
    server.start()
    yield server
    assert server.program.end() == 0


@pytest.fixture
def full_server(shared_full_server: Server, shared_redis: Redis, simulator: Simulator) -> Server:
    """A running server with its toolsets switched on; nothing has been sent yet."""
    forget_sends(shared_redis)
    return shared_full_server


@pytest.fixture(scope="session")
def shared_writer(shared_full_server: Server, shared_simulator: Simulator) -> Assistant:
    """Ada's assistant, which has signed in at the server with the toolsets once for all tests."""
    shared_simulator.control("POST", "reset")
    assistant = assistant_at(shared_full_server, shared_simulator)
    asyncio.run(done(assistant, "get_my_profile"))
    shared_simulator.control("POST", "sign-ins", name="writer")
    return assistant


@pytest.fixture
def writer(shared_writer: Assistant, full_server: Server, simulator: Simulator) -> Assistant:
    """Ada's assistant at the server with the toolsets, signed in; nothing has been sent yet."""
    simulator.control("POST", "reset?sign_ins=writer")
    return shared_writer


@pytest.fixture
async def outlook(simulator: Simulator) -> AsyncIterator[Outlook]:
    """Ada's own Outlook, which knows nothing of the server."""
    async with outlook_of(simulator) as opened:
        yield opened


@pytest.fixture(scope="session")
def attaching_grant(attaching_server: Server, shared_simulator: Simulator) -> Grant:
    """The tokens of Ada, who has signed in at a server where files can be attached once for all tests."""
    shared_simulator.control("POST", "reset")
    grant = asyncio.run(signed_in(attaching_server, shared_simulator))
    shared_simulator.control("POST", "sign-ins", name="attaching")
    return grant


@pytest.fixture
def attaching_ada(
    attaching_server: Server, attaching_grant: Grant, shared_redis: Redis, simulator: Simulator
) -> AttachingPerson:
    """Ada, signed in at a server where files can be attached; nothing has been sent yet."""
    simulator.control("POST", "reset?sign_ins=attaching")
    forget_sends(shared_redis)
    return AttachingPerson(attaching_server, attaching_grant)
