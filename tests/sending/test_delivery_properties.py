"""H20: any order of calls, kills, lost answers, refusals, throttling, restarts and store faults, over two replicas."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from m365_mcp.errors import M365Error, MessageRefused, OutcomeUnknown, Throttled
from m365_mcp.sending.delivery import Delivery
from m365_mcp.sending.ledger import START_SECONDS
from tests.sending.test_delivery import TO, Through, World, request

T = TypeVar("T")
KEYS = st.sampled_from(["a", "b", "c"])
REPLICAS = st.integers(0, 1)
ANSWERS = st.sampled_from(["accepted", "accepted, answer lost", "lost before", "refused", "throttled", "killed"])


class Killed(BaseException):
    """The process is gone; nothing after this runs."""


class Sends(RuleBasedStateMachine):
    """Callers that repeat, and everything that can go wrong around them."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.world = World()
        self.replicas: list[Delivery] = [self.world.replica() for _ in range(2)]
        self.accepted: Counter[str] = Counter()
        self.told: dict[str, set[str]] = {}
        self.dead: set[str] = set()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.loop.close()

    @rule(key=KEYS, replica=REPLICAS, reply=ANSWERS)
    def call(self, key: str, replica: int, reply: str) -> None:
        """One call; its answer is remembered."""
        if key in self.dead:
            self.world.now += START_SECONDS + 1  # nobody waits for a dead process in a test

        async def strategy(_: str) -> str:
            if reply.startswith("accepted") or reply == "killed":
                self.accepted[key] += 1
            if reply == "killed":
                raise Killed
            if reply in ("accepted, answer lost", "lost before"):
                raise OutcomeUnknown
            if reply == "refused":
                raise MessageRefused
            if reply == "throttled":
                raise Throttled
            return "request"

        before = self.accepted[key]
        try:
            receipt = self.run(self.replicas[replica].send(request(key, idempotency_key=key), TO, Through(strategy)))
        except OutcomeUnknown:
            said = "unknown"
        except M365Error:
            said = "not sent"
        except Killed:
            said = "nothing"
        else:
            said = "sent"
            assert receipt.is_repeat == (self.accepted[key] == before)
        if said == "not sent":
            assert self.accepted[key] == before
        self.told.setdefault(key, set()).add(said)

    @rule(key=KEYS, replica=REPLICAS)
    def dies_after_writing_down(self, key: str, replica: int) -> None:
        """The process ends between the ledger and Graph."""
        if key in self.dead or key in self.told:
            return
        self.run(self.replicas[replica].ledger.reserve(request(key, idempotency_key=key)))
        self.dead.add(key)

    @rule(key=KEYS, replica=REPLICAS, dies=st.sampled_from(["before", "after"]))
    def store_fails_at_the_first_write(self, key: str, replica: int, dies: str) -> None:
        """The claim cannot be written, or its confirmation is lost: nothing is sent."""
        if key in self.dead or key in self.told:
            return

        async def never(_: str) -> str:
            raise AssertionError("sent without a claim")

        self.world.backend.dies = dies
        try:
            self.run(self.replicas[replica].send(request(key, idempotency_key=key), TO, Through(never)))
        except M365Error:
            if dies == "after":
                self.dead.add(key)  # it stands in the ledger, and nobody works on it
        self.world.backend.dies = None

    @rule(replica=REPLICAS)
    def restart(self, replica: int) -> None:
        """A replica is replaced by a new process."""
        self.replicas[replica] = self.world.replica()

    @rule(seconds=st.sampled_from([1, 60, 3600]))
    def time_passes(self, seconds: int) -> None:
        self.world.now += seconds

    @invariant()
    def never_two_and_never_a_lie(self) -> None:
        for key, said in self.told.items():
            assert self.accepted[key] <= 1
            assert "sent" not in said or self.accepted[key] == 1


def test_h20_any_order_of_events_sends_once_and_tells_the_truth() -> None:
    """H20: at most one acceptance a key; `sent` means one, `not sent` means none."""
    run_state_machine_as_test(
        Sends,
        settings=settings(max_examples=min(settings().max_examples, 200), suppress_health_check=list(HealthCheck)),
    )
