"""A store that somebody without the key takes back to an older state, and replicas that saw the newer one."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Mapping

import pytest
from cryptography.fernet import Fernet

from m365_mcp.errors import StorageUnavailable
from m365_mcp.storage.encryption import RecordCipher
from m365_mcp.storage.newest_seen import RULES, SKEW_SECONDS, NewestSeen, Numbered, RollbackReports, StoreRolledBack
from m365_mcp.storage.records import ABSENT, Records, Versioned
from tests.backends import OneByOne

NOON = 1_800_000_000.0
SESSIONS, SENDS, LINKS = "m365-sessions", "m365-sends", "m365-upload-tickets"
CODES, ASSERTIONS = "m365-redeemed-codes", "m365-client-assertions"
SENT = {"state": "sent", "receipt": {"accepted_at": "noon"}}


class Texts(OneByOne):
    """A store whose texts anybody may read, delete and put back, and whose requests are counted."""

    def __init__(self) -> None:
        self.texts: dict[tuple[str, str], str] = {}
        self.asked = 0
        self.is_read_only = False
        self.answering = asyncio.Event()
        self.answering.set()

    async def get(self, collection: str, key: str) -> str | None:
        self.asked += 1
        found = self.texts.get((collection, key))
        await self.answering.wait()
        return found

    async def compare_and_swap(
        self, collection: str, key: str, old: str | None, new: str | None, seconds: float
    ) -> bool:
        self.asked += 1
        if self.is_read_only:
            raise StorageUnavailable
        if self.texts.get((collection, key)) != old:
            return False
        self.texts.pop((collection, key), None)
        if new is not None:
            self.texts[collection, key] = new
        return True

    async def keys(self, collection: str) -> AsyncIterator[str]:
        for name, key in self.texts:
            if name == collection:
                yield key


class Replica(Records):
    """One replica's view of the store, with a clock of its own."""

    def __init__(self, store: Texts, cipher: RecordCipher, skew: float = 0.0) -> None:
        self.now = NOON + skew
        self.told: list[StoreRolledBack] = []
        super().__init__(store, cipher, NewestSeen(RollbackReports([self.told.append]), lambda: self.now))

    async def write(self, collection: str, value: Mapping[str, object], seconds: float = 600.0) -> Versioned:
        """Change the record `k` from whatever it is."""
        stored = await self.read(collection, "k")
        written = await self.compare_and_swap(collection, "k", stored, value, seconds)
        assert written is not None
        return written

    async def value(self, collection: str) -> dict[str, object] | None:
        return (await self.read(collection, "k")).value


class Lab:
    """Replicas that share one store."""

    def __init__(self) -> None:
        self.store = Texts()
        self.cipher = RecordCipher(Fernet(Fernet.generate_key()))
        self.one, self.other = self.replica(), self.replica()

    def replica(self, skew: float = 0.0) -> Replica:
        return Replica(self.store, self.cipher, skew)

    def text(self, collection: str) -> str:
        return self.store.texts[collection, "k"]

    def put_back(self, collection: str, text: str | None) -> None:
        """Do what a writer without the key can do: set an older text, or delete."""
        self.store.texts.pop((collection, "k"), None)
        if text is not None:
            self.store.texts[collection, "k"] = text


async def test_h10_deleted_session_stays_deleted_and_leaves_the_store_again() -> None:
    """The replica that deleted it does not take it back, and after that no replica finds it."""
    lab = Lab()
    await lab.one.write(SESSIONS, {"issued": [1]})
    old = lab.text(SESSIONS)
    await lab.one.compare_and_swap(SESSIONS, "k", await lab.one.read(SESSIONS, "k"), None)
    lab.put_back(SESSIONS, old)

    found = await lab.one.value(SESSIONS)

    assert found is None
    assert lab.store.texts == {}
    assert await lab.other.value(SESSIONS) is None
    assert lab.one.told == [StoreRolledBack(SESSIONS, "k", "older")]


async def test_h10_replica_that_found_a_session_missing_knows_it_has_ended() -> None:
    """Another replica, or an operator's command, has deleted it: who saw it there before and then not, remembers."""
    lab = Lab()
    await lab.one.write(SESSIONS, {"issued": [1]})
    old = lab.text(SESSIONS)
    before = await lab.other.value(SESSIONS)
    await lab.one.compare_and_swap(SESSIONS, "k", await lab.one.read(SESSIONS, "k"), None)
    missing = await lab.other.value(SESSIONS)
    lab.put_back(SESSIONS, old)

    assert (before, missing) == ({"issued": [1]}, None)
    assert await lab.other.value(SESSIONS) is None


async def test_h10_replica_that_saw_nothing_believes_the_store() -> None:
    """As docs/security.md says: what no living replica has seen, and what was seen before a restart, is not known."""
    lab = Lab()
    await lab.one.write(SESSIONS, {"issued": [1]})
    old = lab.text(SESSIONS)
    await lab.one.compare_and_swap(SESSIONS, "k", await lab.one.read(SESSIONS, "k"), None)
    lab.put_back(SESSIONS, old)

    assert await lab.replica().value(SESSIONS) == {"issued": [1]}


async def test_h10_older_session_lives_with_the_newest_token_numbers() -> None:
    """A session that lost its last write is not signed out; its used tokens stay used, on the other replicas too."""
    lab = Lab()
    await lab.one.write(SESSIONS, {"issued": [1], "upstream": "first"})
    old = lab.text(SESSIONS)
    await lab.one.write(SESSIONS, {"issued": [1, 2], "upstream": "second"})
    lab.put_back(SESSIONS, old)

    found = await lab.one.value(SESSIONS)

    assert found == {"issued": [1, 2], "upstream": "first"}
    assert await lab.other.value(SESSIONS) == found
    await lab.other.write(SESSIONS, {"issued": [2, 3], "upstream": "third"})
    assert await lab.one.value(SESSIONS) == {"issued": [2, 3], "upstream": "third"}
    assert (len(lab.one.told), len(lab.other.told)) == (1, 0)


RETURNS = [
    (state, to)
    for state in ("sending", "sent", "unknown", "held", "declined")
    for to in ("missing", "older", "unreadable")
]


@pytest.mark.parametrize(("state", "to"), [one for one in RETURNS if one != ("held", "missing")])
async def test_h10_record_of_a_send_comes_back_as_it_was(state: str, to: str) -> None:
    """Whether it is deleted, older or spoilt: who saw it goes by it and puts it back, for the replica that did not."""
    lab = Lab()
    await lab.one.write(SENDS, {"state": "failed"})
    older = {"missing": None, "older": lab.text(SENDS), "unreadable": "x"}[to]
    await lab.one.write(SENDS, {**SENT, "state": state})
    lab.put_back(SENDS, older)

    found = await lab.one.value(SENDS)

    assert found == {**SENT, "state": state}
    assert await lab.other.value(SENDS) == found
    assert lab.one.told == [StoreRolledBack(SENDS, "k", to)]  # type: ignore[arg-type]


async def test_h10_held_send_that_is_missing_was_decided_elsewhere() -> None:
    """What follows a held record lives shorter than it: a decided mail does not come back, and nobody is alarmed."""
    lab = Lab()
    await lab.one.write(SENDS, {**SENT, "state": "held"})
    await lab.other.write(SENDS, {**SENT, "state": "declined"})
    lab.put_back(SENDS, None)

    assert await lab.one.value(SENDS) is None
    assert lab.one.told == []


async def test_h10_session_that_was_spoilt_can_be_ended_and_stays_out() -> None:
    """Rubbish over a session keeps nobody from ending it, and its old text is not believed afterwards."""
    lab = Lab()
    await lab.one.write(SESSIONS, {"issued": [1]})
    old = lab.text(SESSIONS)
    lab.put_back(SESSIONS, "rubbish")
    stored = await lab.one.read(SESSIONS, "k")

    ended = await lab.one.compare_and_swap(SESSIONS, "k", stored, None)
    lab.put_back(SESSIONS, old)

    assert ended is not None
    assert await lab.one.value(SESSIONS) is None


async def test_h10_failed_send_may_be_tried_again_when_its_record_is_gone() -> None:
    """A record that permits a send loses nothing by going back, so it is not remembered."""
    lab = Lab()
    await lab.one.write(SENDS, SENT)
    await lab.one.write(SENDS, {"state": "failed"})
    lab.put_back(SENDS, None)

    assert await lab.one.value(SENDS) is None
    assert lab.one.told == []


@pytest.mark.parametrize("collection", [CODES, ASSERTIONS, SENDS])
async def test_h10_what_counts_once_is_not_created_a_second_time(collection: str) -> None:
    """A deleted mark of a code, an assertion or a send does not make room for a new one where it was seen."""
    lab = Lab()
    await lab.one.compare_and_swap(collection, "k", ABSENT, SENT, 600)
    lab.put_back(collection, None)

    again = await lab.one.compare_and_swap(collection, "k", ABSENT, SENT, 600)

    assert again is None


async def test_h10_used_upload_link_stays_used() -> None:
    """The record of a link from before its upload is not believed."""
    lab = Lab()
    await lab.one.write(LINKS, {"state": "open"})
    opened = lab.text(LINKS)
    await lab.one.write(LINKS, {"state": "uploading"})
    await lab.one.write(LINKS, {"state": "done", "sha256": "f"})
    await lab.other.value(LINKS)
    lab.put_back(LINKS, opened)

    assert await lab.other.value(LINKS) == {"state": "done", "sha256": "f"}
    assert await lab.one.value(LINKS) == {"state": "done", "sha256": "f"}


async def test_h10_change_of_an_older_text_is_refused() -> None:
    """The store goes back between a caller's read and its write to what it read: its write does not succeed."""
    lab = Lab()
    await lab.one.write(SENDS, {"state": "sending"})
    read, old = await lab.one.read(SENDS, "k"), lab.text(SENDS)
    await lab.one.write(SENDS, SENT)
    lab.put_back(SENDS, old)

    assert await lab.one.compare_and_swap(SENDS, "k", read, {"state": "failed"}, 600) is None
    assert await lab.one.value(SENDS) == SENT


async def test_h10_store_that_takes_no_writes_is_read_all_the_same() -> None:
    """What cannot be put back counts nevertheless where it was seen."""
    lab = Lab()
    await lab.one.write(SENDS, SENT)
    lab.put_back(SENDS, None)
    lab.store.is_read_only = True

    assert await lab.one.value(SENDS) == SENT
    assert lab.store.texts == {}


async def test_h10_rollback_is_told_once_for_each_state() -> None:
    """Whoever deletes a record again and again fills no log; a later state is told anew."""
    lab = Lab()
    for _ in range(2):
        await lab.one.write(SENDS, SENT)
        for _ in range(3):
            lab.put_back(SENDS, None)
            await lab.one.value(SENDS)

    assert lab.one.told == [StoreRolledBack(SENDS, "k", "missing")] * 2


async def test_h10_nothing_more_is_asked_of_the_store() -> None:
    """A read is one request, known or not, and a change is one; only what is put back costs one more."""
    lab = Lab()
    asked = []
    for step in (
        lab.one.compare_and_swap(SENDS, "k", ABSENT, SENT, 600),
        lab.one.read(SENDS, "k"),
        lab.other.read(SENDS, "k"),
        lab.other.read(SENDS, "k"),
    ):
        lab.store.asked = 0
        await step
        asked.append(lab.store.asked)
    lab.put_back(SENDS, None)
    for _ in range(2):
        lab.store.asked = 0
        await lab.other.read(SENDS, "k")
        asked.append(lab.store.asked)

    assert asked == [1, 1, 1, 1, 2, 1]


async def test_h10_answer_that_was_overtaken_is_no_rollback() -> None:
    """A read that the store answered before a change, and that arrives after it, takes nothing back."""
    lab = Lab()
    first = await lab.one.write(SENDS, {"state": "sending"})
    lab.store.answering.clear()
    slow = asyncio.create_task(lab.one.read(SENDS, "k"))
    await asyncio.sleep(0)
    assert await lab.one.compare_and_swap(SENDS, "k", first, SENT, 600) is not None
    lab.store.answering.set()

    assert (await slow).value == {"state": "sending"}
    assert await lab.one.value(SENDS) == SENT
    assert lab.one.told == []


async def test_record_that_has_expired_is_forgotten_with_it() -> None:
    """After its time, a record is missing because it is over: on the replica that wrote it, and on one that read it."""
    lab = Lab()
    await lab.one.write(SENDS, SENT, seconds=600)
    await lab.other.value(SENDS)
    lab.put_back(SENDS, None)
    for replica in (lab.one, lab.other):
        replica.now = NOON + 600

    assert [await lab.one.value(SENDS), await lab.other.value(SENDS)] == [None, None]
    assert lab.one.told == lab.other.told == []


@pytest.mark.parametrize("skew", [-SKEW_SECONDS, SKEW_SECONDS])
async def test_clocks_that_differ_make_no_rollback(skew: float) -> None:
    """Changes by replicas whose clocks differ by a minute follow each other, and the end of a record is its end."""
    lab = Lab()
    other = lab.replica(skew)
    for number in range(6):
        await (lab.one, other)[number % 2].write(SENDS, {"state": "sent", "n": number})
        assert [await one.value(SENDS) for one in (lab.one, other)] == [{"state": "sent", "n": number}] * 2
    lab.put_back(SENDS, None)
    lab.one.now, other.now = NOON + 600, NOON + 600 + skew
    fresh = await lab.one.write(SENDS, {"state": "sending"})

    assert (await other.read(SENDS, "k")) == fresh
    assert lab.one.told == other.told == []


@pytest.mark.parametrize("collection", [SESSIONS, SENDS, LINKS])
async def test_records_of_v0_1_0_are_read_and_changed(collection: str) -> None:
    """A record without a number is an honest one; after its first change it has a number, and does not go back."""
    lab = Lab()
    before = {"state": "sending", "issued": [1]}
    lab.put_back(collection, lab.cipher.encrypt(before, collection, "k"))
    old = lab.text(collection)
    assert [await one.value(collection) for one in (lab.one, lab.other)] == [before] * 2
    after = {"state": "done" if collection == LINKS else "sent", "issued": [1, 2]}
    await lab.one.write(collection, after)
    lab.put_back(collection, old)
    found = await lab.one.value(collection)

    # Of a session, the numbers of tokens stay; a send is a repeat in either state.
    assert found == {SESSIONS: {**before, "issued": [1, 2]}, SENDS: before, LINKS: after}[collection]
    assert lab.other.told == []


async def test_number_is_inside_what_is_encrypted_and_no_caller_sees_it() -> None:
    """v0.1.0 finds one field more; callers find what they have written; other collections have no number."""
    lab = Lab()
    await lab.one.write(SENDS, SENT)
    await lab.one.write("m365-leases", SENT)
    sealed = lab.cipher.decrypt(lab.text(SENDS), SENDS, "k")

    assert sealed == {**SENT, "revision": {"number": NOON * 1000, "until": NOON + 600}}
    assert await lab.one.value(SENDS) == await lab.other.value(SENDS) == SENT
    assert lab.cipher.decrypt(lab.text("m365-leases"), "m365-leases", "k") == SENT


def test_memory_has_a_bound_and_forgets_what_was_used_least() -> None:
    """The newest records are remembered, up to a number."""
    newest, most = NewestSeen(clock=lambda: NOON), RULES[CODES].most
    for number in range(most + 10):
        newest.note(CODES, f"{number}", Numbered(SENT, 1, NOON + 60))

    assert newest.find(CODES, "9") is None
    assert newest.find(CODES, "10") is not None
    assert newest.find(CODES, f"{most + 9}") is not None


def test_remembered_records_are_small() -> None:
    """The largest kind, a send with a long receipt, takes less than 2 KB, so that all of them take less than 100 MB."""
    newest = NewestSeen(clock=lambda: NOON)
    receipt = {f"field {number}": "x" * 24 for number in range(16)}
    tracemalloc.start()
    for number in range(300):
        newest.note(SENDS, f"{number:064}", Numbered({**SENT, "receipt": receipt}, 1, NOON + 60))
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert used / 300 < 2_000
    assert sum(rule.most for rule in RULES.values()) < 100_000_000 / 1_000
