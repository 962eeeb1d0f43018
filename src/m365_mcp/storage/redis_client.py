"""The Redis client of this server, with limits on connections and time.

`RedisStore(url=…)` of py-key-value 0.4.6 has three faults. Its pool of 100 connections fails instead of waiting. Its
time-outs are too long: a frozen Redis blocked a request for 58 s. It does not decode a percent-encoded password. So
this module creates the client and passes it to `RedisStore`.
"""

from __future__ import annotations

import redis
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from m365_mcp.errors import SettingsMistake

SOCKET_SECONDS = 1.0
MAX_CONNECTIONS = 64
POOL_WAIT_SECONDS = 2.0


def connect(url: str) -> Redis:
    """Return a client for `url`; it connects at the first command.

    Args:
        url: `redis://` or `rediss://` (TLS), with an optional ACL user and percent-encoded password. redis-py's
            query options override the values of this module.

    Raises:
        SettingsMistake: redis-py does not know an option of the query.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=POOL_WAIT_SECONDS,
        socket_timeout=SOCKET_SECONDS,
        socket_connect_timeout=SOCKET_SECONDS,
        socket_keepalive=True,
        health_check_interval=30,
        retry=Retry(ExponentialWithJitterBackoff(cap=0.2, base=0.05), retries=2),
        decode_responses=True,
    )
    try:
        # Opens no connection, and raises TypeError for options that redis-py does not know.
        pool.make_connection()  # type: ignore[no-untyped-call]
    except TypeError:
        raise SettingsMistake((("REDIS_URL", "has an option that the Redis client does not know"),)) from None
    return Redis.from_pool(pool)  # closing the client closes the pool


def is_reachable(url: str) -> bool:
    """Return whether a usable Redis responds at `url` within half a second. Blocks; for start-up only."""
    client = redis.Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5)
    try:
        return bool(client.ping())
    except (redis.RedisError, OSError):
        return False
    finally:
        client.close()
