"""Our half of the benchmark, with few people: only counts are looked at, never times."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from benchmarks.exchange.bench import Bench, running_bench
from benchmarks.exchange.contenders import Person
from benchmarks.exchange.people import sign_in
from benchmarks.exchange.scenarios import FIRST_TIMERS, ONE_PERSON, TWO_REPLICAS, Scenario

PEOPLE = 20
# One worker, so that the programs start once.
pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("benchmark")]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running_bench(tmp_path_factory.mktemp("bench")) as bench:
        yield bench


@pytest.fixture(scope="module")
def people(bench: Bench) -> list[Person]:
    return asyncio.run(sign_in(bench.simulator, PEOPLE))


@pytest.mark.full
@pytest.mark.parametrize(
    ("scenario", "exchanges"),
    [
        pytest.param(replace(FIRST_TIMERS, people=PEOPLE, at_once=PEOPLE), PEOPLE, id="first timers"),
        pytest.param(ONE_PERSON, 1, id="one person"),
        pytest.param(replace(TWO_REPLICAS, people=PEOPLE), PEOPLE, id="two replicas"),
    ],
)
def test_a_person_costs_one_exchange_and_no_call_fails(
    bench: Bench, people: list[Person], scenario: Scenario, exchanges: int
) -> None:
    """However many calls, on whichever replica: Entra sees one exchange for each person, and every call succeeds."""
    result = bench.run("ours", scenario, people)

    assert result.outcome.failures == {}
    assert result.exchanges == exchanges
