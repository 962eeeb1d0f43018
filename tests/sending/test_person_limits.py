"""The limits of one person, and the request that a send begins with."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from m365_mcp.errors import MessageRefused, OutcomeUnknown, RateLimited, StorageUnavailable, Throttled
from m365_mcp.person import PersonId
from m365_mcp.sending.person_limits import MailboxSlots, RecipientRateLimit
from m365_mcp.sending.send_request import SendRequest, new_message_id
from m365_mcp.storage.leases import Leases
from tests.auth.test_sessions import Store

ADA, GRACE = PersonId("t", "ada"), PersonId("t", "grace")
HOUR_17 = 17 * 3600


async def test_mailbox_has_four_slots_where_v0_1_0_has_them() -> None:
    """Four requests run, a fifth hears when to come back; each slot is a lease with the name that v0.1.0 knows."""
    store = Store()
    slots = MailboxSlots(Leases(store.records), wait_seconds=0.0)
    mailbox = hashlib.sha256(b"t/ada").hexdigest()[:32]

    async with AsyncExitStack() as stack:
        for _ in range(4):
            await stack.enter_async_context(slots.slot(ADA))
        held = [await Leases(store.records).is_held(f"mailbox.{mailbox}.{number}") for number in range(5)]
        with pytest.raises(Throttled) as caught:
            await stack.enter_async_context(slots.slot(ADA))
        await stack.enter_async_context(slots.slot(GRACE))

    assert held == [True] * 4 + [False]
    assert caught.value.sentence == "This mailbox is busy with other messages."
    assert caught.value.retry_after == 10
    assert not await Leases(store.records).is_held(f"mailbox.{mailbox}.0")
    assert inspect.signature(MailboxSlots).parameters["wait_seconds"].default == 30.0


async def count(
    limit: RecipientRateLimit,
    person: PersonId,
    *addresses: str,
    error: Exception | None = None,
    meanwhile: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Send one message to these addresses, which Graph accepts or answers with this error."""
    async with limit.counting(person, addresses):
        if meanwhile is not None:
            await meanwhile()
        if error is not None:
            raise error


async def test_address_gets_so_many_messages_an_hour() -> None:
    """The limit counts by address, whatever its case, and by hour; the error says when the hour ends."""
    store, now = Store(), [HOUR_17 + 600.9]
    limit = RecipientRateLimit(store.records, 2, lambda: now[0])

    await count(limit, ADA, "a@x.example", "A@X.example", "b@x.example")
    await count(limit, ADA, "a@x.example")
    with pytest.raises(RateLimited) as caught:
        await count(limit, ADA, "b@x.example", "a@x.example")
    await count(limit, ADA, "b@x.example")
    with pytest.raises(RateLimited):
        await count(limit, ADA, "b@x.example")
    await count(limit, GRACE, "a@x.example")
    now[0] = HOUR_17 + 3600
    await count(limit, ADA, "a@x.example")

    assert caught.value.retry_after == 3000
    assert await counts(store) == [2, 2]
    assert {(collection, seconds) for collection, _, _, seconds in store.backend.written} == {("m365-frequency", 3600)}


async def counts(store: Store) -> list[int | None]:
    """Return what Ada's record of the hour says of the two addresses."""
    key = hashlib.sha256(b"t/ada 17").hexdigest()
    stored = (await store.records.read("m365-frequency", key)).value or {}
    names = [hashlib.sha256(address).hexdigest()[:16] for address in (b"a@x.example", b"b@x.example")]
    assert set(stored) <= set(names)
    return [stored.get(name) for name in names]


@pytest.mark.parametrize(("error", "counted"), [(MessageRefused(), 1), (OutcomeUnknown(), 2), (ValueError(), 2)])
async def test_only_mails_that_may_have_left_are_counted(error: Exception, counted: int) -> None:
    """A refused message is taken back, also when the hour has ended meanwhile; the error is told as it is."""
    store, now = Store(), [HOUR_17 + 0.0]
    limit = RecipientRateLimit(store.records, 5, lambda: now[0])
    await count(limit, ADA, "a@x.example", "b@x.example")

    async def an_hour_passes() -> None:
        now[0] += 3600

    with pytest.raises(type(error)) as caught:
        await count(limit, ADA, "A@x.example", error=error, meanwhile=an_hour_passes)

    assert caught.value is error
    assert await counts(store) == [counted, 1]


async def test_count_that_is_lost_meanwhile_stays_at_nothing() -> None:
    """No count is below zero, and an outage of the store hides no refusal."""
    store = Store()
    limit = RecipientRateLimit(store.records, 1, lambda: HOUR_17 + 0.0)

    async def lose_the_record() -> None:
        key = hashlib.sha256(b"t/ada 17").hexdigest()
        stored = await store.records.read("m365-frequency", key)
        await store.records.compare_and_swap("m365-frequency", key, stored, {}, 60)

    async def lose_every_race() -> None:
        store.backend.lost = 20

    with pytest.raises(MessageRefused):
        await count(limit, ADA, "a@x.example", error=MessageRefused(), meanwhile=lose_the_record)
    lost = await counts(store)
    with pytest.raises(MessageRefused):
        await count(limit, ADA, "b@x.example", error=MessageRefused(), meanwhile=lose_every_race)

    assert lost == [0, None]
    assert await counts(store) == [0, 1]


async def test_no_limit_counts_nothing() -> None:
    """With 0 the store is not asked."""
    store = Store()

    await count(RecipientRateLimit(store.records, 0), ADA, "a@x.example")

    assert store.backend.written == []


async def test_lost_races_are_tried_again() -> None:
    """Nineteen times another call was first; the twentieth is an outage."""
    store = Store()
    limit = RecipientRateLimit(store.records, 5, lambda: 0.0)

    store.backend.lost = 19
    await count(limit, ADA, "a@x.example")
    store.backend.lost = 20
    with pytest.raises(StorageUnavailable):
        await count(limit, ADA, "a@x.example")


def test_id_of_a_message_is_new_each_time() -> None:
    """32 hexadecimal digits."""
    assert len(bytes.fromhex(new_message_id())) == 16
    assert new_message_id() != new_message_id()


def test_records_of_a_request_have_the_names_of_v0_1_0_and_ours() -> None:
    """A key names one record; a message two, that of v0.1.0 first; a deliberate copy one that nobody else has."""
    plain = SendRequest(ADA, "ours", composed_fingerprint="theirs")
    copies = [SendRequest(ADA, "ours", allow_duplicate=True).names() for _ in range(2)]
    keyed = SendRequest(ADA, "ours", "k", allow_duplicate=True, composed_fingerprint="theirs")

    assert plain.names() == (ADA.digest("message theirs"), ADA.record_key("request ours"))
    assert SendRequest(ADA, "ours").names() == (ADA.digest("message ours"), ADA.record_key("request ours"))
    assert keyed.names() == (ADA.digest("key k"),)
    assert plain.stored_fingerprint == "theirs"
    assert SendRequest(ADA, "ours").stored_fingerprint == "ours"
    assert [len(names) for names in copies] == [1, 1]
    assert copies[0] != copies[1]
    assert copies[0][0].startswith(ADA.record_key("x")[:18])
    assert len(copies[0][0]) == len(ADA.record_key("x"))
    assert plain.save_to_sent is True
