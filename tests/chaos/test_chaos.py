"""Three servers, a Redis and Entra fail in every way we know while signed-in clients keep calling."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.chaos.phases import FLUSH, ROLLING, SHORT, Phase
from tests.chaos.run import Outcome, run_phase
from tests.chaos.world import opened
from tests.e2e.programs import Simulator

CLIENTS = 12
PACE = 40  # calls a second
SEED = 4
DRAIN_QUICKLY = {"MCP_SHUTDOWN_DELAY_SECONDS": "1"}


async def run(simulator: Simulator, folder: Path, phases: tuple[Phase, ...], **settings: str) -> list[Outcome]:
    chance = random.Random(SEED)  # noqa: S311 - repeatable on purpose
    async with opened(folder, simulator, clients=CLIENTS, pace=PACE, chance=chance, **settings) as world:
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
    outcomes = await run(simulator, tmp_path, (*SHORT, FLUSH), **DRAIN_QUICKLY)

    assert problems(outcomes) == {}
