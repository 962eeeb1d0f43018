"""Three servers, a Redis and Entra fail in every way we know while signed-in clients keep calling."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.chaos.lab import Lab
from tests.chaos.phases import EXCHANGES, FLUSH, KINDS, REFRESHES, ROLLING, SHORT, Phase
from tests.chaos.run import Outcome, run_phase
from tests.chaos.tally import NO_ANSWER
from tests.chaos.world import EARLY_SECONDS, opened
from tests.e2e.programs import Simulator

CLIENTS = 12
PACE = 40  # calls a second
SEED = 4

pytestmark = pytest.mark.full


async def run(simulator: Simulator, folder: Path, phases: tuple[Phase, ...]) -> list[Outcome]:
    chance = random.Random(SEED)  # noqa: S311 - repeatable on purpose
    async with opened(folder, simulator, clients=CLIENTS, pace=PACE, chance=chance) as world:
        return [await run_phase(world, phase) for phase in phases]


def problems(outcomes: list[Outcome]) -> dict[str, tuple[str, ...]]:
    return {outcome.phase.name: outcome.problems for outcome in outcomes if outcome.problems}


@pytest.mark.timeout(180)
async def test_j2_rolling_deploy_is_noticed_by_nobody(simulator: Simulator, tmp_path: Path) -> None:
    """J2: three servers are replaced one by one under load: no 401, no 5xx but 503 with Retry-After, nothing broken."""
    outcomes = await run(simulator, tmp_path, (ROLLING,))

    assert problems(outcomes) == {}
    assert len(outcomes[0].tally.answers) > 5 * CLIENTS


@pytest.mark.timeout(300)
async def test_j4_no_fault_of_store_servers_or_entra_signs_anybody_out(simulator: Simulator, tmp_path: Path) -> None:
    """J4: every kind of trouble once: every answer in time and right, and sign-ins only after a flush."""
    outcomes = await run(simulator, tmp_path, (*SHORT, FLUSH))

    assert problems(outcomes) == {}


@pytest.mark.timeout(60)
async def test_two_emergency_rolls_in_one_token_life_sign_nobody_out(lab: Lab) -> None:
    """A replica that slept through one emergency roll of Entra's keys finds the next: both tokens it knows are dead.

    Its own Graph token is from before the first roll, and the one in the store, which another replica put there, from
    before the second. Entra gives a third one, so the sign-in is not over.
    """
    client = await lab.signed_in()
    awake, asleep = lab.replicas.balancer.ports
    went_on = [await client.at(asleep).call(), await client.at(awake).call()]
    for port in (awake, asleep):
        lab.simulator.control("POST", "keys/roll", emergency=True)
        went_on.append(await client.at(port).call())

    assert went_on == [True] * 4
    assert client.tally.forced_sign_ins == []


@pytest.mark.timeout(60)
async def test_silence_of_entra_everywhere_is_answered_in_time(lab: Lab) -> None:
    """A call that needs a refresh and an exchange while Entra is silent at both has its answer in the usual time."""
    lab.simulator.control("PATCH", "app", expires_in=EARLY_SECONDS - 10)
    client = lab.client()
    await client.sign_in()
    for place in (REFRESHES, EXCHANGES):
        lab.simulator.control("POST", "faults", where=place, what=KINDS["silence"], times=None)

    await client.call()

    assert client.tally.count(NO_ANSWER) == 0
    assert client.tally.answers[-1].is_right
