"""The bench: a simulator and a Redis-protocol server, and one process for each measurement beside them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from pydantic import TypeAdapter

from benchmarks.exchange.contenders import Person
from benchmarks.exchange.measure import Order, Outcome
from benchmarks.exchange.scenarios import RETRY_AFTER, Scenario
from m365_mcp.entra.on_behalf_of import GRANT_TYPE
from tests.e2e.programs import RUNNING, Program, Redis, Simulator, make_redis, start_simulator

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 300.0
THROTTLED: dict[str, Any] = {
    "error": "temporarily_unavailable",
    "error_codes": [90055],
}  # AADSTS90055: too many requests


@dataclass(frozen=True)
class Result:
    """What one measurement came to, on both sides.

    Attributes:
        outcome: as the caller saw it.
        exchanges: how many exchanges the simulator saw.
    """

    outcome: Outcome
    exchanges: int


@dataclass(frozen=True)
class Bench:
    """The running programs and a folder for orders, outcomes and logs."""

    folder: Path
    simulator: Simulator
    redis: Redis

    def run(self, contender: str, scenario: Scenario, people: list[Person]) -> Result:
        """Let `contender` go through `scenario` with an empty store and nothing in memory."""
        self._prepare(scenario)
        variables = {**self.simulator.settings, "REDIS_URL": self.redis.url}
        outcome = self._measure(Order(contender, scenario, people[: scenario.people], variables))
        return Result(outcome, self.simulator.count(grant_type=GRANT_TYPE))

    def _prepare(self, scenario: Scenario) -> None:
        with redis.Redis.from_url(self.redis.url) as store:
            store.flushall()
        self.simulator.control("DELETE", "requests")
        self.simulator.control("DELETE", "faults")
        what, times = _nuisance(scenario)
        if what:
            self.simulator.control("POST", "faults", where={"grant_type": GRANT_TYPE}, what=what, times=times)

    def _measure(self, order: Order) -> Outcome:
        question, answer = self.folder / "order.json", self.folder / "outcome.json"
        question.write_bytes(TypeAdapter(Order).dump_json(order))
        answer.unlink(missing_ok=True)
        # aiohttp reads SSL_CERT_FILE when it is imported, so it has to stand in the environment.
        environment = {"PYTHONPATH": str(ROOT), "SSL_CERT_FILE": self.simulator.ready["ca_file"]}
        arguments = [sys.executable, "-m", "benchmarks.exchange.measure", str(question), str(answer)]
        program = Program(arguments, self.folder / "measure.log", environment)
        program.start()
        if program.process is None or program.process.wait(PATIENCE_SECONDS) != 0:
            raise RuntimeError(f"The measurement failed:\n{program.log.read_text()[-4000:]}")
        return TypeAdapter(Outcome).validate_json(answer.read_bytes())


def _nuisance(scenario: Scenario) -> tuple[dict[str, Any], int | None]:
    """Return what the simulator is to do to exchanges, and how often; None is always."""
    if scenario.throttled != 0:
        return {"status": 429, "headers": {"Retry-After": str(RETRY_AFTER)}, "body": THROTTLED}, scenario.throttled
    return {"delay_seconds": scenario.answer_seconds} if scenario.answer_seconds else {}, None


@contextmanager
def running_bench(folder: Path) -> Iterator[Bench]:
    """Run both programs, and end them, and whatever measures, by id."""
    others = [id(program) for program in RUNNING]
    try:
        simulator, store = start_simulator(folder), make_redis(folder)
        store.start()
        yield Bench(folder, simulator, store)
    finally:
        with ExitStack() as stack:  # so that one that does not end keeps none of the others
            for program in [program for program in RUNNING if id(program) not in others]:
                RUNNING.remove(program)
                stack.callback(program.end)
