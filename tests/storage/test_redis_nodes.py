"""The store on a real cluster of three nodes, and on a Redis that is none: every operation runs where its keys are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from itertools import islice
from typing import Any

import pytest
from cryptography.fernet import Fernet
from redis.asyncio import BlockingConnectionPool
from redis.exceptions import ClusterDownError
from structlog.testing import capture_logs

from m365_mcp import settings
from m365_mcp.errors import StorageUnavailable
from m365_mcp.person import PersonId
from m365_mcp.storage import redis_client, redis_scan
from m365_mcp.storage.counters import Change
from m365_mcp.storage.dated_sets import Bounds
from m365_mcp.storage.encryption import RecordCipher
from m365_mcp.storage.opening import Storage, open_storage
from m365_mcp.storage.records import ABSENT, Versioned, Write
from m365_mcp.storage.redis_nodes import Address, RedisNodes
from tests.ids import IDS
from tests.redis_cluster import Cluster, admin, running_cluster, state

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning"),
]

KEY = Fernet(Fernet.generate_key())
PEOPLE = [PersonId("tenant", str(number)) for number in range(30)]  # on all three nodes
VALUE = {"a": 1}


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes for the tests that break none."""
    with running_cluster(tmp_path_factory.mktemp("cluster"), shared=True) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Cluster:
    """Those nodes with nothing stored."""
    shared_cluster.clear()
    return shared_cluster


def opened(url: str) -> Storage:
    chosen = settings.load(**{**IDS, "mcp_server_base_url": "https://mcp.example.com", "redis_url": url})
    return open_storage(chosen, RecordCipher(KEY))


@pytest.fixture
async def storage(cluster: Cluster) -> AsyncIterator[Storage]:
    """A store that was told one node only."""
    storage = opened(cluster.url)
    yield storage
    await storage.close()


def nodes_of(storage: Storage) -> RedisNodes:
    nodes = storage.records._backend._nodes  # type: ignore[attr-defined]
    assert isinstance(nodes, RedisNodes)
    return nodes


async def operate(storage: Storage, person: PersonId) -> list[Any]:
    """Do everything that a store can do, with a person's keys and with keys of nobody; return what came of it."""
    keys = person.record_key("a"), person.digest("b"), person.digest("c")
    writes = [Write("m365-sends", key, VALUE, 60) for key in keys]
    created = await storage.records.create(*writes)
    again = await storage.records.create(*writes)
    await storage.records.overwrite(*writes[1:], Write(writes[0].collection, writes[0].key, None))
    session = await storage.records.compare_and_swap("m365-sessions", person.digest(), ABSENT, VALUE, 60)
    assert session is not None
    changed = await storage.records.compare_and_swap("m365-sessions", person.digest(), session, {"a": 2}, 60)
    late = await storage.records.compare_and_swap("m365-sessions", person.digest(), session, {"a": 3}, 60)
    async with storage.leases.hold(f"mailbox.{person.digest()}", wait_seconds=1):
        held = await storage.leases.is_held(f"mailbox.{person.digest()}")
    counts = await storage.counters.add([Change(person.record_key(name), 60, {"x": 2}) for name in ("p", "q", "r")])
    await storage.counters.drop(person.record_key("p"), ["x"])
    await storage.dated_sets.add(person.record_key("set"), ["m"], 5.0, Bounds(3, 60))
    dates = await storage.dated_sets.dates(person.record_key("set"), ["m", "n"])
    await storage.client_storage.put(person.digest(), VALUE, collection="c", ttl=60)
    kept = await storage.client_storage.get(person.digest(), collection="c")
    deleted = [await storage.client_storage.delete(person.digest(), collection="c") for _ in range(2)]
    deleted.append(await storage.dated_sets.delete(person.record_key("set")))
    return [
        *(None if one is None else one.value for one in [*created, *again, changed, late]),
        held, counts, dates, kept, deleted,
    ]  # fmt: skip


DONE = [
    *[VALUE] * 3, *[None] * 3, {"a": 2}, None,
    True, [{"x": 2}] * 3, [5.0, None], VALUE, [True, False, True],
]  # fmt: skip


async def test_every_operation_crosses_no_slot_and_uses_all_nodes(storage: Storage, cluster: Cluster) -> None:
    """What a store can do it does on a cluster as on one node, for people whose keys are on all nodes."""
    done = [await operate(storage, person) for person in PEOPLE]
    numbers = [await storage.numbers.next("registrations") for _ in range(3)]
    listed = [key async for key in storage.records.keys("m365-sessions")]
    is_full = await storage.reserve.is_reached()

    assert done == [DONE] * len(PEOPLE)
    assert numbers == [1, 2, 3]
    assert sorted(listed) == sorted(person.digest() for person in PEOPLE)
    assert not is_full
    assert cluster.refusals() == {}
    found = cluster.keys()
    assert {node.port for node in found.values()} == {node.port for node in cluster.primaries}
    assert all(node is cluster.owner(key) for key, node in found.items())


async def test_concurrent_changes_of_one_record_are_one(storage: Storage, cluster: Cluster) -> None:
    """Of twenty replicas that create or change a record, one succeeds."""
    stores = [opened(node.url) for node in cluster.primaries]
    others = [store.records for store in stores]
    write = Write("m365-sends", "k", VALUE, 60)
    created = [one for [one] in await asyncio.gather(*(others[n % 3].create(write) for n in range(20))) if one]
    [stored] = created
    changes = (others[n % 3].compare_and_swap("m365-sends", "k", stored, {"a": n}, 60) for n in range(20))
    changed = [one for one in await asyncio.gather(*changes) if one is not None]
    for store in stores:
        await store.close()

    assert len(changed) == 1
    assert (await storage.records.read("m365-sends", "k")).value == changed[0].value


async def test_all_nodes_have_the_options_of_the_address(storage: Storage, cluster: Cluster) -> None:
    """Pool, times, retries and password of each node are those of a single Redis."""
    await storage.ping()
    named = nodes_of(storage).named.connection_pool
    pools = [client.connection_pool for client in await nodes_of(storage).each()]

    alike = ["username", "password", "db", "retry", "decode_responses", "health_check_interval", "protocol"]
    alike += ["socket_timeout", "socket_connect_timeout", "socket_keepalive"]
    assert {pool.connection_kwargs["port"] for pool in pools} == {node.port for node in cluster.primaries}
    for pool in pools:
        assert isinstance(pool, BlockingConnectionPool)
        assert (pool.max_connections, pool.timeout) == (64, 2.0)
        own, theirs = pool.connection_kwargs, named.connection_kwargs
        own, theirs = pool.connection_kwargs, named.connection_kwargs
        assert [own.get(name) for name in alike] == [theirs.get(name) for name in alike]


def test_node_without_a_name_has_the_certificate_of_the_named_one() -> None:
    """Over TLS, the certificate of a node that is known by its IP address must have the name in REDIS_URL."""
    connect = partial(redis_client.connect, "rediss://u:p@redis.example:10000/0")

    def told(address: Address | None) -> dict[str, Any]:
        connection = connect(address).connection_pool.make_connection()  # type: ignore[no-untyped-call]
        return dict(connection._connection_arguments())

    kinds = [told(None), told(Address("10.0.0.4", 8501)), told(Address("n1.example", 8502))]
    assert [(one["host"], one["port"], one.get("server_hostname")) for one in kinds] == [
        ("redis.example", 10000, None),
        ("10.0.0.4", 8501, "redis.example"),
        ("n1.example", 8502, None),
    ]
    assert all(one["ssl"].check_hostname for one in kinds)


async def test_moved_slot_is_followed(storage: Storage, cluster: Cluster) -> None:
    """After a slot has moved to another node, its keys are read and written there."""
    await operate(storage, PEOPLE[0])
    key = f"m365-counts:{PEOPLE[0].record_key('q')}"
    source = cluster.owner(key)
    target = next(node for node in cluster.primaries if node is not source)
    move_slot(cluster, key, source, target)
    counted = await storage.counters.add([Change(PEOPLE[0].record_key("q"), 60, {"x": 1})])
    move_slot(cluster, key, target, source)
    again = await storage.counters.add([Change(PEOPLE[0].record_key("q"), 60, {"x": 1})])

    assert (counted, again) == ([{"x": 3}], [{"x": 4}])


def move_slot(cluster: Cluster, key: str, source: Any, target: Any) -> None:
    """Move a slot with its keys, as `--cluster reshard` does (Redis Cluster specification, "Live reconfiguration")."""
    with admin(source) as old, admin(target) as new:
        slot = int(old.execute_command("CLUSTER KEYSLOT", key))  # type: ignore[no-untyped-call]
        ids = [client.execute_command("CLUSTER MYID").decode() for client in (old, new)]  # type: ignore[no-untyped-call]
        new.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[0])  # type: ignore[no-untyped-call]
        old.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[1])  # type: ignore[no-untyped-call]
        names = old.execute_command("CLUSTER GETKEYSINSLOT", slot, 100)  # type: ignore[no-untyped-call]
        old.migrate("127.0.0.1", target.port, names, 0, 5000, auth=target.password)
    rest = [node for node in cluster.primaries if node not in (source, target)]
    for node in (target, source, *rest):
        with admin(node) as client:
            client.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[1])  # type: ignore[no-untyped-call]
    epoch = state(target)["cluster_current_epoch"]  # until all nodes know it, the next move could have the same one
    cluster.wait_until(lambda node: state(node)["cluster_current_epoch"] == epoch)
    assert names


async def test_keys_whose_slot_moves_while_they_are_listed_are_listed_once(storage: Storage, cluster: Cluster) -> None:
    """A key that has moved to a node that was read before is found, and none comes twice."""
    writes = [Write("m365-sends", person.digest(), VALUE, 60) for person in PEOPLE]
    await storage.records.create(*writes)
    first, *_, last = cluster.primaries
    moving = next(name for write in writes if cluster.owner(name := f"m365-sends:{write.key}") is last)
    listing = storage.records.keys("m365-sends")
    listed = [await anext(listing)]
    move_slot(cluster, moving, last, first)
    listed += [key async for key in listing]
    move_slot(cluster, moving, first, last)

    assert cluster.owner(f"m365-sends:{listed[0]}") is first
    assert sorted(listed) == sorted(write.key for write in writes)


async def test_slots_that_do_not_come_to_rest_are_logged(storage: Storage, cluster: Cluster) -> None:
    """When a slot moves during each scan, the list ends, and the log says that keys may be missing."""
    first, *_, last = cluster.primaries
    keys = [person.digest() for person in PEOPLE]
    at_first = [key for key in keys if cluster.owner(f"m365-sends:{key}") is first][: redis_scan.SCANS]
    moving = next(key for key in keys if cluster.owner(f"m365-sends:{key}") is last)
    places, new = [first, last], iter(at_first)  # the slot moves back and forth
    await storage.records.create(*(Write("m365-sends", key, VALUE, 60) for key in (moving, next(new))))
    listed = []
    with capture_logs() as logged:
        async for key in storage.records.keys("m365-sends"):
            listed.append(key)
            if key in at_first:  # once in each scan
                places.reverse()
                move_slot(cluster, f"m365-sends:{moving}", *places)
                await storage.records.create(*(Write("m365-sends", key, VALUE, 60) for key in islice(new, 1)))
    move_slot(cluster, f"m365-sends:{moving}", *reversed(places))

    assert sorted(listed) == sorted([*at_first, moving])
    assert [line["event"] for line in logged] == ["keys_listed_incompletely"]


async def test_user_who_may_not_ask_is_told_what_to_allow(cluster: Cluster) -> None:
    """Without CLUSTER SLOTS the keys of the named node work, and the log says what the others need."""
    for node in cluster.primaries:
        with admin(node) as client:
            client.acl_setuser("narrow", enabled=True, passwords=["+x"], keys=["*"], commands=["+@all", "-cluster"])
    storage = opened(cluster.url.replace("default:p%40ss%2Fw%3Ard", "narrow:x"))

    reads = [storage.records.read("m365-sends", person.digest()) for person in PEOPLE]
    with capture_logs() as logged:
        results = await asyncio.gather(*reads, return_exceptions=True)
    await storage.close()
    assert {type(one) for one in results} == {Versioned, StorageUnavailable}
    assert "CLUSTER SLOTS" in next(line["advice"] for line in logged if line["event"] == "redis_is_a_cluster")


async def test_known_cluster_is_not_taken_for_a_single_redis(cluster: Cluster) -> None:
    """When no node may tell the slots any more, that is an outage, and no key is looked for at the named node."""
    for node in cluster.primaries:
        with admin(node) as client:
            client.acl_setuser("once", enabled=True, passwords=["+x"], keys=["*"], commands=["+@all"])
    storage = opened(cluster.url.replace("default:p%40ss%2Fw%3Ard", "once:x"))
    await storage.ping()
    known = await nodes_of(storage).each()
    for node in cluster.primaries:
        with admin(node) as client:
            client.acl_setuser("once", enabled=True, commands=["-cluster"])
    with pytest.raises(ClusterDownError):
        await nodes_of(storage).each()
    found = [(await storage.records.read("m365-sends", person.digest())).value for person in PEOPLE]
    await storage.close()

    assert (len(known), found) == (3, [None] * len(PEOPLE))
