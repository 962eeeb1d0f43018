"""Two releases of FastMCP side by side behind one balancer, as during an update."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from importlib import metadata
from pathlib import Path

import pytest

from tests.chaos.balancer import RoundRobin
from tests.chaos.lab import ADA, Lab, opened_lab
from tests.chaos.light_client import BehindBalancer
from tests.chaos.replicas import make_replicas
from tests.e2e.programs import Redis, Simulator

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(180)]
LOCK = Path(__file__).parents[2] / "requirements" / "other-fastmcp.txt"


@pytest.fixture(scope="session")
def other_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with another FastMCP, to be found before the one in use."""
    folder = tmp_path_factory.mktemp("release")
    install = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes"]
    subprocess.run([*install, "--no-deps", "-r", str(LOCK), "--target", str(folder)], check=True)
    [other] = metadata.distributions(name="fastmcp", path=[str(folder)])
    assert other.version != metadata.version("fastmcp"), "the lock of the other release names the one in use"
    return folder


@pytest.fixture
async def mixed_lab(simulator: Simulator, redis: Redis, tmp_path: Path, other_release: Path) -> AsyncIterator[Lab]:
    """One server with each release."""
    replicas = make_replicas(tmp_path, simulator, [redis.url] * 2)
    replicas.servers[1].program.environment["PYTHONPATH"] = str(other_release)
    await replicas.start()
    async with opened_lab(replicas, redis, simulator) as lab:
        yield lab
    await replicas.end()


async def test_s14_sessions_are_good_in_both_releases(mixed_lab: Lab) -> None:
    """E14/S14: whoever signed in at either release goes on at both: calls and refreshes alternate between them."""
    clients = []
    for port in mixed_lab.replicas.balancer.ports:
        browser = BehindBalancer(
            mixed_lab.simulator.ready["ca_file"], ADA, mixed_lab.replicas.public_url, RoundRobin([port])
        )
        clients.append(mixed_lab.client(browser))
        await clients[-1].sign_in()

    went_on = [await act() for _ in range(3) for client in clients for act in (client.call, client.renew, client.call)]

    assert went_on == [True] * 18
    assert [client.tally.forced_sign_ins for client in clients] == [[], []]
    assert [client.tally.wrong for client in clients] == [[], []]


async def test_s14_sign_ins_finish_across_two_releases(mixed_lab: Lab) -> None:
    """E14/S14: sign-ins whose steps alternate between the releases finish."""
    for _ in range(4):
        await mixed_lab.client().sign_in()
        mixed_lab.replicas.balancer.skip()
