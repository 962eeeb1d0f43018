"""The rule for REDIS_URL: what redis-py would refuse, or would fail on at the first command, is refused at start."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qs, urlsplit

MAX_DATABASE = 15  # Redis has 16 databases unless its configuration says otherwise
# redis-py passes every option to its connection class; these are the ones that make sense in a URL.
_POSITIVE = ("socket_timeout", "socket_connect_timeout", "socket_read_size", "max_connections", "timeout")
_FLAGS = ("socket_keepalive", "retry_on_timeout", "legacy_responses")
_TLS = (
    *("ssl_cert_reqs", "ssl_check_hostname", "ssl_min_version", "ssl_ciphers", "ssl_include_verify_flags"),
    *("ssl_exclude_verify_flags", "ssl_ca_certs", "ssl_ca_path", "ssl_ca_data", "ssl_certfile", "ssl_keyfile"),
    "ssl_password",
)
_OPTIONS = {"db", "protocol", "health_check_interval", "client_name", *_POSITIVE, *_FLAGS}


def check_redis(value: str) -> str:
    """Return the store's address. Raises ValueError."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme == "memory" or (parts.hostname and parts.port != 0 and not parts.fragment)
    except ValueError:
        raise ValueError(_SHAPE) from None
    if parts.scheme not in ("redis", "rediss", "memory"):
        raise ValueError("must begin with redis://, rediss:// (TLS) or be memory://")
    database = parts.path.strip("/") or "0"
    if not usable or not database.isascii() or not database.isdigit() or not value.isprintable() or " " in value:
        raise ValueError(_SHAPE)
    if parts.scheme != "memory":
        _check_options(parts, database)
        _try(value)
    return value


_SHAPE = "must look like redis://user:password@host:6379/0, with special characters percent-encoded"


def _check_options(parts: SplitResult, database: str) -> None:
    options = {name: values[0] for name, values in parse_qs(parts.query).items()}
    if not options.keys() <= {*_OPTIONS, *(_TLS if parts.scheme == "rediss" else ())}:
        raise ValueError("has an option that the Redis client does not know, or an ssl_ option without rediss://")
    for name in _POSITIVE:
        if name in options and not _is_positive(options[name]):
            raise ValueError(f"has the option {name}, which must be a number above 0")
    number = options.get("db", database)
    if not number.isascii() or not number.isdigit() or len(number) > 2 or int(number) > MAX_DATABASE:
        raise ValueError(f"names a database that Redis does not have; it has the numbers 0 to {MAX_DATABASE}")


def _is_positive(number: str) -> bool:
    try:
        return 0 < float(number) < float("inf")
    except ValueError:
        return False


def _try(url: str) -> None:
    """Let redis-py read the URL and the TLS files; it opens no connection."""
    from redis import RedisError  # takes half a second to import, and not every command needs it
    from redis.asyncio import BlockingConnectionPool, SSLConnection

    try:
        connection = BlockingConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call]
        if isinstance(connection, SSLConnection):
            connection.ssl_context.get()
    except (RedisError, OSError, ValueError, TypeError):
        raise ValueError(
            "has an option with a value that the Redis client refuses; ssl_cert_reqs is none, optional or required, "
            "and files must be readable"
        ) from None
