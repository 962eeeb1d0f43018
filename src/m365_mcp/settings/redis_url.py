"""The rule for REDIS_URL: what redis-py would refuse, or would fail on at the first command, is refused at start."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from m365_mcp.errors import Filled
from m365_mcp.settings.addresses import check_host

MAX_DATABASE = 15  # Redis has 16 databases unless its configuration says otherwise
# redis-py passes every option to its connection class; these are the ones that make sense in a URL.
_SECONDS = ("socket_timeout", "socket_connect_timeout", "timeout")
_FORMS = {
    "max_connections": (re.compile(r"[1-9][0-9]{0,8}"), "a whole number above 0"),
    "socket_read_size": (re.compile(r"[1-9][0-9]{0,8}"), "a whole number above 0"),
    "health_check_interval": (re.compile(r"[0-9]{1,9}"), "a whole number"),
    "protocol": (re.compile(r"[23]"), "2 or 3"),
    "client_name": (re.compile(r"[!-~]+"), "a name without blanks"),  # CLIENT SETNAME refuses others
}
_FLAGS = ("socket_keepalive", "retry_on_timeout", "legacy_responses")
_TLS = (
    *("ssl_cert_reqs", "ssl_check_hostname", "ssl_min_version", "ssl_ciphers", "ssl_include_verify_flags"),
    *("ssl_exclude_verify_flags", "ssl_ca_certs", "ssl_ca_path", "ssl_ca_data", "ssl_certfile", "ssl_keyfile"),
    "ssl_password",
)
_OPTIONS = {"db", *_FORMS, *_SECONDS, *_FLAGS}


def check_redis(value: str) -> str:
    """Return the store's address. Raises ValueError."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme == "memory" or (parts.port != 0 and not parts.fragment and _has_host(parts))
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


def _has_host(parts: SplitResult) -> bool:
    return bool(parts.hostname and check_host(unquote(parts.hostname)))


_SHAPE = "must look like redis://user:password@host:6379/0, with special characters percent-encoded"


def _check_options(parts: SplitResult, database: str) -> None:
    options = {name: values[0] for name, values in parse_qs(parts.query).items()}
    if not options.keys() <= {*_OPTIONS, *(_TLS if parts.scheme == "rediss" else ())}:
        raise ValueError("has an option that the Redis client does not know, or an ssl_ option without rediss://")
    for name, (form, meaning) in _FORMS.items():
        if name in options and not form.fullmatch(options[name]):
            raise ValueError(
                Filled("has the option %(name)s, which must be %(wanted)s", name=name, wanted=Filled(meaning))
            )
    for name in _SECONDS:
        if name in options and not _is_positive(options[name]):
            raise ValueError(Filled("has the option %(name)s, which must be a number above 0", name=name))
    number = options.get("db", database)
    if not number.isascii() or not number.isdigit() or len(number) > 2 or int(number) > MAX_DATABASE:
        problem = (
            "must name a database from 0 to %(most)s; a Redis has others only if it is configured to, and this server "
            "uses none of them"
        )
        raise ValueError(Filled(problem, most=str(MAX_DATABASE)))


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
