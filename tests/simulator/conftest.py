"""Fixtures of the simulator's tests: a fresh simulator, called in-process, whose clock stands still until it is set."""

import itertools
from collections.abc import AsyncIterator

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from m365_simulator import Options, Simulator, create_simulator
from m365_simulator.keys import make_rsa_key

from .client import Client
from .live import opened, running

START = 1_800_000_000.0


@pytest.fixture(scope="session")
def rsa_keys() -> list[RSAPrivateKey]:
    """Make a few keys once: making them is slow."""
    return [make_rsa_key() for _ in range(6)]


@pytest.fixture
def simulator(rsa_keys: list[RSAPrivateKey]) -> Simulator:
    """Build a simulator whose keys repeat after six."""
    pool = itertools.cycle(rsa_keys)
    return create_simulator(seed=1, read_clock=lambda: START, make_key=lambda: next(pool))


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[Client]:
    """Open all sides of the simulator."""
    microsoft, tester = httpx2.ASGITransport(simulator.microsoft), httpx2.ASGITransport(simulator.tester)
    uploads = httpx2.ASGITransport(simulator.uploads)
    async with (
        httpx2.AsyncClient(transport=microsoft, base_url="https://localhost:8443") as outside,
        httpx2.AsyncClient(transport=tester, base_url="http://127.0.0.1:8444") as inside,
        httpx2.AsyncClient(transport=uploads, base_url="https://localhost:8445") as beside,
    ):
        yield Client(outside, inside, beside)


@pytest.fixture
async def live() -> AsyncIterator[Client]:
    """Serve a simulator on free ports and open both of its sides."""
    async with running(Options(port=0, control_port=0, seed=1)) as ready, opened(ready) as client:
        yield client
