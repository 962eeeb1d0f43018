"""The Redis client of this server, with limits on connections and time.

`RedisStore(url=…)` of py-key-value 0.4.6 has three faults. Its pool of 100 connections fails instead of waiting. Its
time-outs are too long: a frozen Redis blocked a request for 58 s. It does not decode a percent-encoded password. So
this module creates the client and passes it to `RedisStore`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

import redis
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from m365_mcp.errors import SettingsMistake
from m365_mcp.storage.redis_nodes import Address

SOCKET_SECONDS = 1.0
MAX_CONNECTIONS = 64
POOL_WAIT_SECONDS = 2.0


class NamedSSLConnection(SSLConnection):
    """A connection over TLS to a node whose certificate has the name that the operator named.

    A cluster names its nodes by IP address, and their certificates seldom have one. Seam: redis-py 8.1.0 passes
    `_connection_arguments` to `asyncio.open_connection`, and has no option for the name.
    """

    def __init__(self, server_hostname: str, **options: Any) -> None:
        super().__init__(**options)
        self._server_hostname = server_hostname

    def _connection_arguments(self) -> Mapping[str, Any]:
        return {**super()._connection_arguments(), "server_hostname": self._server_hostname}


def connect(url: str, address: Address | None = None) -> Redis:
    """Return a client for `url`; it connects at the first command.

    Args:
        url: `redis://` or `rediss://` (TLS), with an optional ACL user and percent-encoded password. redis-py's
            query options override the values of this module.
        address: a node of the cluster that `url` belongs to; the rest of `url` holds for it, too.

    Raises:
        SettingsMistake: redis-py does not know an option of the query.
    """
    options: dict[str, Any] = {
        "max_connections": MAX_CONNECTIONS,
        "timeout": POOL_WAIT_SECONDS,
        "socket_timeout": SOCKET_SECONDS,
        "socket_connect_timeout": SOCKET_SECONDS,
        "socket_keepalive": True,
        "health_check_interval": 30,
        "retry": Retry(ExponentialWithJitterBackoff(cap=0.2, base=0.05), retries=2),
        "decode_responses": True,
        **parse_url(url),
    }
    pool = BlockingConnectionPool(**(options if address is None else _at(address, options)))
    try:
        # Opens no connection, and raises TypeError for options that redis-py does not know.
        pool.make_connection()  # type: ignore[no-untyped-call]
    except TypeError:
        raise SettingsMistake((("REDIS_URL", "has an option that the Redis client does not know"),)) from None
    return Redis.from_pool(pool)  # closing the client closes the pool


def _at(address: Address, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options for another node; where it has no name, its certificate must have the one in the URL."""
    changed = {**options, "host": address.host, "port": address.port}
    if options.get("connection_class") is SSLConnection and _is_ip(address.host) and not _is_ip(options["host"]):
        changed |= {"connection_class": NamedSSLConnection, "server_hostname": options["host"]}
    return changed


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_reachable(url: str) -> bool:
    """Return whether a usable Redis responds at `url` within half a second. Blocks; for start-up only."""
    client = redis.Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5)
    try:
        return bool(client.ping())
    except (redis.RedisError, OSError):
        return False
    finally:
        client.close()
