"""The checks of Redis: the connection, and whether it keeps what it is given."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from m365_mcp.commands.doctor.examination import Check, Warn
from m365_mcp.commands.doctor.reaching import why_unreachable
from m365_mcp.errors import (
    CertificateNotTrusted,
    Filled,
    M365Error,
    NotChecked,
    StorageUnavailable,
    StoreEvicts,
    StoreFillsUp,
    StoreIsReplica,
    StoreNotPersistent,
    StorePasswordRejected,
    StorePermissionMissing,
    StoreSlow,
    TlsFailed,
)
from m365_mcp.loopback import HOSTS
from m365_mcp.storage.redis_client import connect
from m365_mcp.storage.redis_nodes import RedisNodes

SLOW_SECONDS = 0.1
FULL = 0.8
_PINGS = 5
_NAME_AUTHORITY = "Name a PEM file with the certificate authority in REDIS_URL: ?ssl_ca_certs=/path/to/file.pem."
_ALLOW_SLOTS = "Allow the Redis user of REDIS_URL to ask where the keys are (ACL: +cluster|slots)."
_UNTOLD = "Ask whoever runs Redis."


@dataclass
class StoreChecks:
    """The checks of the Redis at `url`, and of every node that has keys where it is a cluster.

    Attributes:
        url: the value of REDIS_URL.
        ping: returns when the store of the server responds. Raises StorageUnavailable.
    """

    url: str
    ping: Callable[[], Awaitable[None]]
    _nodes: RedisNodes = field(init=False)
    _redis: Redis = field(init=False)
    _clients: Sequence[Redis] = field(default=(), init=False)
    _infos: dict[int, dict[str, Any]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._nodes = RedisNodes(partial(connect, self.url))
        self._redis = self._nodes.named

    def checks(self) -> Iterator[Check]:
        """Yield the checks, each behind what it depends on."""
        after = ("store_connection",)
        yield Check("store_connection", self.connect, ("settings",))
        looks = {
            "store_latency": self.measure,
            "store_persistence": self.see_persistence,
            "store_eviction": self.see_eviction,
            "store_memory": self.see_memory,
        }
        for name, look in looks.items():
            yield Check(name, partial(self._ask_each, look), after)

    async def _ask_each(self, look: Callable[[Redis], Awaitable[None]]) -> None:
        """Look at every node; the worst outcome counts."""
        outcomes = [outcome for client in self._clients if (outcome := await _outcome(look, client)) is not None]
        if outcomes:
            raise max(outcomes, key=_severity)

    async def close(self) -> None:
        """Close the connections."""
        await self._nodes.close()

    async def connect(self) -> None:
        """Return when every node answers a PING, and the store of the server can be read."""
        await self._greet(self._redis)
        self._clients = await self._find_nodes()
        for client in self._clients:
            await self._greet(client)
        try:
            await self.ping()
        except StorageUnavailable as error:
            raise _of_refusal(error.__cause__) or _of_time(error.__cause__) or error from error

    async def _greet(self, client: Redis) -> None:
        try:
            await client.ping()
        except (RedisError, OSError) as error:
            raise await self._why(error, client) from error

    async def _find_nodes(self) -> list[Redis]:
        """Return the clients of all nodes that have keys. Raises M365Error for a replica or a cluster without slots."""
        try:
            info = await self._read_info(self._redis)
            if info.get("cluster_enabled") == 1:
                await self._redis.execute_command("CLUSTER SLOTS")  # type: ignore[no-untyped-call]
            elif info.get("role") == "slave":
                raise StoreIsReplica
            return await self._nodes.each()
        except (RedisError, OSError) as error:
            if _of_refusal(error):
                raise StorePermissionMissing(advice=_ALLOW_SLOTS) from error
            unserved = StorageUnavailable("The Redis cluster does not serve all of its keys.", advice=_UNTOLD)
            raise _of_time(error) or unserved from error

    async def _why(self, error: Exception, client: Redis) -> M365Error:
        if isinstance(error, AuthenticationError) or "NOAUTH" in str(error):
            return StorePasswordRejected()
        if refusal := _of_refusal(error):
            return refusal
        parts, options = urlsplit(self.url), client.connection_pool.connection_kwargs
        host, port = options.get("host", HOSTS[0]), options.get("port", 6379)
        if parts.scheme == "redis" and await _speaks_tls(host, port):
            return TlsFailed(
                Filled("Redis at %(host)s expects TLS.", host=host), advice="Write rediss:// in REDIS_URL."
            )
        if parts.scheme == "rediss" and await _speaks_plain(host, port):
            plain = Filled("Redis at %(host)s does not use TLS on this port.", host=host)
            return TlsFailed(plain, advice="Write redis:// in REDIS_URL.")
        why = why_unreachable(error, f"tcp://{host}:{port}")
        if isinstance(error, ResponseError):
            return StorageUnavailable("Redis responds to PING with an error.", advice=_UNTOLD)
        if isinstance(why, CertificateNotTrusted):
            if why.advice == CertificateNotTrusted.advice:
                why.advice = _NAME_AUTHORITY
            return why
        why.advice = "Check REDIS_URL, that Redis runs, and that this machine or pod may connect to it."
        return why

    async def measure(self, client: Redis) -> None:
        """Return when the middle one of five PINGs takes less than 100 ms."""
        seconds = []
        for _ in range(_PINGS):
            begun = time.monotonic()
            await client.ping()
            seconds.append(time.monotonic() - begun)
        middle = sorted(seconds)[_PINGS // 2]
        if middle > SLOW_SECONDS:
            raise StoreSlow(Filled("Redis takes %(number)s ms for a command.", number=f"{middle * 1000:.0f}"))

    async def see_persistence(self, client: Redis) -> None:
        """Return when Redis appends to a file, or saves from time to time."""
        info = await self._read_info(client)
        if info.get("aof_enabled") == 1:
            return
        save = await self._config(client, "save")
        if save is None:
            raise NotChecked("Redis does not tell whether it keeps anything on disk.", advice=_UNTOLD)
        if not save.strip():
            raise Warn(StoreNotPersistent())

    async def see_eviction(self, client: Redis) -> None:
        """Return when Redis removes nothing that has not expired."""
        info = await self._read_info(client)
        policy = info.get("maxmemory_policy") or await self._config(client, "maxmemory-policy")
        if policy is None:
            raise NotChecked("Redis does not tell what it does when its memory is full.", advice=_UNTOLD)
        if policy != "noeviction":
            form = "The maxmemory-policy of Redis is %(policy)s, which removes records of people."
            raise StoreEvicts(Filled(form, policy=str(policy)))

    async def see_memory(self, client: Redis) -> None:
        """Return when less than 80 percent of the memory is used."""
        info = await self._read_info(client)
        used, most = info.get("used_memory"), info.get("maxmemory")
        if not isinstance(used, int) or not isinstance(most, int):
            raise NotChecked("Redis does not tell how much memory it uses.", advice=_UNTOLD)
        if most and used / most >= FULL:
            percent = str(round(100 * used / most))
            raise Warn(StoreFillsUp(Filled("Redis has used %(percent)s percent of its memory.", percent=percent)))

    async def _read_info(self, client: Redis) -> dict[str, Any]:
        if id(client) not in self._infos:
            try:
                self._infos[id(client)] = dict(await client.info("everything"))
            except (ResponseError, NoPermissionError):
                self._infos[id(client)] = {}
        return self._infos[id(client)]

    async def _config(self, client: Redis, name: str) -> str | None:
        try:
            found = await client.config_get(name)
        except (ResponseError, NoPermissionError):
            return None  # managed Redis hides it
        value = found.get(name)
        return None if value is None else str(value)


async def _outcome(look: Callable[[Redis], Awaitable[None]], client: Redis) -> Warn | M365Error | None:
    """Return what is the matter with a node; None: nothing."""
    try:
        await look(client)
    except (Warn, M365Error) as outcome:
        return outcome
    except (RedisError, OSError):
        return StorageUnavailable("Redis stopped to answer while it was examined.", advice=_UNTOLD)
    return None


def _severity(outcome: Warn | M365Error) -> int:
    return 1 if isinstance(outcome, Warn) else 0 if isinstance(outcome, NotChecked) else 2


def _of_time(error: BaseException | None) -> StoreSlow | None:
    """Return what a time-out after a good PING means: connecting and asking take longer than the server waits."""
    is_late = isinstance(error, TimeoutError | RedisTimeoutError)
    return StoreSlow("Redis responds to PING, and too slowly for the server.") if is_late else None


def _of_refusal(error: BaseException | None) -> StorePermissionMissing | None:
    return StorePermissionMissing() if isinstance(error, NoPermissionError) else None


async def _speaks_tls(host: str, port: int) -> bool:
    """Return whether a TLS handshake with the port begins, whatever its certificate."""
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(2):
            _, writer = await asyncio.open_connection(host, port, ssl=trust)
    except ssl.SSLError as error:
        return "ALERT" in str(error).upper()  # it wants a certificate of ours, or another version, but TLS it is
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def _speaks_plain(host: str, port: int) -> bool:
    """Return whether the port answers an inline command of the Redis protocol without TLS."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"PING\r\n")
            answer = await reader.readline()
    except (OSError, TimeoutError):
        return False
    writer.close()
    return answer[:1] in (b"+", b"-")
