"""The sessions that were read a moment ago: for how long they count, how many there are, and what removes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastmcp.server.auth import AccessToken

from m365_mcp.auth.mcp_tokens import RememberedAccess, assertion_of
from m365_mcp.auth.session_refresher import EARLY_SECONDS
from m365_mcp.auth.sessions import Sessions
from m365_mcp.auth.verified_sessions import VerifiedSessions
from m365_mcp.errors import M365Error, StorageUnavailable
from m365_mcp.storage.records import Records
from tests.auth.test_session import GRACE, session
from tests.auth.test_sessions import Seen, Store
from tests.inprocess import Tokens, World, running

EXPIRES, SECONDS = 10_000, 2.0
EXCHANGE = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def access(number: int = 1) -> AccessToken:
    return assertion_of(session().model_copy(update={"id": f"s{number}"}), EXPIRES)


@dataclass
class Remembered:
    """Some sessions, remembered by a clock that stands still."""

    most: int = 100
    seconds: float = SECONDS
    now: float = 0.0
    verified: VerifiedSessions = field(init=False)

    def __post_init__(self) -> None:
        self.verified = VerifiedSessions(self.seconds, self.most, lambda: self.now)

    def keep(self, number: int = 1, good_until: float = EXPIRES) -> None:
        self.verified.keep(f"s{number}", access(number), good_until, self.verified.changes)

    def knows(self, number: int = 1, expires_at: int = EXPIRES, now: float = 0.0) -> bool:
        return self.verified.find(f"s{number}", expires_at, now) is not None


def test_session_counts_for_the_chosen_seconds_from_its_reading() -> None:
    """Its use makes it count no longer, and what is found says that it is remembered."""
    remembered = Remembered()
    remembered.keep()
    remembered.now = SECONDS - 0.1
    found = remembered.verified.find("s1", EXPIRES, 0)
    remembered.now = SECONDS

    assert isinstance(found, RememberedAccess)
    assert dict(found) == dict(access())
    assert not remembered.knows()
    assert not isinstance(access(), RememberedAccess)


def test_zero_seconds_remember_nothing() -> None:
    """Then every call asks the store, also within the same tick of the clock."""
    remembered = Remembered(seconds=0)
    remembered.keep()

    assert not remembered.knows()
    assert len(remembered.verified) == 0


def test_number_of_sessions_is_bounded() -> None:
    """The session that was used least recently makes room; the others stay."""
    remembered = Remembered(most=3)
    for number in range(3):
        remembered.keep(number)
    assert remembered.knows(0)
    for number in range(3, 5):
        remembered.keep(number)

    assert len(remembered.verified) == 3
    assert [remembered.knows(number) for number in range(5)] == [True, False, False, True, True]


def test_another_token_and_an_old_assertion_have_the_store_asked() -> None:
    """What was learned is for one token, and ends when Entra's token no longer outlasts a call."""
    remembered = Remembered()
    remembered.keep(good_until=500)

    assert [remembered.knows(now=499), remembered.knows(now=500)] == [True, False]
    assert not remembered.knows(expires_at=EXPIRES + 1)


def test_what_was_being_read_when_a_session_changed_is_not_remembered() -> None:
    """A reading that began before the end of the session may have seen it alive."""
    remembered = Remembered()
    remembered.keep(2)
    changes = remembered.verified.changes
    remembered.verified.forget("s1")
    remembered.verified.keep("s1", access(1), EXPIRES, changes)

    assert [remembered.knows(1), remembered.knows(2)] == [False, True]


async def test_end_that_the_store_does_not_confirm_removes_the_session_too() -> None:
    """The store may have made the change; and a reading that finds no session removes it as well."""
    store, verified = Store(), VerifiedSessions(SECONDS)
    sessions = Sessions(store.records, store.metrics, GRACE, lambda: store.now, verified=verified)
    verified.keep("s1", access(), EXPIRES, verified.changes)
    verified.keep("s2", access(2), EXPIRES, verified.changes)
    assert await sessions.find("s1") is None
    store.backend.is_away = True
    with pytest.raises(StorageUnavailable):
        await sessions.end("s2", "by_client")

    assert len(verified) == 0


class ReadMeanwhile(Seen):
    """A backend that another call has read from, and remembered the session, just before each write."""

    verified: VerifiedSessions

    async def compare_and_swap(
        self, collection: str, key: str, old: str | None, new: str | None, seconds: float
    ) -> bool:
        self.verified.keep("s1", access(), EXPIRES, self.verified.changes)
        return await super().compare_and_swap(collection, key, old, new, seconds)


async def test_session_that_is_read_while_it_ends_is_forgotten_with_its_end() -> None:
    """The reading saw the session alive before the store ended it."""
    store, verified = Store(), VerifiedSessions(SECONDS)
    backend = ReadMeanwhile(store.backend)
    backend.verified = verified
    records = Records(backend, store.records._cipher)
    sessions = Sessions(records, store.metrics, GRACE, lambda: store.now, verified=verified)
    await sessions.begin("code", session())
    assert len(verified) == 1

    assert await sessions.end("s1", "by_client")
    assert len(verified) == 0


async def revoke(world: World, tokens: Tokens) -> None:
    async with world.http() as http:
        await http.post("/revoke", data={"token": tokens.access, "client_id": tokens.client_id})


async def refresh(world: World, tokens: Tokens) -> int:
    form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh, "client_id": tokens.client_id}
    return (await world.token(**form, scope="mcp-access")).status_code


async def replay(world: World, tokens: Tokens) -> None:
    assert await refresh(world, tokens) == 200
    assert await let_in(world, tokens) is not None
    assert await refresh(world, tokens) == 401


async def refused_by_microsoft(world: World, tokens: Tokens) -> None:
    outbox = await world.outbox(tokens)
    body = {"error": "invalid_grant", "error_codes": [50173]}
    await world.fault({"grant_type": EXCHANGE}, {"status": 400, "body": body})
    with pytest.raises(M365Error):
        await outbox.mailbox.tokens.get()


async def let_in(world: World, tokens: Tokens) -> AccessToken | None:
    return await world.container.auth.load_access_token(tokens.access)


@pytest.mark.parametrize("end", [revoke, replay, refused_by_microsoft])
async def test_session_that_ended_at_this_replica_is_refused_at_once(
    end: Callable[[World, Tokens], Awaitable[Any]],
) -> None:
    """By sign-out, a refresh token used again, and Microsoft; and so is a call with the Graph token still in memory."""
    async with running(mcp_session_cache_seconds=30, mcp_refresh_grace_seconds=0) as world:
        tokens, other = await world.sign_in(), await world.sign_in("grace@contoso.example")
        if end is not refused_by_microsoft:
            await (await world.outbox(tokens)).mailbox.profile()
        before = [await let_in(world, one) for one in (tokens, tokens, other)]
        await end(world, tokens)
        after = await let_in(world, tokens)
        await let_in(world, other)

        assert isinstance(before[1], RememberedAccess)
        assert after is None
        assert isinstance(await let_in(world, other), RememberedAccess)


async def test_refresh_at_this_replica_is_seen_at_once() -> None:
    """A rotated session is read anew, with Entra's new token, and remembered for the new token afterwards."""
    async with running(mcp_session_cache_seconds=30) as world:
        tokens = await world.sign_in()
        old = [await let_in(world, tokens) for _ in range(2)]
        assert await refresh(world, tokens) == 200
        new = [await let_in(world, tokens) for _ in range(2)]

        assert [isinstance(one, RememberedAccess) for one in (*old, *new)] == [False, True, False, True]
        assert {one.token for one in old if one}.isdisjoint({one.token for one in new if one})


async def test_memory_holds_no_token_of_a_client_and_no_refresh_token() -> None:
    """What is remembered is what every call holds while it runs, and its end is before that of Entra's token."""
    async with running(mcp_session_cache_seconds=30) as world:
        tokens = await world.sign_in()
        await let_in(world, tokens)
        [stored] = [one async for one in world.container.sign_ins.sessions.all()]
        verified = world.container.sign_ins.sessions.verified
        [(key, entry)] = verified._entries.items()

        held = f"{key} {dict(entry.access)}"
        assert stored.upstream.access_token in held
        assert [secret in held for secret in (tokens.access, tokens.refresh, str(stored.upstream.refresh_token))] == [
            False
        ] * 3
        assert stored.upstream.access_token not in repr(entry)
        assert entry.good_until == stored.upstream.expires_at - EARLY_SECONDS
