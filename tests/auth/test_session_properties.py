"""Any order of refreshes, lost responses, replays, crashes and thefts of one session, on two replicas and one store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from m365_mcp.auth.session import TokenPair, Upstream
from m365_mcp.auth.sessions import Sessions
from m365_mcp.errors import StorageUnavailable
from m365_mcp.metrics import Metrics
from m365_mcp.storage.backends import Backend
from m365_mcp.storage.records import Records
from tests.auth.test_session import GRACE, START, session
from tests.backends import OneByOne, make_records

T = TypeVar("T")
UPSTREAM = Upstream(access_token="entra-2", refresh_token="entra-refresh-2", expires_at=START + 10**9)


class CrashingBackend(OneByOne):
    """A shelf whose owner dies before or after its next write, or the one after as many as are spared."""

    def __init__(self, under: Backend) -> None:
        self._under = under
        self.dies: str | None = None
        self.reads = 0
        self.spared = 0

    async def get(self, collection: str, key: str) -> str | None:
        self.reads += 1
        return await self._under.get(collection, key)

    async def compare_and_swap(
        self, collection: str, key: str, old: str | None, new: str | None, seconds: float
    ) -> bool:
        if self.dies and self.spared:
            self.spared -= 1
            return await self._under.compare_and_swap(collection, key, old, new, seconds)
        dies, self.dies = self.dies, None
        if dies == "before":
            raise StorageUnavailable
        done = await self._under.compare_and_swap(collection, key, old, new, seconds)
        if dies == "after":
            raise StorageUnavailable
        return done

    def keys(self, collection: str) -> AsyncIterator[str]:
        return self._under.keys(collection)


class OneSession(RuleBasedStateMachine):
    """A client that follows the rules, a network that loses replies, replicas that die, and a thief."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.now = float(START)
        records = make_records()
        self.backend = CrashingBackend(records._backend)
        shared = Records(self.backend, records._cipher)
        self.replicas = [Sessions(shared, Metrics(), GRACE, lambda: self.now) for _ in range(2)]
        self.stored = 1  # the newest pair the client has received
        self.used_at: dict[int, float] = {}  # when each refresh token was first used
        self.pairs: dict[int, TokenPair] = {}
        self.is_over = False

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.loop.close()

    @initialize()
    def sign_in(self) -> None:
        assert self.run(self.replicas[0].begin("code", session())) is not None

    def rotate(self, replica: int, number: int) -> TokenPair | None:
        result = self.run(self.replicas[replica].rotate("s1", number, UPSTREAM))
        if result is None:
            self.is_over = True
            return None
        pair = result[1]
        # One refresh token has one result, on every replica and at every repeat.
        assert self.pairs.setdefault(number, pair) == pair
        assert pair.number == number + 1
        self.used_at.setdefault(number, float(pair.at))
        return pair

    def is_welcome(self, number: int) -> bool:
        used_at = self.used_at.get(number)
        return not self.is_over and (used_at is None or self.now - used_at <= GRACE)

    @rule(replica=st.integers(0, 1), arrives=st.booleans())
    def refresh(self, replica: int, arrives: bool) -> None:
        """The client uses its newest refresh token; the response may get lost."""
        welcome = self.is_welcome(self.stored)
        pair = self.rotate(replica, self.stored)

        assert (pair is not None) == welcome
        if pair is not None and arrives:
            self.stored = pair.number

    @rule(replica=st.integers(0, 1), dies=st.sampled_from(["before", "after"]))
    def refresh_while_a_replica_dies(self, replica: int, dies: str) -> None:
        """The replica dies around its write: the same token is as valid as before, or already has its result."""
        welcome = self.is_welcome(self.stored)
        unused = self.stored not in self.used_at
        self.backend.dies = dies
        try:
            self.run(self.replicas[replica].rotate("s1", self.stored, UPSTREAM))
        except StorageUnavailable:
            # A used token that is late ends the session: by two writes, and each may be the one that was cut.
            is_gone = self.run(self.replicas[replica].find("s1")) is None
            self.is_over = self.is_over or (not welcome and is_gone)
            if welcome and unused and dies == "after":
                self.used_at[self.stored] = float(int(self.now))
        else:
            self.is_over = self.is_over or not welcome
        self.backend.dies = None

    @rule(back=st.integers(1, 5), replica=st.integers(0, 1))
    def replay(self, back: int, replica: int) -> None:
        """A thief uses an old refresh token: within the grace time it has its result, later it ends the session."""
        number = self.stored - back
        if number < 1:
            return
        welcome = self.is_welcome(number)

        assert (self.rotate(replica, number) is not None) == welcome

    @rule(seconds=st.sampled_from([1, 10, 29, 31, 3600]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule(have_read=st.booleans())
    def two_replicas_at_once(self, have_read: bool) -> None:
        """The same refresh token on both replicas in the same moment, or from the same state, has one result."""
        welcome = self.is_welcome(self.stored)

        async def both() -> list[Any]:
            found = [await replica._load("s1") if have_read else None for replica in self.replicas]
            ways = zip(self.replicas, found, strict=True)
            return await asyncio.gather(*(one.rotate("s1", self.stored, UPSTREAM, read) for one, read in ways))

        found = [result and result[1] for result in self.run(both())]
        if welcome:
            assert found[0] == found[1]
            assert found[0] is not None
            assert self.pairs.setdefault(self.stored, found[0]) == found[0]
            self.used_at.setdefault(self.stored, float(found[0].at))
        else:
            assert found == [None, None]
            self.is_over = True

    @precondition(lambda self: not self.is_over)
    @rule()
    def code_comes_again(self) -> None:
        """The code that began the session is not valid again; late, it ends the session (RFC 6749 section 4.1.2)."""
        assert self.run(self.replicas[1].begin("code", session())) is None
        self.is_over = self.now - START > GRACE

    @invariant()
    def session_is_there_unless_it_was_ended(self) -> None:
        if self.pairs or self.is_over:
            assert (self.run(self.replicas[0].find("s1")) is None) == self.is_over


TestOneSession = OneSession.TestCase
TestOneSession.settings = settings(
    max_examples=min(settings().max_examples, 200), suppress_health_check=list(HealthCheck)
)


async def test_ended_session_does_not_come_back_with_its_code() -> None:
    """Ending wins over a repeated redemption."""
    sessions = Sessions(make_records(), Metrics(), GRACE, lambda: float(START))
    await sessions.begin("code", session())

    assert await sessions.end("s1", "by_client")
    assert not await sessions.end("s1", "by_client")
    assert await sessions.begin("code", session()) is None


async def test_code_is_not_burnt_when_the_store_fails_half_way() -> None:
    """E7/S7: if the store fails between the session and the used code, the same code works again, once."""
    records = make_records()
    backend = CrashingBackend(records._backend)
    sessions = Sessions(Records(backend, records._cipher), Metrics(), GRACE, lambda: float(START))
    outcomes: list[bool | str] = []
    for dies in ("before", "after", None, None):
        backend.dies = dies
        try:
            outcomes.append(await sessions.begin("code", session()) is not None)
        except StorageUnavailable:
            outcomes.append("try again")

    assert outcomes == ["try again", "try again", True, False]
