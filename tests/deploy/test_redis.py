"""The Redis of the manifests, started for real with its own script and configuration, on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import redis

from m365_mcp.settings import foreign_environment
from tests.deploy.tools import K8S, parse
from tests.e2e.programs import Program, free_port, listens, redis_binary

pytestmark = pytest.mark.deploy

Start = Callable[[str], AbstractContextManager[int]]
PASSWORD = "0123456789abcdef" * 4
ODD_PASSWORD = "a b#>'\"$(x)\\ü"


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Return what starts Redis with a password or, for an empty one, without; it yields the port."""
    (config,) = (d for d in parse((K8S / "redis.yaml").read_text()) if d["kind"] == "ConfigMap")
    folders = {"/etc/redis": tmp_path / "etc", "/run/redis": tmp_path / "run", "/data": tmp_path / "data"}
    port = free_port()
    for folder in (*folders.values(), tmp_path / "bin"):
        folder.mkdir()
    for name, text in config["data"].items():
        for path, here in folders.items():
            text = text.replace(path, str(here))
        (tmp_path / "etc" / name).write_text(text)
    with (tmp_path / "etc/redis.conf").open("a") as file:
        file.write(f"port {port}\nbind 127.0.0.1\n")
    (tmp_path / "bin/redis-server").symlink_to(redis_binary())

    @contextmanager
    def started(password: str) -> Iterator[int]:
        path = f"{tmp_path / 'bin'}:{foreign_environment()['PATH']}"
        environment = {"PATH": path, **({"REDISCLI_AUTH": password} if password else {})}
        program = Program(["sh", str(tmp_path / "etc/start.sh")], tmp_path / "redis.log", environment)
        program.start()
        try:
            program.wait_until(lambda: listens(port))
            yield port
        finally:
            program.end()

    return started


@pytest.mark.parametrize("password", [PASSWORD, ODD_PASSWORD])
def test_password_is_asked_for(start: Start, password: str, tmp_path: Path) -> None:
    """With REDIS_PASSWORD nobody gets in without it, whatever characters it has, and it is not written down."""
    with start(password) as port:
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.get("x")
        with redis.Redis(port=port, password=password) as client:
            assert client.set("x", "1") is True

    assert password not in (tmp_path / "run/users.acl").read_text()
    assert (tmp_path / "run/users.acl").stat().st_mode & 0o077 == 0


def test_without_a_password_redis_starts(start: Start) -> None:
    """The Secret of the first commands has no REDIS_PASSWORD, and Redis works."""
    with start("") as port, redis.Redis(port=port) as client:
        assert client.set("x", "1") is True


@pytest.mark.parametrize("password", ["", PASSWORD])
@pytest.mark.parametrize("command", ["FLUSHALL", "CONFIG GET *", "KEYS *", "EVAL return(1) 0", "SHUTDOWN", "ACL LIST"])
def test_nobody_may_administer(start: Start, password: str, command: str) -> None:
    """Commands that empty, reconfigure, list, script or stop are refused, with and without a password."""
    with (
        start(password) as port,
        redis.Redis(port=port, password=password or None) as client,
        pytest.raises(redis.exceptions.NoPermissionError),
    ):
        client.execute_command(*command.split())


def test_commands_of_the_server_are_allowed(start: Start) -> None:
    """What py-key-value's store sends, transactions among it, is allowed."""
    with start("") as port, redis.Redis(port=port) as client:
        with client.pipeline() as pipeline:
            pipeline.execute_command("SETEX", "a", 60, "1")
            pipeline.execute()
        client.mset({"b": "2"})
        client.set("c", "3", nx=True, ex=60)

        assert client.mget("a", "b", "c") == [b"1", b"2", b"3"]
        assert client.ttl("a") > 0
        assert len(client.scan()[1]) == 3
        assert client.getdel("c") == b"3"
        assert client.delete("a", "b") == 2
        assert client.incr("n") == 1
        assert client.info("memory")["maxmemory"] == 192 * 1024 * 1024


def test_records_survive_a_restart(start: Start) -> None:
    """The append-only file on the volume brings everything back."""
    with start("") as port, redis.Redis(port=port) as client:
        client.set("x", "kept")

    with start("") as port, redis.Redis(port=port) as client:
        assert client.get("x") == b"kept"


def _fill(client: redis.Redis, block: bytes) -> int:
    """Return how many blocks went in before Redis said no."""
    for number in range(64):
        try:
            client.set(f"block{number}", block)
        except redis.exceptions.OutOfMemoryError:
            return number
    return 64


def test_full_redis_refuses_instead_of_forgetting(start: Start) -> None:
    """At the memory limit a write fails and everything stored is still there."""
    with start("") as port, redis.Redis(port=port) as client:
        stored = _fill(client, b"x" * (8 * 1024 * 1024))

        assert 10 < stored < 25
        assert client.exists(*(f"block{number}" for number in range(stored))) == stored
