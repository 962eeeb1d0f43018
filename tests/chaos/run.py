"""Runs one phase in a world and says what came of it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.chaos.phases import Phase
from tests.chaos.tally import CUT, NO_ANSWER, REFUSED, Answer, Tally
from tests.chaos.world import EARLY_SECONDS, EXCHANGE, REFRESH, TOKEN_SECONDS, World


@dataclass(frozen=True)
class Outcome:
    """What a phase did to the crowd and to Entra.

    Attributes:
        phase: which one.
        seconds: how long it took.
        tally: what the clients saw.
        exchanges: On-Behalf-Of exchanges that Entra carried out.
        refreshes: refreshes that Entra carried out.
        problems: every promise that was broken, in words.
    """

    phase: Phase
    seconds: float
    tally: Tally
    exchanges: int
    refreshes: int
    problems: tuple[str, ...]

    @property
    def wrong(self) -> list[Answer]:
        """Wrong answers; where everything was lost, being told so is right."""
        return _wrong(self.phase, self.tally)


async def run_phase(world: World, phase: Phase) -> Outcome:
    """Let it happen, wait until everybody is served again, and count."""
    world.simulator.control("DELETE", "requests")
    tally = world.crowd.note_anew()
    started = time.monotonic()
    problems = []
    try:
        await phase.strike(world)
    except TimeoutError:
        problems.append("the phase did not come to its end")
    if not await world.crowd.is_well():
        problems.append("not everybody is served again half a minute later")
    seconds = time.monotonic() - started
    exchanges, refreshes = world.requests(EXCHANGE), world.requests(REFRESH)
    problems += _broken_promises(world, phase, tally)
    most = _most_renewals(phase, seconds)
    for name, count in {"exchanges": exchanges, "refreshes": refreshes}.items():
        problems += [f"{number} {name} for {who}, not {most}" for who, number in count.items() if number > most]
    return Outcome(phase, seconds, tally, exchanges.total(), refreshes.total(), tuple(problems))


def _most_renewals(phase: Phase, seconds: float) -> int:
    """Return how often somebody's token may be renewed: once in its life, and as often as the phase itself asks for."""
    return 1 + int(seconds / (TOKEN_SECONDS - EARLY_SECONDS)) + phase.renewals


def _broken_promises(world: World, phase: Phase, tally: Tally) -> list[str]:
    size = len(world.crowd.clients)
    problems = []
    expected = sorted(client.person.username for client in world.crowd.clients) if phase.signs_out else []
    if sorted(tally.forced_sign_ins) != expected:
        problems.append(f"{len(tally.forced_sign_ins)} forced sign-ins, not {len(expected)}")
    problems += sorted({f"{answer.status} {answer.code} at {answer.path}" for answer in _wrong(phase, tally)})
    if tally.count(NO_ANSWER):
        problems.append(f"{tally.count(NO_ANSWER)} requests without an answer")
    if tally.count(REFUSED):
        problems.append(f"{tally.count(REFUSED)} connections refused by every server")
    if tally.count(CUT) > (size if phase.cuts else 0):
        problems.append(f"{tally.count(CUT)} connections broke")
    return problems


def _wrong(phase: Phase, tally: Tally) -> list[Answer]:
    allowed = {("/mcp", 401), ("/token", 401), ("/token", 400)} if phase.signs_out else set()
    return [answer for answer in tally.wrong if (answer.path, answer.status) not in allowed]
