"""The nodes of a Redis: one, or those of a cluster, which this module finds by itself.

A cluster spreads the keys over its nodes by hash slot (Redis Cluster specification, "Key distribution model"). Each
operation of the store has one key, or keys with one hash tag, so it runs at one node, with the same client as at a
Redis that is no cluster: the same pool, times, retries and transactions.

redis-py's own `RedisCluster` (8.1.0) is not used. Its asyncio transactions start a thread and an event loop for each
command, and after a lost connection they execute a transaction whose WATCH is gone, so that two replicas could both
make a change. Its pool fails instead of waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import AskError, ClusterDownError, MovedError, ResponseError, TryAgainError

from m365_mcp import logs, loopback
from m365_mcp.retries import jittered
from m365_mcp.storage.redis_slots import BROKEN, ask_for_slots

TRIES = 4
PAUSE_SECONDS = 0.1  # while a cluster elects a primary or moves a slot
_REFUSED: Final = (
    AskError,
    ClusterDownError,
    TryAgainError,
)  # by a cluster; nothing was done. MovedError is an AskError
_log = logs.get(__name__)
T = TypeVar("T")


class Address(NamedTuple):
    """Where a node listens."""

    host: str
    port: int


class Command(NamedTuple):
    """A command with one key, for a pipeline."""

    key: str
    queue: Callable[[Pipeline], object]


class RedisNodes:
    """Runs each operation at the node that has its key.

    It asks once whether there is a cluster (`CLUSTER SLOTS`), before the first operation, and again when a node refuses
    a key, does not respond, or when an operation was given up. Once it knows a cluster, it never takes a node for a
    Redis that is none: two servers with different ideas of where a key is could both make a change.

    Args:
        connect: returns the client for a node; for None the client of the address that the operator named.

    Attributes:
        named: the client of the address that the operator named.
        version: changes when a slot has another node.
    """

    def __init__(self, connect: Callable[[Address | None], Redis]) -> None:
        self._connect = connect
        self.named = connect(None)
        self._clients: dict[Address, Redis] = {}
        self._owners: Sequence[Redis | None] = ()  # by slot; empty: this is no cluster
        self._doubted: set[Redis] = set()  # nodes with an operation that was given up
        self._asking = asyncio.Lock()
        self._round = 0  # how many answers were taken in
        self._turn = 0  # how many questions were asked
        self.version = 0

    async def run(self, key: str, operation: Callable[[Redis], Awaitable[T]]) -> T:
        """Run an operation at the node that has `key`; again, where the cluster says that the key is elsewhere.

        Args:
            key: the key of the operation, or one of several with the same hash tag.
            operation: is given the client. It runs again after a refusal, which does nothing, and after a connection
                that was lost if another node has the key now; so does redis-py with a connection that was lost.

        Raises:
            redis.RedisError, OSError: the node does not respond, or the cluster does not serve the slot.
        """
        pause = PAUSE_SECONDS
        for left in reversed(range(TRIES)):
            client = await self._client_of(key)
            try:
                return await operation(client)
            except _REFUSED as error:
                await self._follow(error, client)
                if left == 0 or not self._owners:
                    raise
                if not isinstance(error, MovedError):
                    await asyncio.sleep(jittered(pause, pause))
                    pause *= 2
            except BROKEN:
                if left == 0 or not await self._has_moved(key, client):
                    raise
            except asyncio.CancelledError:
                self._doubted.add(client)  # it may have stopped responding
                raise
        raise AssertionError("unreachable")  # pragma: no cover

    async def run_each(self, commands: Sequence[Command]) -> list[Any]:
        """Run commands in no transaction: one round trip to each node that has a key; return their results in order.

        Raises:
            redis.RedisError, OSError: the first failure; each command may or may not have been executed.
        """
        places: dict[int, tuple[Redis, list[int]]] = {}
        for place, command in enumerate(commands):
            client = await self._client_of(command.key)
            places.setdefault(id(client), (client, []))[1].append(place)
        if len(places) == 1:
            return await self._run_group(commands)
        groups = [[commands[place] for place in of_node] for _, of_node in places.values()]
        found = await _all(self._run_group(group) for group in groups)
        results: dict[int, Any] = {}
        for (_, of_node), answers in zip(places.values(), found, strict=True):
            results.update(zip(of_node, answers, strict=True))
        return [results[place] for place in range(len(commands))]

    async def _run_group(self, commands: Sequence[Command]) -> list[Any]:
        """Run commands of one node in one round trip, and one by one those that it refuses because of their slots."""

        async def send(client: Redis) -> list[Any]:
            answers: list[Any] = await _pipelined(client, commands)
            if all(isinstance(answer, _REFUSED) for answer in answers):
                raise answers[0]
            return answers

        answers = await self.run(commands[0].key, send)
        for place, (command, answer) in enumerate(zip(commands, answers, strict=True)):
            if isinstance(answer, _REFUSED):
                [answers[place]] = await self._run_group([command])
            elif isinstance(answer, Exception):
                raise answer
        return answers

    async def have_one_node(self, *keys: str) -> bool:
        """Return whether one node has all of these keys. Raises as `run` does."""
        return len({id(await self._client_of(key)) for key in keys}) == 1

    async def each(self) -> list[Redis]:
        """Return the clients of all nodes that have keys, as the cluster says now. Raises as `run` does."""
        if self._owners or not self._round:
            await self._ask(self._round)
        if not self._owners:
            return [self.named]
        if None in self._owners:
            raise ClusterDownError("CLUSTERDOWN Not all slots are served")
        return list({id(client): client for client in self._owners if client is not None}.values())

    async def close(self) -> None:
        """Close all connections."""
        for client in (self.named, *self._clients.values()):
            await client.aclose()

    async def _client_of(self, key: str) -> Redis:
        if not self._round:
            await self._ask(self._round)
        if not self._owners:
            return self.named
        slot = key_slot(key.encode())
        client = self._owners[slot]
        if client is None or client in self._doubted:
            await self._ask(self._round, avoided=client)
            client = self._owners[slot]
        if client is None:
            raise ClusterDownError("CLUSTERDOWN No node serves this slot")
        return client

    async def _follow(self, refusal: ResponseError, client: Redis) -> None:
        """Learn from a refusal where the slots are."""
        await self._ask(self._round, avoided=client if isinstance(refusal, ClusterDownError) else None)
        if not self._owners:
            _log.error("redis_is_a_cluster", advice="allow the Redis user CLUSTER SLOTS (ACL: +cluster|slots)")
        elif isinstance(refusal, MovedError):
            moved_to = self._client_at(Address(refusal.host or _host_of(client), refusal.port))
            owners = [*self._owners]
            owners[refusal.slot_id] = moved_to
            self._set_owners(owners)

    async def _has_moved(self, key: str, client: Redis) -> bool:
        """Return whether another node has the key now."""
        if not self._owners:
            return False
        await self._ask(self._round, avoided=client)
        return await self._client_of(key) is not client

    async def _ask(self, round_: int, avoided: Redis | None = None) -> None:
        """Ask the nodes where the slots are; concurrent callers share the answer.

        Each question begins with another node, so that a node with an old answer is not always the first. The node
        that the operator named is the second.
        """
        async with self._asking:
            if round_ != self._round:
                return
            known = [client for client in self._clients.values() if client is not avoided]
            first = self._turn % len(known) if known else 0
            known = known[first:] + known[:first]
            self._turn += 1
            try:
                found, client = await ask_for_slots((*known[:1], self.named, *known[1:]))
            except ResponseError as refusal:  # cluster mode is off, or the user may not ask
                if self._owners or isinstance(refusal, ClusterDownError):
                    raise ClusterDownError("CLUSTERDOWN No node tells where the slots are") from refusal
                found, client = (), self.named
            await self._take_in(found, client)

    async def _take_in(self, found: Sequence[Any], asked: Redis) -> None:
        """Note which node has which slots: `[first slot, last slot, [host, port, …] of the primary, …]` each.

        An address without a host is that of the node that was asked (Redis, "CLUSTER SLOTS").
        """
        owners: list[Redis | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        for first, last, (host, port, *_), *_replicas in found:
            client = self._client_at(Address(host or _host_of(asked), int(port)))
            owners[first : last + 1] = [client] * (last + 1 - first)
        used = {id(client) for client in owners}
        gone = [address for address, client in self._clients.items() if id(client) not in used]
        for client in [self._clients.pop(address) for address in gone]:
            await client.connection_pool.disconnect(inuse_connections=False)
        if not self._round:
            _log.info("redis_found", kind="cluster" if found else "one node", nodes=len(self._clients) or 1)
        self._set_owners(owners if found else ())
        self._doubted.clear()
        self._round += 1

    def _set_owners(self, owners: Sequence[Redis | None]) -> None:
        if owners != self._owners:
            self.version += 1
        self._owners = owners

    def _client_at(self, address: Address) -> Redis:
        if address not in self._clients:
            self._clients[address] = self._connect(address)
        return self._clients[address]


async def _pipelined(client: Redis, commands: Sequence[Command]) -> list[Any]:
    async with client.pipeline(transaction=False) as pipe:
        for command in commands:
            command.queue(pipe)
        return list(await pipe.execute(raise_on_error=False))


async def _all(calls: Iterable[Awaitable[T]]) -> list[T]:
    """Return what the calls return; wait for all of them before one's failure is raised."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


def _host_of(client: Redis) -> str:
    return str(client.connection_pool.connection_kwargs.get("host", loopback.HOSTS[0]))


class RoutedRedis(Redis):
    """A client for py-key-value's `RedisStore` (0.4.6), which wants a `Redis` and gives it commands with one key each.

    Seam: in redis-py 8.1.0 every command method calls `execute_command`, with the key after the name of the command.
    """

    def __init__(self, nodes: RedisNodes) -> None:
        super().__init__(connection_pool=nodes.named.connection_pool)
        self._nodes = nodes

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run a command at the node that has its key."""
        return await self._nodes.run(str(args[1]), lambda client: client.execute_command(*args, **options))  # type: ignore[no-untyped-call]
