"""One engine and one built image for all tests here; without root or a builder they skip and say why."""

from collections.abc import Iterator

import pytest

from tests.deploy.containers import DEMO_IMAGE, Engine, opened_engine, why_not
from tests.e2e.programs import Simulator, start_simulator


@pytest.fixture(scope="session")
def bare_engine() -> Iterator[Engine]:
    """An engine that knows the Python base image and nothing else."""
    if reason := why_not():
        pytest.skip(reason)
    with opened_engine() as engine:
        yield engine


@pytest.fixture(scope="session")
def engine(bare_engine: Engine) -> Engine:
    """An engine with the image built from the repository's Dockerfile."""
    bare_engine.build(
        *("--build-arg", "VERSION=1.2.3"),
        *("--build-arg", "REVISION=abc"),
        *("--build-arg", "CREATED=2026-11-23T00:00:00Z"),
    )
    return bare_engine


@pytest.fixture(scope="session")
def demo_engine(engine: Engine) -> Engine:
    """The same engine, with the Dockerfile's target `demo` built as well."""
    engine.build("--target", "demo", tag=DEMO_IMAGE)
    return engine


@pytest.fixture(scope="session")
def shared_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    simulator = start_simulator(tmp_path_factory.mktemp("simulator"))
    yield simulator
    assert simulator.program.end() == 0


@pytest.fixture
def simulator(shared_simulator: Simulator) -> Simulator:
    """The simulator on this machine, as it is when freshly started."""
    shared_simulator.control("POST", "reset")
    return shared_simulator
