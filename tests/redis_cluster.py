"""A real Redis cluster on this machine: primaries with an equal share of the hash slots, and replicas if asked."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import redis as redis_py
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from tests.e2e.programs import Redis, free_port, make_redis

NODE_TIMEOUT_MILLISECONDS = "1000"  # how long a primary may be away before its replica takes over
SLOT_ERRORS = ("CROSSSLOT", "ASK", "TRYAGAIN")


@dataclass
class Cluster:
    """The nodes; the first ones have the slots, in this order, and the others are replicas of the first.

    Args:
        nodes: all of them.
        slots: the first and the last slot of each primary.
    """

    nodes: list[Redis]
    slots: list[tuple[int, int]]

    @property
    def url(self) -> str:
        """The address of one node, which is all that a server is told."""
        return self.nodes[1].url

    @property
    def primaries(self) -> list[Redis]:
        return self.nodes[: len(self.slots)]

    def owner(self, key: str) -> Redis:
        """Return the node that has a key as long as no replica has taken over."""
        slot = key_slot(key.encode())
        return next(
            node for node, (first, last) in zip(self.primaries, self.slots, strict=True) if first <= slot <= last
        )

    def refusals(self) -> dict[str, Any]:
        """Return what the nodes have refused because of hash slots, other than by naming another node."""
        found: dict[str, Any] = {}
        for node in self.primaries:
            with admin(node) as client:
                errors = client.info("errorstats")
            found |= {name: count for name, count in errors.items() if name.rpartition("_")[2] in SLOT_ERRORS}
        return found

    def keys(self, pattern: str = "*") -> dict[str, Redis]:
        """Return the keys of all primaries, each with its node."""
        found: dict[str, Redis] = {}
        for node in self.primaries:
            with admin(node) as client:
                found |= {key.decode(): node for key in client.scan_iter(pattern)}
        return found

    def clear(self) -> None:
        """Delete all keys, and set the counts of errors and commands to nought."""
        for node in self.primaries:
            with admin(node) as client:
                client.flushall()
                client.config_resetstat()

    def wait_until(self, condition: Callable[[Redis], bool]) -> None:
        """Return once `condition` holds for every node that runs."""
        for node in self.nodes:
            if node.program.process is not None and node.program.process.poll() is None:
                node.program.wait_until(lambda node=node: condition(node))  # type: ignore[misc]


@contextmanager
def admin(node: Redis) -> Iterator[redis_py.Redis]:
    """Open a connection of the operator's own to one node."""
    with redis_py.Redis.from_url(node.url, socket_timeout=5) as client:
        yield client


def state(node: Redis) -> dict[str, str]:
    """Return CLUSTER INFO of one node; nothing while it does not answer."""
    try:
        with admin(node) as client:
            text: bytes = client.execute_command("CLUSTER", "INFO")  # type: ignore[no-untyped-call]
    except redis_py.RedisError:
        return {}
    return dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)


def is_ok(node: Redis) -> bool:
    return state(node).get("cluster_state") == "ok"


def primary_of_first_slots(node: Redis) -> int:
    """Return the port of the node that has the first slots, as `node` knows it."""
    ranges = sorted(_command(node, "CLUSTER", "SLOTS"))
    return int(ranges[0][2][1])


def _node(folder: Path, *options: str) -> Redis:
    folder.mkdir(parents=True)
    bus = ["--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--masterauth", Redis.password]
    return make_redis(folder, *bus, "--cluster-node-timeout", NODE_TIMEOUT_MILLISECONDS, *options)


def _command(node: Redis, *words: object) -> Any:
    with admin(node) as client:
        return client.execute_command(*words)  # type: ignore[no-untyped-call]


def _bus_port(node: Redis) -> str:
    arguments = node.program.arguments
    return arguments[arguments.index("--cluster-port") + 1]


@contextmanager
def running_cluster(
    folder: Path, *options: str, primaries: int = 3, replicas: int = 0, shared: bool = False
) -> Iterator[Cluster]:
    """Start a cluster, and end its programs by id.

    Args:
        folder: for the nodes' data and logs.
        options: of each node.
        primaries: how many nodes share the slots.
        replicas: how many replicas the first node has.
        shared: whether the cluster outlives the test that starts it.
    """
    nodes = [_node(folder / str(number), *options) for number in range(primaries + replicas)]
    ends = [REDIS_CLUSTER_HASH_SLOTS * number // primaries for number in range(primaries + 1)]
    cluster = Cluster(nodes, [(first, after - 1) for first, after in pairwise(ends)])
    for node in cluster.nodes:
        node.program.shared = shared
        node.start()
    for node, (first, last) in zip(cluster.primaries, cluster.slots, strict=True):
        _command(node, "CLUSTER", "ADDSLOTSRANGE", first, last)
    for node in cluster.nodes[1:]:
        _command(node, "CLUSTER", "MEET", "127.0.0.1", cluster.nodes[0].port, _bus_port(cluster.nodes[0]))
    count = str(len(cluster.nodes))
    cluster.wait_until(lambda node: is_ok(node) and state(node)["cluster_known_nodes"] == count)
    _follow(cluster)
    yield cluster
    for node in cluster.nodes:
        node.program.end(signal.SIGKILL)


def _follow(cluster: Cluster) -> None:
    """Have the replicas follow the first node, and return once they have its data."""
    first = _command(cluster.nodes[0], "CLUSTER", "MYID").decode()
    for replica in cluster.nodes[len(cluster.slots) :]:
        _command(replica, "CLUSTER", "REPLICATE", first)
        replica.program.wait_until(lambda node=replica: _is_in_step(node))  # type: ignore[misc]
    if len(cluster.nodes) > len(cluster.slots):
        cluster.wait_until(lambda node: len(_command(node, "CLUSTER", "SLOTS")[0]) > len(("first", "last", "primary")))


def _is_in_step(replica: Redis) -> bool:
    with admin(replica) as client:
        return bool(client.info("replication").get("master_link_status") == "up")


def freeze(node: Redis) -> None:
    """Stop a node's process, so that its connections stay open and nothing answers."""
    assert node.program.process is not None
    os.kill(node.program.process.pid, signal.SIGSTOP)


def thaw(node: Redis) -> None:
    """Let a frozen node go on."""
    assert node.program.process is not None
    os.kill(node.program.process.pid, signal.SIGCONT)
