"""`m365-mcp doctor` at a Redis that answers a PING and does not serve: a user without rights, a replica, a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.programs import Redis, Simulator, make_redis, make_server
from tests.e2e.test_doctor import Setup
from tests.redis_cluster import Cluster, admin, running_cluster

ALL = ("~*", "+@all", "-@dangerous", "+info")  # what the advice says
UNREACHED = ("public_url", "warn", "public_url_unreachable")  # the server does not run


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A Redis of the test's own, whose users it changes."""
    redis = make_redis(tmp_path)
    redis.start()
    yield redis
    assert redis.program.end() == 0


def wrong_at(redis: Redis, folder: Path, simulator: Simulator, *rules: str) -> list[tuple[str, str, str]]:
    """Return what fails or warns for a user with these rights at a Redis."""
    url = redis.url
    if rules:
        with admin(redis) as client:
            client.execute_command("ACL", "SETUSER", "limited", "on", ">pw", *rules)  # type: ignore[no-untyped-call]
        url = f"redis://limited:pw@127.0.0.1:{redis.port}/0"
    server = make_server(folder, simulator, REDIS_URL=url)
    found = Setup(folder, simulator, redis, server).wrong()
    return [one for one in found if one != UNREACHED]


@pytest.mark.parametrize("rules", [("~*", "+ping", "+info"), ("~*", "+@all", "-ping"), ("~other:*", "+@all")])
def test_user_without_rights_is_told_from_a_wrong_password(
    redis: Redis, simulator: Simulator, tmp_path: Path, rules: tuple[str, ...]
) -> None:
    """Commands are missing, or the keys; with what the advice says nothing is."""
    assert wrong_at(redis, tmp_path, simulator, *rules) == [("store_connection", "fail", "store_permission_missing")]
    assert wrong_at(redis, tmp_path, simulator, "reset", "on", ">pw", *ALL) == []


def test_replica_is_found(redis: Redis, simulator: Simulator, tmp_path: Path) -> None:
    """It can be read, and accepts no changes."""
    (tmp_path / "replica").mkdir()
    replica = make_redis(tmp_path / "replica", "--replicaof", f"127.0.0.1 {redis.port}", "--masterauth", Redis.password)
    replica.start()

    assert wrong_at(replica, tmp_path, simulator) == [("store_connection", "fail", "store_is_replica")]
    assert replica.program.end() == 0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes; REDIS_URL names the second."""
    with running_cluster(tmp_path_factory.mktemp("cluster"), shared=True) as cluster:
        yield cluster


@pytest.mark.full
def test_every_node_of_a_cluster_is_examined(cluster: Cluster, simulator: Simulator, tmp_path: Path) -> None:
    """The worst one counts, whichever REDIS_URL names."""
    named, other = cluster.nodes[1], cluster.nodes[2]

    assert wrong_at(named, tmp_path, simulator) == []
    with admin(other) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    assert wrong_at(named, tmp_path, simulator) == [("store_eviction", "fail", "store_evicts")]
    with admin(other) as client:
        client.config_set("maxmemory-policy", "noeviction")


@pytest.mark.full
def test_user_that_may_not_ask_for_the_slots_is_found(cluster: Cluster, simulator: Simulator, tmp_path: Path) -> None:
    """Keys of other nodes would be an outage."""
    found = wrong_at(cluster.nodes[1], tmp_path, simulator, "~*", "+@all", "-cluster|slots")

    assert found == [("store_connection", "fail", "store_permission_missing")]
