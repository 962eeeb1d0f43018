"""The checks of Redis: the connection, and whether it keeps what it is given."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from m365_mcp.commands.doctor.examination import Check, Warn
from m365_mcp.commands.doctor.reaching import why_unreachable
from m365_mcp.errors import (
    CertificateNotTrusted,
    M365Error,
    NotChecked,
    StorageUnavailable,
    StoreEvicts,
    StoreFillsUp,
    StoreNotPersistent,
    StorePasswordRejected,
    StoreSlow,
    TlsFailed,
)
from m365_mcp.loopback import HOSTS
from m365_mcp.storage.redis_client import connect

SLOW_SECONDS = 0.1
FULL = 0.8
_PINGS = 5
_NAME_AUTHORITY = "Name a PEM file with the certificate authority in REDIS_URL: ?ssl_ca_certs=/path/to/file.pem."
_UNTOLD = "Ask whoever runs Redis."


@dataclass
class StoreChecks:
    """The checks of the Redis at `url`."""

    url: str
    _redis: Redis = field(init=False)
    _info: dict[str, Any] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._redis = connect(self.url)

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
            yield Check(name, partial(_ask, look), after)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def connect(self) -> None:
        """Return when Redis answers a PING."""
        try:
            await self._redis.ping()
        except (RedisError, OSError) as error:
            raise await self._why(error) from error

    async def _why(self, error: Exception) -> M365Error:
        if isinstance(error, AuthenticationError | NoPermissionError) or "NOAUTH" in str(error):
            return StorePasswordRejected()
        parts = urlsplit(self.url)
        host, port = parts.hostname or HOSTS[0], parts.port or 6379
        if parts.scheme == "redis" and await _speaks_tls(host, port):
            return TlsFailed(f"Redis at {host} expects TLS.", advice="Write rediss:// in REDIS_URL.")
        if parts.scheme == "rediss" and await _speaks_plain(host, port):
            return TlsFailed(f"Redis at {host} does not use TLS on this port.", advice="Write redis:// in REDIS_URL.")
        why = why_unreachable(error, f"tcp://{host}:{port}")
        if isinstance(error, ResponseError):
            return StorageUnavailable("Redis responds to PING with an error.", advice=_UNTOLD)
        if isinstance(why, CertificateNotTrusted):
            if why.advice == CertificateNotTrusted.advice:
                why.advice = _NAME_AUTHORITY
            return why
        why.advice = "Check REDIS_URL, that Redis runs, and that this machine or pod may connect to it."
        return why

    async def measure(self) -> None:
        """Return when the middle one of five PINGs takes less than 100 ms."""
        seconds = []
        for _ in range(_PINGS):
            begun = time.monotonic()
            await self._redis.ping()
            seconds.append(time.monotonic() - begun)
        middle = sorted(seconds)[_PINGS // 2]
        if middle > SLOW_SECONDS:
            raise StoreSlow(f"Redis takes {middle * 1000:.0f} ms for a command.")

    async def see_persistence(self) -> None:
        """Return when Redis appends to a file, or saves from time to time."""
        info = await self._read_info()
        if info.get("aof_enabled") == 1:
            return
        save = await self._config("save")
        if save is None:
            raise NotChecked("Redis does not tell whether it keeps anything on disk.", advice=_UNTOLD)
        if not save.strip():
            raise Warn(StoreNotPersistent())

    async def see_eviction(self) -> None:
        """Return when Redis removes nothing that has not expired."""
        info = await self._read_info()
        policy = info.get("maxmemory_policy") or await self._config("maxmemory-policy")
        if policy is None:
            raise NotChecked("Redis does not tell what it does when its memory is full.", advice=_UNTOLD)
        if policy != "noeviction":
            raise StoreEvicts(f"The maxmemory-policy of Redis is {policy}, which removes records of people.")

    async def see_memory(self) -> None:
        """Return when less than 80 percent of the memory is used."""
        info = await self._read_info()
        used, most = info.get("used_memory"), info.get("maxmemory")
        if not isinstance(used, int) or not isinstance(most, int):
            raise NotChecked("Redis does not tell how much memory it uses.", advice=_UNTOLD)
        if most and used / most >= FULL:
            raise Warn(StoreFillsUp(f"Redis has used {round(100 * used / most)} percent of its memory."))

    async def _read_info(self) -> dict[str, Any]:
        if self._info is None:
            try:
                self._info = dict(await self._redis.info("everything"))
            except (ResponseError, NoPermissionError):
                self._info = {}
        return self._info

    async def _config(self, name: str) -> str | None:
        try:
            found = await self._redis.config_get(name)
        except (ResponseError, NoPermissionError):
            return None  # managed Redis hides it
        value = found.get(name)
        return None if value is None else str(value)


async def _ask(look: Callable[[], Awaitable[None]]) -> None:
    try:
        await look()
    except (RedisError, OSError) as error:
        raise StorageUnavailable("Redis stopped to answer while it was examined.", advice=_UNTOLD) from error


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
