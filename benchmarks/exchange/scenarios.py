"""What is measured: who calls, on how many replicas, and what Entra does meanwhile. Values only."""

from __future__ import annotations

from dataclasses import dataclass, replace

RETRY_AFTER = 7


@dataclass(frozen=True)
class Scenario:
    """One situation, the same for every contender.

    Attributes:
        title: what happens, for the table.
        people: how many there are, all unknown to the server.
        at_once: how many of them call side by side.
        calls: how many calls of a person run side by side, on each replica.
        replicas: how many replicas there are; a person calls all of them at the same time.
        answer_seconds: how long Entra takes for an exchange, beside its own work.
        throttled: how many exchanges Entra answers with 429 and `Retry-After`; None: all.
        rounds: how often it is measured.
    """

    title: str
    people: int
    at_once: int = 1
    calls: int = 1
    replicas: int = 1
    answer_seconds: float = 0.0
    throttled: int | None = 0
    rounds: int = 7

    @property
    def all_calls(self) -> int:
        """How many calls there are."""
        return self.people * self.calls * self.replicas


FIRST_TIMERS = Scenario("300 people call for the first time, all at once", 300, at_once=300)
SLOWER_ENTRA = replace(FIRST_TIMERS, title="The same, when Entra takes 150 ms to answer", answer_seconds=0.15)
ONE_PERSON = Scenario("20 first calls of one person, side by side", 1, calls=20)
TWO_REPLICAS = Scenario("200 people, each calls both of 2 replicas; 20 people at a time", 200, at_once=20, replicas=2)
ONE_REFUSAL = Scenario(f"Entra says once: 429, `Retry-After: {RETRY_AFTER}`", 1, throttled=1, rounds=1)
LASTING_REFUSAL = Scenario(f"Entra says every time: 429, `Retry-After: {RETRY_AFTER}`", 1, throttled=None, rounds=1)
ALL = (FIRST_TIMERS, SLOWER_ENTRA, ONE_PERSON, TWO_REPLICAS, ONE_REFUSAL, LASTING_REFUSAL)
