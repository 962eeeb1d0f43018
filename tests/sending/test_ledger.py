"""What the ledger records of a send, how long it recognises a repeat, and when a send counts as abandoned."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.fernet import Fernet
from pydantic import ValidationError

from m365_mcp.errors import IdempotencyKeyReused, OutcomeUnknown, StorageUnavailable
from m365_mcp.person import PersonId
from m365_mcp.sending import ledger, send_records
from m365_mcp.sending.ledger import Ledger, RepeatWindows
from m365_mcp.sending.ledger_entry import Entry, Reservation
from m365_mcp.sending.send_request import SendRequest
from m365_mcp.storage.encryption import RecordCipher
from m365_mcp.storage.leases import Lease, Leases
from m365_mcp.storage.newest_seen import NewestSeen
from m365_mcp.storage.records import ABSENT, Records, Write
from tests.auth.test_sessions import Store
from tests.backends import OneByOne

ADA = PersonId("t", "ada")


class TimedBackend(OneByOne):
    """A backend whose texts expire by a clock of the test."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self._texts: dict[tuple[str, str], tuple[str, float]] = {}

    async def get(self, collection: str, key: str) -> str | None:
        text, ends = self._texts.get((collection, key), (None, 0.0))
        return text if self.now < ends else None

    async def compare_and_swap(
        self, collection: str, key: str, old: str | None, new: str | None, seconds: float
    ) -> bool:
        if await self.get(collection, key) != old:
            return False
        self._texts.pop((collection, key), None)
        if new is not None:
            self._texts[collection, key] = (new, self.now + seconds)
        return True

    async def keys(self, collection: str) -> AsyncIterator[str]:
        for name, key in self._texts:
            if name == collection:
                yield key


async def is_repeat(backend: TimedBackend, request: SendRequest, after: float) -> bool:
    """Send once, advance the clock, and return whether the same request then counts as a repeat."""
    newest = NewestSeen(clock=lambda: backend.now)
    records = Records(backend, RecordCipher(Fernet(Fernet.generate_key())), newest)
    windows = RepeatWindows(key=7200.0, message=300.0)
    one = Ledger(records, Leases(records), windows, lambda: backend.now)
    reservation = await one.reserve(request)
    await one.update(reservation, state="sent", receipt={"accepted_at": "now"})
    backend.now += after
    return not (await one.reserve(request)).is_ours


@pytest.mark.parametrize(
    ("key", "after", "expected"),
    [(None, 299, True), (None, 301, False), ("k", 301, True), ("k", 7199, True), ("k", 7201, False)],
)
async def test_repeat_is_recognised_within_its_own_window(key: str | None, after: float, expected: bool) -> None:
    """The ledger recognises an equal key in the window of keys, and an equal message in the window of messages."""
    request = SendRequest(ADA, "fingerprint", idempotency_key=key)

    assert await is_repeat(TimedBackend(), request, after) is expected


NOW = 1_000_000.0
PLAIN = SendRequest(ADA, "ours", composed_fingerprint="theirs")
UNREADABLE = "This server's record of an earlier call for this message cannot be read: the message may be sent."


class HeldElsewhere(Leases):
    """Leases of which the named ones are held by another replica for ever."""

    held: frozenset[str] = frozenset()

    async def is_held(self, name: str) -> bool:
        return name in self.held

    async def acquire(self, names: tuple[str, ...], wait_seconds: float) -> Lease:
        if self.held & set(names):
            self.asked = (names, wait_seconds)
            raise TimeoutError
        return await super().acquire(names, wait_seconds)


class Book:
    """A ledger whose clock, leases and races a test decides."""

    def __init__(self, **windows: float) -> None:
        self.store = Store()
        self.now = NOW
        self.leases = HeldElsewhere(self.store.records)
        self.ledger = Ledger(self.store.records, self.leases, RepeatWindows(**windows), lambda: self.now)

    async def entry(self, name: str) -> dict[str, Any] | None:
        return (await self.store.records.read("m365-sends", name)).value


def _written(book: Book) -> list[tuple[str, str, bool]]:
    return [written[:3] for written in book.store.backend.written]


def _failed(reservation: Reservation) -> dict[str, Any]:
    return reservation.entry.model_copy(update={"state": "failed"}).model_dump()


async def _until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not happened():  # noqa: ASYNC110 - it happens in this process, with nothing to wait for
            await asyncio.sleep(0)


def test_times_are_the_documented_ones() -> None:
    """A key is remembered for a day and a message for ten minutes; a send may run for three minutes."""
    assert RepeatWindows() == RepeatWindows(key=86_400.0, message=600.0)
    assert (ledger.WORK_SECONDS, ledger.START_SECONDS) == (180.0, 5.0)
    assert (ledger.LEASE_WAIT_SECONDS, send_records.POLL_SECONDS) == (10.0, 0.1)


@pytest.mark.parametrize("records_draft", [True, False])
async def test_record_of_a_send_has_what_any_version_needs(records_draft: bool) -> None:
    """Both records hold the same entry, for as long as an equal message is a repeat; the first names the lease."""
    book = Book(message=300.0, key=7200.0)

    reservation = await book.ledger.reserve(replace(PLAIN, save_to_sent=False), records_draft=records_draft)

    assert reservation.is_ours
    assert reservation.name == PLAIN.names()[0]
    assert reservation.names == PLAIN.names()
    assert len(bytes.fromhex(reservation.entry.message_id)) == 16
    expected = {
        "state": "sending",
        "fingerprint": "theirs",
        "request_fingerprint": "ours",
        "message_id": reservation.entry.message_id,
        "began_at": NOW,
        "draft_id": None,
        "receipt": None,
        "lease": PLAIN.names()[0],
        "records_draft": records_draft,
        "save_to_sent": False,
        "held_until": None,
        "rule": None,
    }
    assert [await book.entry(name) for name in PLAIN.names()] == [expected, expected]
    assert [(collection, key, seconds) for collection, key, _, seconds in book.store.backend.written] == [
        *(("m365-sends", name, 300.0) for name in PLAIN.names()),
        ("m365-leases", f"send.{PLAIN.names()[0]}", 4.0),
    ]


async def test_record_of_a_key_is_one_and_lives_longer() -> None:
    """The id that the message already has is used."""
    book, request = Book(message=300.0, key=7200.0), replace(PLAIN, idempotency_key="k", message_id="its-id")

    reservation = await book.ledger.reserve(request)

    assert (reservation.entry.message_id, reservation.seconds) == ("its-id", 7200.0)
    assert book.store.backend.written == [
        ("m365-sends", request.names()[0], True, 7200.0),
        ("m365-leases", f"send.{request.names()[0]}", True, 4.0),
    ]
    assert (reservation.entry.records_draft, reservation.entry.save_to_sent) == (False, True)


async def test_lost_races_for_a_record_are_tried_again() -> None:
    """Nothing could be created, nine times another call was first, and the tenth is an outage."""
    book, created = Book(), len((*PLAIN.names(), "lease"))

    book.store.backend.lost = created + 10
    with pytest.raises(StorageUnavailable):
        await book.ledger.reserve(PLAIN)
    book.store.backend.lost = created + 9
    assert (await book.ledger.reserve(PLAIN)).is_ours


@pytest.mark.parametrize("value", [{"of": "another shape"}, None], ids=["another shape", "another key"])
async def test_unreadable_record_is_an_unknown_outcome(value: dict[str, str] | None) -> None:
    """Nobody can tell what the earlier call has done."""
    book = Book()
    if value is None:
        await book.store.backend.compare_and_swap("m365-sends", PLAIN.names()[0], None, "rubbish", 60)
    else:
        await book.store.records.compare_and_swap("m365-sends", PLAIN.names()[0], ABSENT, value, 60)

    with pytest.raises(OutcomeUnknown) as caught:
        await book.ledger.reserve(PLAIN)
    assert caught.value.sentence == UNREADABLE


async def test_key_of_another_message_is_an_error() -> None:
    """A message is the same when the request or the composed mail is; then it is a repeat."""
    book, keyed = Book(), replace(PLAIN, idempotency_key="k")
    first = await book.ledger.reserve(keyed)
    await book.ledger.update(first, state="sent", receipt={"accepted_at": "now"})

    for same in (replace(keyed, fingerprint="other"), replace(keyed, composed_fingerprint="other")):
        assert not (await book.ledger.reserve(same)).is_ours
    with pytest.raises(IdempotencyKeyReused):
        await book.ledger.reserve(replace(keyed, fingerprint="other", composed_fingerprint="another"))


@pytest.mark.parametrize(
    ("age", "held", "state"),
    [(5.1, False, "unknown"), (180.1, True, "unknown"), (180.1, False, "unknown")],
)
async def test_abandoned_send_becomes_unknown_in_every_record(age: float, held: bool, state: str) -> None:
    """Five seconds after its record a send has a lease, or its process is dead; after three minutes it is dead too."""
    book = Book()
    first = await book.ledger.reserve(PLAIN)
    book.leases.held = frozenset({f"send.{PLAIN.names()[0]}"}) if held else frozenset()
    book.now += age

    repeat = await book.ledger.reserve(PLAIN)

    assert (repeat.is_ours, repeat.entry.state, repeat.entry.message_id) == (False, state, first.entry.message_id)
    entries = [await book.entry(name) for name in PLAIN.names()]
    assert [entry and entry["state"] for entry in entries] == [state] * 2


@pytest.mark.parametrize(("age", "held"), [(5.0, False), (179.0, True), (180.0, True)])
async def test_running_send_is_waited_for(age: float, held: bool) -> None:
    """A repeat waits for the outcome, and gets the receipt of the first."""
    book = Book()
    first = await book.ledger.reserve(PLAIN)
    book.leases.held = frozenset({f"send.{PLAIN.names()[0]}"}) if held else frozenset()
    book.now += age
    waiting = asyncio.create_task(book.ledger.reserve(PLAIN))
    for _ in range(20):
        await asyncio.sleep(0)

    running = not waiting.done()
    await book.ledger.update(first, state="sent", receipt={"accepted_at": "now"})
    repeat = await waiting

    assert running
    assert (repeat.is_ours, repeat.entry.state, repeat.entry.receipt) == (False, "sent", {"accepted_at": "now"})


async def test_record_that_ends_during_the_wait_is_no_receipt() -> None:
    """Nobody knows the outcome then, and this call does not send."""
    book = Book()
    first = await book.ledger.reserve(PLAIN)
    waiting = asyncio.create_task(book.ledger.reserve(PLAIN))
    for _ in range(20):
        await asyncio.sleep(0)
    for name in PLAIN.names():
        stored = await book.store.records.read("m365-sends", name)
        await book.store.records.compare_and_swap("m365-sends", name, stored, None)

    repeat = await waiting

    assert (repeat.is_ours, repeat.entry) == (False, first.entry)


async def test_outcome_of_another_call_is_not_overwritten() -> None:
    """Who comes late gets what the other has written; both records change together, and foreign ones do not."""
    book = Book()
    first = await book.ledger.reserve(PLAIN)
    drafted = await book.ledger.update(first, draft_id="AAMk1")
    late = await book.ledger.update(first, state="unknown")
    sent = await book.ledger.update(drafted, state="sent")

    assert late.entry == drafted.entry
    assert late.stored == drafted.stored
    assert (sent.entry.state, sent.entry.draft_id) == ("sent", "AAMk1")
    for name in PLAIN.names():
        assert await book.entry(name) == sent.entry.model_dump()


async def test_outcome_is_stored_and_the_lease_released_at_once() -> None:
    """A send that has its lease writes both records and releases the lease, without a question to the store."""
    book = Book()
    reserved = await book.ledger.reserve(PLAIN)
    book.store.backend.written.clear()

    async with book.ledger.holding_lease(reserved):
        await book.ledger.settle(reserved, state="sent", receipt={"accepted_at": "now"})

    assert [(collection, is_text) for collection, _, is_text, _ in book.store.backend.written] == [
        ("m365-sends", True),
        ("m365-sends", True),
        ("m365-leases", False),
    ]
    assert [(await book.entry(name) or {})["state"] for name in PLAIN.names()] == ["sent", "sent"]


async def test_slot_is_taken_with_the_records_and_given_back_with_the_outcome() -> None:
    """One write has records, lease and slot, another the outcome; a call that repeats the send keeps no slot."""
    book, slots = Book(), ("mailbox.a", "mailbox.b")
    reserved = await book.ledger.reserve(PLAIN, slot=slots[0])
    assert reserved.slot is not None

    async with book.ledger.holding_lease(reserved):
        await book.ledger.settle(reserved, reserved.slot, state="sent", receipt={"accepted_at": "now"})
        repeat = await book.ledger.reserve(PLAIN, slot=slots[1])

    assert not repeat.is_ours
    assert [(await book.store.records.read("m365-leases", slot)).value for slot in slots] == [None, None]
    assert reserved.slot.is_released


async def test_lease_that_may_have_expired_before_the_send_is_acquired_anew() -> None:
    """A reservation that took long leaves no send without a lease."""
    book = Book()
    reserved = await book.ledger.reserve(PLAIN)
    assert reserved.lease is not None
    reserved.lease.sure_until = 0.0
    await book.store.records.overwrite(Write("m365-leases", reserved.lease.name, None))

    async with book.ledger.holding_lease(reserved):
        assert (await book.store.records.read("m365-leases", reserved.lease.name)).value is not None


async def test_outcome_without_a_sure_lease_changes_no_record_of_another_call() -> None:
    """A send that may have lost its lease compares before it writes."""
    book = Book()
    reserved = await book.ledger.reserve(PLAIN)
    assert reserved.lease is not None
    reserved.lease.sure_until = 0.0
    theirs = await book.ledger.update(reserved, state="unknown", draft_id="theirs")

    await book.ledger.settle(reserved, state="sent")

    assert await book.entry(PLAIN.names()[0]) == theirs.entry.model_dump()


async def test_call_that_loses_the_first_record_gives_back_what_it_created() -> None:
    """Of two calls at once, the one without the first record releases the second, and no lease hides the other."""
    book = Book()
    first, second = PLAIN.names()
    other = await book.ledger.reserve(PLAIN)
    await book.store.records.overwrite(Write("m365-sends", second, None), Write("m365-leases", f"send.{first}", None))
    book.store.backend.written.clear()
    sending = asyncio.create_task(book.ledger.reserve(PLAIN))
    await _until(lambda: ("m365-leases", f"send.{first}", False) in _written(book))

    await book.ledger.update(other, state="sent", receipt={"accepted_at": "now"})
    repeat = await sending

    assert not repeat.is_ours
    assert repeat.entry.message_id == other.entry.message_id
    assert (await book.entry(second) or {})["state"] == "failed"


async def test_call_with_the_first_record_waits_until_the_other_has_given_back_the_second() -> None:
    """A record of a call that lost the first is not taken for a send of its own."""
    book = Book()
    first, second = PLAIN.names()
    loser = await book.ledger.reserve(PLAIN)
    await book.store.records.overwrite(Write("m365-sends", first, None))
    sending = asyncio.create_task(book.ledger.reserve(PLAIN))
    await _until(lambda: len([one for one in _written(book) if one[1] == first]) == 3)

    await book.store.records.compare_and_swap(
        "m365-sends", second, await book.store.records.read("m365-sends", second), {**_failed(loser)}, 300.0
    )

    assert (await sending).is_ours


async def test_response_lost_on_the_way_to_the_store_reserves_all_the_same() -> None:
    """The Redis client asks again, and finds the record that its first attempt has created."""
    book = Book()
    book.store.backend.lost_responses = len((*PLAIN.names(), "lease"))

    reserved = await book.ledger.reserve(PLAIN)

    assert reserved.is_ours
    assert [(await book.entry(name) or {})["message_id"] for name in PLAIN.names()] == [reserved.entry.message_id] * 2


async def test_lost_record_of_a_send_keeps_what_is_known() -> None:
    """When the record is gone, the change is what is left to tell."""
    book = Book()
    first = await book.ledger.reserve(PLAIN)
    await book.store.records.compare_and_swap("m365-sends", first.name, first.stored, None)

    late = await book.ledger.update(first, state="unknown")

    assert late.entry.state == "unknown"
    assert late.stored == ABSENT


async def test_lease_of_a_send_is_held_under_its_name() -> None:
    """The record names it; a record of v0.1.0 names none, and is itself its name. Without a lease nothing is sent."""
    book = Book()
    reserved = await book.ledger.reserve(PLAIN)
    async with book.ledger.holding_lease(reserved):
        assert (await book.store.records.read("m365-leases", f"send.{PLAIN.names()[0]}")).value is not None
    assert (await book.store.records.read("m365-leases", f"send.{PLAIN.names()[0]}")).value is None
    first = replace(reserved, lease=None)
    theirs = replace(first, entry=first.entry.model_copy(update={"lease": None}), name="of-v0-1-0")

    for reservation, name in ((first, PLAIN.names()[0]), (theirs, "of-v0-1-0")):
        async with book.ledger.holding_lease(reservation):
            assert (await book.store.records.read("m365-leases", f"send.{name}")).value is not None
    book.leases.held = frozenset({f"send.{PLAIN.names()[0]}"})
    with pytest.raises(StorageUnavailable):
        async with book.ledger.holding_lease(first):
            raise AssertionError("another replica has the lease")
    assert book.leases.asked == ((f"send.{PLAIN.names()[0]}",), 10.0)


@pytest.mark.parametrize(
    ("draft_id", "save_to_sent", "is_saved"), [("AAMk1", False, True), (None, False, False), (None, None, None)]
)
def test_entry_tells_whether_the_mail_is_saved(
    draft_id: str | None, save_to_sent: bool | None, is_saved: bool | None
) -> None:
    """Graph saves every draft that it sends."""
    entry = Entry(state="sent", fingerprint="f", message_id="m", began_at=0.0, draft_id=draft_id)

    assert entry.model_copy(update={"save_to_sent": save_to_sent}).is_saved is is_saved


def test_field_of_a_later_version_stays_in_the_entry() -> None:
    """A replica of this version hands on what it does not know."""
    entry = Entry.model_validate({"state": "sent", "fingerprint": "f", "message_id": "m", "began_at": 0, "later": 1})

    assert entry.model_copy(update={"state": "unknown"}).model_dump()["later"] == 1


def test_entry_is_never_changed_in_place() -> None:
    """What was read from the store stays what it was."""
    entry = Entry(state="sent", fingerprint="f", message_id="m", began_at=0.0)

    with pytest.raises(ValidationError):
        entry.state = "failed"  # type: ignore[misc]


@pytest.mark.parametrize("state", ["sent", "unknown"])
async def test_message_that_is_composed_differently_gets_the_outcome_in_its_own_record(state: str) -> None:
    """v0.1.0, which looks there only, hears of the earlier send under the fingerprint that it compares."""
    book, other = Book(), replace(PLAIN, composed_fingerprint="composed otherwise")
    first = await book.ledger.update(await book.ledger.reserve(PLAIN), state=state)

    repeat = await book.ledger.reserve(other)

    assert (repeat.is_ours, repeat.entry.state) == (False, state)
    expected = {**first.entry.model_dump(), "fingerprint": "composed otherwise"}
    assert await book.entry(other.names()[0]) == expected


DRAFT = SendRequest(ADA, "a digest of the draft's id", own_key="draft d")
CALLERS = SendRequest(ADA, "another message", idempotency_key="draft d")
AS_BEFORE = replace(CALLERS, idempotency_key=None, own_key="draft d")  # as versions before this one recorded it


@pytest.mark.parametrize(
    ("state", "is_repeat"), [("sent", True), ("unknown", True), ("held", True), ("declined", True), ("failed", False)]
)
async def test_key_like_ours_that_an_earlier_version_recorded_is_a_repeat(state: Any, is_repeat: bool) -> None:
    """A record under the old name counts as long as it lasts; after a failure the mail is sent under the new name."""
    backend = TimedBackend()
    newest = NewestSeen(clock=lambda: backend.now)
    records = Records(backend, RecordCipher(Fernet(Fernet.generate_key())), newest)
    one = Ledger(records, Leases(records), clock=lambda: backend.now)
    await one.update(await one.reserve(AS_BEFORE), state=state, held_until=backend.now + 60)

    found = await one.reserve(CALLERS)
    backend.now += one.windows.key + 1
    later = await one.reserve(CALLERS)

    assert found.is_ours is not is_repeat
    assert found.names == (AS_BEFORE if is_repeat else CALLERS).names()
    assert later.is_ours


async def test_h12_key_of_a_caller_that_is_spelled_like_ours_is_not_met() -> None:
    """A caller's mail with the key `draft d` neither stops the draft nor looks like its receipt, in either order."""
    for first, second in ((CALLERS, DRAFT), (DRAFT, CALLERS)):
        records = Records(TimedBackend(), RecordCipher(Fernet(Fernet.generate_key())))
        one = Ledger(records, Leases(records))
        await one.update(await one.reserve(first), state="sent", receipt={"accepted_at": "now"})

        assert (await one.reserve(second)).is_ours
