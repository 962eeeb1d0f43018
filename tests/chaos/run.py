"""Runs one phase in a world and says what came of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.crowd import DOMAIN
from tests.chaos.phases import Phase
from tests.chaos.tally import CUT, NO_ANSWER, REFUSED, Answer, Tally
from tests.chaos.world import EARLY_SECONDS, EXCHANGE, REFRESH, SHORT_TOKEN_SECONDS, TOKEN_SECONDS, World


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
    problems += _too_many("exchanges", exchanges, lambda _: _most_exchanges(phase, seconds))
    problems += _too_many("refreshes", refreshes, lambda who: _most_refreshes(phase, seconds, tally, who))
    return Outcome(phase, seconds, tally, exchanges.total(), refreshes.total(), tuple(problems))


def _too_many(name: str, counted: Counter[str], most: Callable[[str], int]) -> list[str]:
    return [f"{count} {name} for {who}, not {most(who)}" for who, count in sorted(counted.items()) if count > most(who)]


def _most_exchanges(phase: Phase, seconds: float) -> int:
    """One in the life of a Graph token, which is renewed after half of it at the earliest, or becomes worthless."""
    life = SHORT_TOKEN_SECONDS if phase.short_tokens else TOKEN_SECONDS
    return 1 + int(seconds / (life / 2)) + phase.renewals


def _most_refreshes(phase: Phase, seconds: float, tally: Tally, who: str) -> int:
    """One in the life of a token of Entra's less the time it is renewed early, and one for each refresh of ours."""
    asked = ("/token", "/mcp") if phase.short_tokens else ("/token",)
    return (
        1 + phase.renewals + int(seconds / (TOKEN_SECONDS - EARLY_SECONDS)) + tally.count_of(f"{who}@{DOMAIN}", *asked)
    )


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
    """Return what should not be. A call that was under way when everything was lost is told to sign in, too."""
    allowed = {("/mcp", 401), ("/token", 401), ("/token", 400)} if phase.signs_out else set()
    told = {"sign_in_needed", "assertion_refused"} if phase.signs_out else set()
    wrong = [answer for answer in tally.wrong if (answer.path, answer.status) not in allowed]
    under_way = [one for one in wrong if (one.path, one.status) == ("/mcp", 200) and one.code in told]
    once = {one.who: one for one in under_way}.values()  # a client makes one call at a time
    return [answer for answer in wrong if not any(answer is one for one in once)]
