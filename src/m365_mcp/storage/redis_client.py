"""The Redis client this server uses: bounded in connections and in time.

`RedisStore(url=…)` of py-key-value 0.4.6 has a pool of 100 that fails instead of waiting, no time-outs worth the
name (a frozen Redis held a request for 58 s) and does not decode a percent-encoded password; so the client is
made here and handed to it.
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
        url: `redis://` or `rediss://` (TLS), with an ACL user and a percent-encoded password if need be, and
            redis-py's query options, which win over the values here.

    Raises:
        SettingsMistake: an option in the query does not exist.
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
        # Connects to nothing, and finds options that redis-py does not know.
        pool.make_connection()  # type: ignore[no-untyped-call]
    except TypeError:
        raise SettingsMistake((("REDIS_URL", "has an option that the Redis client does not know"),)) from None
    return Redis.from_pool(pool)  # closing the client closes the pool


def answers(url: str) -> bool:
    """Return whether a usable Redis answers at `url` right now, within half a second. Blocks; for start-up only."""
    client = redis.Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5)
    try:
        return bool(client.ping())
    except (redis.RedisError, OSError):
        return False
    finally:
        client.close()
