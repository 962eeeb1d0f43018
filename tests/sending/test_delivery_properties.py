"""H20: any order of calls, kills, lost responses, refusals, throttling, restarts and store faults on three replicas.

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
from tests.sending.test_delivery import TO, Direct, World, request

T = TypeVar("T")
WITHOUT_KEY = st.sampled_from(["without key a", "without key b"])
MESSAGES = st.sampled_from(["a", "b"]) | WITHOUT_KEY
OLD = 2
REPLICAS = st.integers(0, OLD)
NEW_REPLICAS = st.integers(0, OLD - 1)
RESPONSES = st.sampled_from(["accepted", "accepted, response lost", "lost before", "refused", "throttled", "killed"])


class Killed(BaseException):
    """The process dies; no code after this runs."""


class Sends(RuleBasedStateMachine):
    """Callers that repeat their calls, and the faults around them."""

    def __init__(self, old: OldModules) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.world = World()
        self.old = old
        self.replicas: list[Delivery | OldReplica] = [*(self.world.replica() for _ in range(OLD)), self.old_replica()]
        self.accepted: Counter[str] = Counter()
        self.results: dict[str, set[str]] = {}
        self.dead: set[str] = set()

    def old_replica(self) -> OldReplica:
        return OldReplica(self.old, self.world.records, lambda: self.world.now)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.loop.close()

    @rule(message=MESSAGES, replica=REPLICAS, response=RESPONSES)
    def call(self, message: str, replica: int, response: str) -> None:
        """Make one call and store its result."""
        if message in self.dead:
            self.world.now += START_SECONDS + 1  # a call then does not wait for the dead process

        async def strategy(_: str) -> str:
            if response.startswith("accepted") or response == "killed":
                self.accepted[message] += 1
            if response == "killed":
                raise Killed
            if response in ("accepted, response lost", "lost before"):
                raise OutcomeUnknown
            if response == "refused":
                raise MessageRefused
            if response == "throttled":
                raise Throttled
            return "request"

        before = self.accepted[message]
        try:
            receipt = self.run(self.replicas[replica].send(request_for(message), TO, Direct(strategy)))
        except OutcomeUnknown:
            result = "unknown"
        except M365Error:
            result = "not sent"
        except Killed:
            result = "killed"
        else:
            result = "sent"
            assert receipt.is_repeat == (self.accepted[message] == before)
        if result == "not sent":
            assert self.accepted[message] == before
        self.results.setdefault(message, set()).add(result)

    @rule(message=MESSAGES, replica=REPLICAS)
    def dies_after_the_reservation(self, message: str, replica: int) -> None:
        """The process ends between the ledger and Graph."""
        if message in self.dead or message in self.results:
            return
        where = self.replicas[replica]
        self.run(
            where.reserve(request_for(message))
            if isinstance(where, OldReplica)
            else where.ledger.reserve(request_for(message))
        )
        self.dead.add(message)

    @rule(message=MESSAGES, replica=REPLICAS, dies=st.sampled_from(["before", "after"]))
    def store_fails_at_the_first_write(self, message: str, replica: int, dies: str) -> None:
        """The store loses the reservation or its confirmation; the call sends nothing."""
        self.fail(message, replica, dies, spared=0)

    @rule(message=WITHOUT_KEY, replica=NEW_REPLICAS, dies=st.sampled_from(["before", "after"]))
    def store_fails_at_the_second_write(self, message: str, replica: int, dies: str) -> None:
        """The store loses the second record of a send or its confirmation; the call sends nothing."""
        self.fail(message, replica, dies, spared=1)

    def fail(self, message: str, replica: int, dies: str, spared: int) -> None:
        if message in self.dead or message in self.results:
            return

        async def never(_: str) -> str:
            raise AssertionError("sent without a reservation")

        self.world.backend.dies = dies
        self.world.backend.spared = spared
        try:
            self.run(self.replicas[replica].send(request_for(message), TO, Direct(never)))
        except M365Error:
            if dies == "after" or spared:
                self.dead.add(message)  # the ledger has a record without a lease
        self.world.backend.dies = None

    @rule(replica=REPLICAS)
    def restart(self, replica: int) -> None:
        """A replica is replaced by a new process."""
        self.replicas[replica] = self.old_replica() if replica == OLD else self.world.replica()

    @rule(seconds=st.sampled_from([1, 60, 3600]))
    def time_passes(self, seconds: int) -> None:
        self.world.now += seconds

    @invariant()
    def at_most_one_mail_and_true_results(self) -> None:
        for message, results in self.results.items():
            assert self.accepted[message] <= 1
            assert "sent" not in results or self.accepted[message] == 1


def request_for(message: str) -> SendRequest:
    """Return the request for a message; the name of the message decides whether it has an idempotency key."""
    return request(message, None if message.startswith("without key") else message)


def test_h20_any_order_of_events_sends_once_and_reports_the_true_outcome(old_modules: OldModules) -> None:
    """H20: at most one acceptance a message; `sent` means one, `not sent` means none."""
    run_state_machine_as_test(
        lambda: Sends(old_modules),  # type: ignore[arg-type] # its docstring permits any factory
        settings=settings(max_examples=min(settings().max_examples // 2, 200), suppress_health_check=list(HealthCheck)),
    )
