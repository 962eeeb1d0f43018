"""Nodes of a cluster that are dead, or silent as when their machines are dead."""

from __future__ import annotations

from pathlib import Path

import pytest

from m365_mcp.errors import StorageUnavailable
from m365_mcp.storage.records import Write
from tests.redis_cluster import Cluster, admin, freeze, is_ok, primary_of_first_slots, running_cluster, thaw
from tests.storage.test_redis_nodes import PEOPLE, VALUE, nodes_of, opened

pytestmark = pytest.mark.timeout(180)

OPTIONS = "--cluster-require-full-coverage", "no", "--cluster-replica-validity-factor", "0"
SILENT = 3


def key_at(cluster: Cluster, number: int) -> str:
    """Return the key of a person whose records the node has that was started with this number."""
    keys = (person.digest() for person in PEOPLE)
    return next(key for key in keys if cluster.owner(f"m365-sends:{key}") is cluster.nodes[number])


async def test_silent_nodes_are_an_outage_of_their_keys_only_and_end_with_a_failover(tmp_path: Path) -> None:
    """Keys of the other nodes do not wait, and those of a silent node are found at the replica that took over."""
    with running_cluster(tmp_path / "cluster", *OPTIONS, primaries=7, replicas=1) as cluster:
        storage = opened(cluster.nodes[1].url)
        lost, living = key_at(cluster, 0), key_at(cluster, 5)
        await storage.records.create(*(Write("m365-sends", key, VALUE, 600) for key in (lost, living)))
        for _ in range(6):  # the turn of the silent nodes comes next
            await nodes_of(storage).each()
        for node in cluster.nodes[:SILENT]:
            freeze(node)
        with pytest.raises(StorageUnavailable):
            await storage.records.read("m365-sends", lost)
        others = [await storage.records.read("m365-sends", living) for _ in range(SILENT)]
        for node in cluster.nodes[SILENT:]:
            node.program.wait_until(lambda node=node: primary_of_first_slots(node) == cluster.nodes[7].port)  # type: ignore[misc]
        found = await storage.records.read("m365-sends", lost)
        await storage.close()

    assert [one.value for one in (*others, found)] == [VALUE] * (SILENT + 1)


async def test_replica_takes_over_and_nothing_is_made_twice(tmp_path: Path) -> None:
    """While a primary is dead its keys are an error, those of the others work; then its replica has its keys."""
    with running_cluster(tmp_path / "cluster", "--cluster-require-full-coverage", "no", replicas=1) as cluster:
        storage = opened(cluster.url)
        here = next(person for person in PEOPLE if cluster.owner(f"m365-sends:{person.digest()}") is cluster.nodes[0])
        there = next(person for person in PEOPLE if cluster.owner(f"m365-sends:{person.digest()}") is cluster.nodes[2])
        writes = [Write("m365-sends", person.digest(), VALUE, 600) for person in (here, there)]
        assert None not in await storage.records.create(*writes)
        with admin(cluster.nodes[0]) as client:
            client.wait(1, 5000)
        cluster.nodes[0].program.end(9)

        with pytest.raises(StorageUnavailable):
            await storage.records.read("m365-sends", here.digest())
        other = await storage.records.read("m365-sends", there.digest())
        cluster.wait_until(lambda node: primary_of_first_slots(node) == cluster.nodes[3].port)
        again = await storage.records.create(*writes)
        cluster.nodes[0].start()
        found = await storage.records.read("m365-sends", here.digest())
        await storage.close()

    assert other.value == found.value == VALUE
    assert again == [None, None]


async def test_frozen_node_is_an_error_until_it_goes_on(tmp_path: Path) -> None:
    """Keys of a node that does not answer are an error within the limits; it goes on, and so does the store."""
    with running_cluster(tmp_path / "cluster", "--cluster-require-full-coverage", "no") as cluster:
        storage = opened(cluster.url)
        here = next(person for person in PEOPLE if cluster.owner(f"m365-sends:{person.digest()}") is cluster.nodes[0])
        await storage.records.create(Write("m365-sends", here.digest(), VALUE, 600))
        freeze(cluster.nodes[0])
        for _ in range(2):
            with pytest.raises(StorageUnavailable):
                await storage.records.read("m365-sends", here.digest())
        thaw(cluster.nodes[0])
        cluster.wait_until(is_ok)

        assert (await storage.records.read("m365-sends", here.digest())).value == VALUE
        await storage.close()
