"""Sessions in the store: what begins, changes and ends them, what is counted, and what a store in trouble means."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import nullcontext

import pytest
from structlog.testing import capture_logs

from m365_mcp.auth.mcp_tokens import REFRESH_SECONDS
from m365_mcp.auth.session import Session, Upstream
from m365_mcp.auth.session_endings import COLLECTION as ENDINGS
from m365_mcp.auth.sessions import COLLECTION, Sessions, session_id_of
from m365_mcp.errors import StorageUnavailable
from m365_mcp.metrics import Metrics
from m365_mcp.storage.backends import Backend
from m365_mcp.storage.records import ABSENT, Records
from tests.auth.test_session import GRACE, START, session
from tests.backends import OneByOne, make_records

UPSTREAM = Upstream(access_token="entra-2", refresh_token="entra-refresh-2", expires_at=START + 10**9)


class Seen(OneByOne):
    """A backend that records what is written, and can lose a number of races, and of responses to what it stores."""

    def __init__(self, under: Backend) -> None:
        self._under = under
        self.written: list[tuple[str, str, bool, float]] = []
        self.lost = 0
        self.lost_responses = 0
        self.too_large: set[str] = set()
        self.is_away = False

    async def get(self, collection: str, key: str) -> str | None:
        if self.is_away or key in self.too_large:
            raise StorageUnavailable
        return await self._under.get(collection, key)

    async def compare_and_swap(
        self, collection: str, key: str, old: str | None, new: str | None, seconds: float
    ) -> bool:
        if self.lost and collection != ENDINGS:
            self.lost -= 1
            return False
        self.written.append((collection, key, new is not None, seconds))
        done = await self._under.compare_and_swap(collection, key, old, new, seconds)
        if self.lost_responses:
            self.lost_responses -= 1
            return False
        return done

    def keys(self, collection: str) -> AsyncIterator[str]:
        return self._under.keys(collection)


class Store:
    """Sessions over such a backend, with a clock that stands still."""

    def __init__(self) -> None:
        records = make_records()
        self.backend = Seen(records._backend)
        self.records = Records(self.backend, records._cipher)
        self.now = float(START)
        self.metrics = Metrics()
        self.sessions = Sessions(self.records, self.metrics, GRACE, lambda: self.now)

    def counted(self, name: str, *labels: str) -> float:
        counter = getattr(self.metrics, name)
        return float((counter.labels(*labels) if labels else counter)._value.get())


async def test_begun_session_is_stored_for_as_long_as_its_refresh_token() -> None:
    """The session lives for ninety days, the mark of its code for a quarter of an hour; one session is counted."""
    store = Store()

    begun = await store.sessions.begin("code", session())

    assert begun == session()
    assert (await store.sessions.find("s1")) == session()
    [(first, *_), (second, *_)] = store.backend.written
    assert (first, second) == (COLLECTION, "m365-redeemed-codes") == ("m365-sessions", second)
    assert [(made, seconds) for _, _, made, seconds in store.backend.written] == [
        (True, REFRESH_SECONDS),
        (True, 900.0),
    ]
    assert store.counted("sessions_begun") == 1


@pytest.mark.parametrize(("later", "ended"), [(GRACE, False), (GRACE + 0.5, True)])
async def test_replayed_code_ends_the_session_after_the_grace_time(later: float, ended: bool) -> None:
    """A second redemption gives nothing; after the grace time it is theft, and ends the session that it began."""
    store = Store()
    await store.sessions.begin("code", session())
    store.now += later

    assert await store.sessions.begin("code", session()) is None
    assert (await store.sessions.find("s1") is None) is ended
    assert store.counted("sessions_ended", "code_replayed") == ended
    assert store.counted("sessions_begun") == 1


async def test_code_whose_mark_is_gone_ends_nothing() -> None:
    """Another replica that redeems the same code at the same moment wins; without its mark nobody is a thief."""
    store = Store()
    await store.sessions.begin("code", session())
    store.now += GRACE + 1
    store.backend.lost = 0

    await store.sessions._end_replayed("another code")

    assert await store.sessions.find("s1") == session()


def test_id_of_a_session_follows_from_its_code() -> None:
    """Every replica names the session alike, in 32 hexadecimal digits that do not show the code."""
    assert session_id_of("code") == "40c0e24492bee31ad143089080ec6814"
    assert session_id_of("code") != session_id_of("code2")


async def test_change_is_tried_until_no_other_replica_interferes() -> None:
    """Nine lost races are no failure; the tenth is an outage, and nothing was changed."""
    store = Store()
    await store.sessions.begin("code", session())
    steps: list[Session] = []

    def step(now: Session) -> Session:
        steps.append(now)
        return now.renewed(UPSTREAM)

    store.backend.lost = 9
    changed = await store.sessions.change("s1", step)
    store.backend.lost = 10
    with pytest.raises(StorageUnavailable):
        await store.sessions.change("s1", step)

    assert changed == await store.sessions.find("s1") == session().renewed(UPSTREAM)
    assert len(steps) == 20
    assert store.backend.written[-1] == (COLLECTION, "s1", True, REFRESH_SECONDS)


async def test_change_that_leaves_the_session_writes_nothing() -> None:
    """A step may decide that nothing is to be done; a session that is gone has no step."""
    store = Store()
    await store.sessions.begin("code", session())
    written = len(store.backend.written)

    assert await store.sessions.change("s1", lambda _: None) == session()
    assert await store.sessions.change("nobody", lambda now: now.renewed(UPSTREAM)) is None
    assert len(store.backend.written) == written


async def test_rotation_is_counted_and_keeps_its_upstream_tokens() -> None:
    """A new pair brings Entra's new tokens; the same pair again brings none; a stale token ends the session."""
    store = Store()
    await store.sessions.begin("code", session())
    store.now += 10

    first = await store.sessions.rotate("s1", 1, UPSTREAM)
    again = await store.sessions.rotate("s1", 1, session().upstream)
    store.now += GRACE + 1
    late = await store.sessions.rotate("s1", 1, UPSTREAM)

    assert first is not None
    assert again is not None
    assert first[0].upstream == again[0].upstream == UPSTREAM
    assert (first[1].number, first[1].at) == (2, START + 10)
    assert first[1] == again[1]
    assert late is None
    assert await store.sessions.find("s1") is None
    assert await store.sessions.rotate("s1", 1, UPSTREAM) is None
    assert [store.counted("refreshes", kind) for kind in ("new", "replayed")] == [1, 1]
    assert store.counted("sessions_ended", "refresh_token_reused") == 1


async def test_rotation_from_a_state_that_has_changed_reads_it_anew() -> None:
    """What was read before Entra answered saves a read, and overwrites nothing that another replica has done since."""
    store = Store()
    await store.sessions.begin("code", session())
    stale = await store.sessions._load("s1")
    first = await store.sessions.rotate("s1", 1, UPSTREAM)
    second = await store.sessions.rotate("s1", 1, session().upstream, stale)
    await store.sessions.end("s1", "by_operator")

    assert first is not None
    assert second is not None
    assert (second[1], second[0].upstream) == (first[1], UPSTREAM)
    assert await store.sessions.rotate("s1", 1, UPSTREAM, stale) is None
    assert await store.sessions.find("s1") is None


async def test_end_is_tried_until_no_other_replica_interferes() -> None:
    """Nine lost races are no failure, the tenth is an outage; the end is counted once, with its reason."""
    store = Store()
    await store.sessions.begin("code", session())

    store.backend.lost = 10
    with pytest.raises(StorageUnavailable):
        await store.sessions.end("s1", "by_operator")
    store.backend.lost = 9
    assert await store.sessions.end("s1", "by_operator") is True
    assert await store.sessions.end("s1", "by_operator") is False

    assert await store.sessions.find("s1") is None
    assert store.counted("sessions_ended", "by_operator") == 1


async def test_record_that_is_no_session_can_be_ended() -> None:
    """A record of another shape is no session, and an operator can remove it all the same."""
    store = Store()
    await store.records.compare_and_swap(COLLECTION, "odd", ABSENT, {"of": "another release"}, 60)

    with capture_logs() as logged:
        assert await store.sessions.find("missing") is None
        assert await store.sessions.find("odd") is None

    assert [entry["event"] for entry in logged] == ["session_unreadable"]
    assert [one async for one in store.sessions.all()] == []
    assert await store.sessions.end("odd", "by_operator") is True


async def test_all_sessions_are_listed() -> None:
    """An operator sees every session of the store."""
    store = Store()
    both = [session(), session(id="s2", object_id="grace")]
    for number, one in enumerate(both):
        await store.sessions.begin(f"code {number}", one)

    assert [one async for one in store.sessions.all()] == both


@pytest.mark.parametrize("is_away", [False, True])
async def test_h11_value_that_is_too_large_to_read_hides_no_other_session(is_away: bool) -> None:
    """H11: one value that takes too long is left out of the sessions; a store that is away is an error."""
    store = Store()
    for name in ("s1", "s2", "s3"):
        await store.sessions.begin(name, session().model_copy(update={"id": name}))
    store.backend.too_large = {"s2"}
    store.backend.is_away = is_away

    found: list[str] = []
    with pytest.raises(StorageUnavailable) if is_away else nullcontext():
        found = [one.id async for one in store.sessions.all()]

    assert found == ([] if is_away else ["s1", "s3"])


async def test_h11_record_that_is_changed_all_the_time_keeps_no_other_session() -> None:
    """H11: where one session cannot be ended, the others end, and the caller learns how many are left."""
    store = Store()
    for name in ("s1", "s2", "s3"):
        await store.sessions.begin(name, session().model_copy(update={"id": name}))
    store.backend.lost = 10  # every try to delete the first one

    counts = await store.sessions.end_each(["s1", "s2", "s3", "s4"], "by_operator")

    assert counts == (2, 1)
    assert [one.id async for one in store.sessions.all()] == ["s1"]
