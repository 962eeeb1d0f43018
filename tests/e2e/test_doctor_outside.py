"""`m365-mcp doctor` behind proxies: what clients meet at the public URL, and what it says of a wrong way in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.front import Front, running_front
from tests.e2e.programs import Redis, Server, Simulator, make_server
from tests.e2e.test_doctor import Setup

WRONG = ("fail", "public_url_wrong")


@pytest.fixture
def front() -> Iterator[Front]:
    """A proxy whose target the test sets."""
    with running_front() as proxy:
        yield proxy


@pytest.fixture
def behind(front: Front, simulator: Simulator, shared_redis: Redis, tmp_path: Path) -> Iterator[Setup]:
    """A server whose public URL is the proxy's."""
    server = make_server(tmp_path, simulator, REDIS_URL=shared_redis.url, MCP_SERVER_BASE_URL=front.url)
    simulator.control("PATCH", "app", redirect_uris=[f"{front.url}/auth/callback"])
    front.targets = [server.url.replace("localhost", "127.0.0.1")]
    server.start()
    yield Setup(tmp_path, simulator, shared_redis, server)
    assert server.program.end() == 0


def test_good_way_in_has_no_fault(behind: Setup, front: Front) -> None:
    """From inside and from outside."""
    assert behind.wrong() == []
    assert behind.wrong("--url", front.url) == []


def test_faults_of_the_way_in_are_told_apart(behind: Setup, front: Front) -> None:
    """A redirect, hidden metadata, a small buffer for headers, and a path that leads nowhere."""
    front.redirect = "https://mcp.example.com"
    assert behind.wrong("--url", front.url) == [("public_url", *WRONG)]
    front.redirect, front.hidden = None, ("/.well-known/",)
    assert behind.wrong("--url", front.url) == [("public_metadata", *WRONG)]
    front.hidden, front.max_header_bytes = (), 4_000
    assert behind.wrong("--url", front.url) == [("public_headers", *WRONG)]
    front.hidden, front.max_header_bytes = ("/",), 100_000
    assert behind.wrong() == [("public_url", *WRONG)]


def test_proxy_that_buffers_is_a_warning(behind: Setup, front: Front) -> None:
    """Nothing is lost by it, but a client sees the progress of a send late."""
    front.buffers = True

    assert behind.wrong() == [("public_streaming", "warn", "public_url_buffers")]
    assert behind.wrong("--url", front.url) == [("public_streaming", "warn", "public_url_buffers")]


def test_load_balancer_without_a_server_is_a_warning_inside_and_a_failure_outside(behind: Setup, front: Front) -> None:
    """The doctor may run before the server does; clients must not meet that."""
    front.is_alone = True

    assert behind.wrong() == [("public_url", "warn", "public_url_unreachable")]
    assert behind.wrong("--url", front.url) == [("public_url", *WRONG)]


@pytest.mark.parametrize("path", ["/mcp", "/elsewhere"])
def test_wrong_path_of_the_public_url_is_found(behind: Setup, front: Front, path: str) -> None:
    """A doubled /mcp, and a path that the proxy does not serve."""
    assert behind.wrong(MCP_SERVER_BASE_URL=front.url + path) == [("public_url", *WRONG)]


def test_url_of_another_name_is_found(behind: Setup, front: Front) -> None:
    """The server responds, but names another issuer and resource than the URL that clients use."""
    other = front.url.replace("127.0.0.1", "localhost")

    assert behind.wrong("--url", other) == [("public_metadata", *WRONG)]
    assert behind.wrong(MCP_SERVER_BASE_URL=other) == [("public_metadata", *WRONG)]


def test_replica_with_other_keys_is_found(behind: Setup, front: Front, tmp_path: Path) -> None:
    """One of two replicas behind the public URL has another signing key."""
    other: Server = make_server(
        tmp_path, behind.simulator, REDIS_URL="memory://", MCP_SERVER_BASE_URL=front.url, JWT_SIGNING_KEY="x1" * 20
    )
    other.start()
    front.targets.append(other.url.replace("localhost", "127.0.0.1"))

    assert behind.wrong() == [("replicas", "fail", "replicas_differ")]
    assert behind.wrong("--url", front.url) == [("replicas", "fail", "replicas_differ")]
    assert other.program.end() == 0
