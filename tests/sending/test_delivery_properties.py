"""H20: any order of calls, kills, lost answers, refusals, throttling, restarts and store faults, over three replicas.

One of the replicas is v0.1.0, as during an upgrade.
"""

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
from m365_mcp.sending.send_request import SendRequest
from tests.sending.old_replica import OldModules, OldReplica
from tests.sending.test_delivery import TO, Through, World, request

T = TypeVar("T")
WITHOUT_KEY = st.sampled_from(["without key a", "without key b"])
MESSAGES = st.sampled_from(["a", "b"]) | WITHOUT_KEY
OLD = 2
REPLICAS = st.integers(0, OLD)
NEW_REPLICAS = st.integers(0, OLD - 1)
ANSWERS = st.sampled_from(["accepted", "accepted, answer lost", "lost before", "refused", "throttled", "killed"])


class Killed(BaseException):
    """The process is gone; nothing after this runs."""


class Sends(RuleBasedStateMachine):
    """Callers that repeat, and everything that can go wrong around them."""

    def __init__(self, old: OldModules) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.world = World()
        self.old = old
        self.replicas: list[Delivery | OldReplica] = [*(self.world.replica() for _ in range(OLD)), self.old_replica()]
        self.accepted: Counter[str] = Counter()
        self.told: dict[str, set[str]] = {}
        self.dead: set[str] = set()

    def old_replica(self) -> OldReplica:
        return OldReplica(self.old, self.world.records, lambda: self.world.now)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.loop.close()

    @rule(message=MESSAGES, replica=REPLICAS, reply=ANSWERS)
    def call(self, message: str, replica: int, reply: str) -> None:
        """One call; its answer is remembered."""
        if message in self.dead:
            self.world.now += START_SECONDS + 1  # nobody waits for a dead process in a test

        async def strategy(_: str) -> str:
            if reply.startswith("accepted") or reply == "killed":
                self.accepted[message] += 1
            if reply == "killed":
                raise Killed
            if reply in ("accepted, answer lost", "lost before"):
                raise OutcomeUnknown
            if reply == "refused":
                raise MessageRefused
            if reply == "throttled":
                raise Throttled
            return "request"

        before = self.accepted[message]
        try:
            receipt = self.run(self.replicas[replica].send(asked(message), TO, Through(strategy)))
        except OutcomeUnknown:
            said = "unknown"
        except M365Error:
            said = "not sent"
        except Killed:
            said = "nothing"
        else:
            said = "sent"
            assert receipt.is_repeat == (self.accepted[message] == before)
        if said == "not sent":
            assert self.accepted[message] == before
        self.told.setdefault(message, set()).add(said)

    @rule(message=MESSAGES, replica=REPLICAS)
    def dies_after_writing_down(self, message: str, replica: int) -> None:
        """The process ends between the ledger and Graph."""
        if message in self.dead or message in self.told:
            return
        where = self.replicas[replica]
        self.run(
            where.reserve(asked(message)) if isinstance(where, OldReplica) else where.ledger.reserve(asked(message))
        )
        self.dead.add(message)

    @rule(message=MESSAGES, replica=REPLICAS, dies=st.sampled_from(["before", "after"]))
    def store_fails_at_the_first_write(self, message: str, replica: int, dies: str) -> None:
        """The claim cannot be written, or its confirmation is lost: nothing is sent."""
        self.fail(message, replica, dies, spared=0)

    @rule(message=WITHOUT_KEY, replica=NEW_REPLICAS, dies=st.sampled_from(["before", "after"]))
    def store_fails_at_the_second_write(self, message: str, replica: int, dies: str) -> None:
        """The second record of a send cannot be written, or its confirmation is lost: nothing is sent."""
        self.fail(message, replica, dies, spared=1)

    def fail(self, message: str, replica: int, dies: str, spared: int) -> None:
        if message in self.dead or message in self.told:
            return

        async def never(_: str) -> str:
            raise AssertionError("sent without a claim")

        self.world.backend.dies = dies
        self.world.backend.spared = spared
        try:
            self.run(self.replicas[replica].send(asked(message), TO, Through(never)))
        except M365Error:
            if dies == "after" or spared:
                self.dead.add(message)  # it stands in the ledger, and nobody works on it
        self.world.backend.dies = None

    @rule(replica=REPLICAS)
    def restart(self, replica: int) -> None:
        """A replica is replaced by a new process."""
        self.replicas[replica] = self.old_replica() if replica == OLD else self.world.replica()

    @rule(seconds=st.sampled_from([1, 60, 3600]))
    def time_passes(self, seconds: int) -> None:
        self.world.now += seconds

    @invariant()
    def never_two_and_never_a_lie(self) -> None:
        for message, said in self.told.items():
            assert self.accepted[message] <= 1
            assert "sent" not in said or self.accepted[message] == 1


def asked(message: str) -> SendRequest:
    """Return the request for a message: one that is named so has no idempotency key."""
    return request(message, None if message.startswith("without key") else message)


def test_h20_any_order_of_events_sends_once_and_tells_the_truth(old_modules: OldModules) -> None:
    """H20: at most one acceptance a message; `sent` means one, `not sent` means none."""
    run_state_machine_as_test(
        lambda: Sends(old_modules),  # type: ignore[arg-type] # by its docstring anything that makes one will do
        settings=settings(max_examples=min(settings().max_examples, 200), suppress_health_check=list(HealthCheck)),
    )
