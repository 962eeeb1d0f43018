"""What a caller is told of a send, what the metrics count, and what the ledger keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from m365_mcp.errors import (
    GraphUnavailable,
    MessageRefused,
    OutcomeUnknown,
    RateLimited,
    StorageUnavailable,
    Throttled,
)
from m365_mcp.sending import delivery
from m365_mcp.sending.delivery import Delivery
from m365_mcp.sending.held_mail import HeldContent
from m365_mcp.sending.ledger_entry import Entry
from m365_mcp.sending.send_strategy import RecordDraft, SendReceipt, no_progress
from tests.sending.test_delivery import TO, World, request

EARLIER = "An earlier call sent this message to Microsoft Graph and got no clear response: it may be sent."


class Told:
    """A strategy that sends as it is told, and says what the lookup finds."""

    records_draft: ClassVar[bool] = True

    def __init__(self, send: Callable[[RecordDraft], Awaitable[str | None]], found: Any = None) -> None:
        self._send = send
        self._found = found
        self.asked: list[tuple[str, str | None]] = []
        self.message_ids: list[str] = []

    async def send(self, message_id: str, record_draft: RecordDraft) -> str | None:
        self.message_ids.append(message_id)
        return await self._send(record_draft)

    def to_hold(self) -> HeldContent:
        return HeldContent("direct")

    async def reconcile(self, message_id: str, draft_id: str | None) -> bool | None:
        self.asked.append((message_id, draft_id))
        if isinstance(self._found, Exception):
            raise self._found
        found: bool | None = self._found
        return found


async def accepted(record_draft: RecordDraft) -> str | None:
    await record_draft("AAMk1")
    return "request-1"


async def lost(record_draft: RecordDraft) -> str | None:
    await record_draft("AAMk1")
    raise OutcomeUnknown("Lost it.", reference="the-id")


async def refused(_: RecordDraft) -> str | None:
    raise MessageRefused


def counted(one: Delivery, name: str, label: str) -> float:
    return float(getattr(one.metrics, name).labels(label)._value.get())


async def entry_of(world: World) -> Entry:
    stored = await world.records.read("m365-sends", request().names()[0])
    return Entry.model_validate(stored.value)


async def test_receipt_of_a_send_and_of_its_repeat() -> None:
    """Ids, the time in UTC, and whether the mail is saved; the repeat has the same, and says that it is one."""
    world = World()
    one, strategy = world.replica(), Told(accepted)
    before = datetime.now(UTC).replace(microsecond=0)

    receipt = await one.send(request(), TO, strategy)
    repeat = await one.send(request(), TO, strategy)

    assert receipt == SendReceipt(
        strategy.message_ids[0], receipt.accepted_at, "request-1", is_repeat=False, draft_id="AAMk1", is_saved=True
    )
    assert repeat == replace(receipt, is_repeat=True)
    assert before <= datetime.fromisoformat(str(receipt.accepted_at)) <= datetime.now(UTC)
    assert str(receipt.accepted_at).endswith("+00:00")
    assert "." not in str(receipt.accepted_at)
    entry = await entry_of(world)
    assert (entry.state, entry.draft_id) == ("sent", "AAMk1")
    assert entry.receipt == {"accepted_at": receipt.accepted_at, "request_id": "request-1"}
    assert len(strategy.message_ids) == 1
    assert [counted(one, "sends", label) for label in ("sent", "repeat", "failed", "unknown")] == [1, 1, 0, 0]
    assert SendReceipt("m", "now", None) == SendReceipt("m", "now", None, False, None, None)


@pytest.mark.parametrize("found", [True, False, None, GraphUnavailable()], ids=["sent", "not sent", "unclear", "away"])
async def test_lost_response_is_looked_up_at_once(found: Any) -> None:
    """Found: a receipt. Not found: nothing was sent, and a repeat sends. Unclear: nobody sends it again."""
    world = World()
    one, strategy = world.replica(), Told(lost, found)
    label = {True: "sent", False: "not_sent"}.get(found, "unclear") if not isinstance(found, Exception) else "unclear"

    if found is True:
        receipt = await one.send(request(), TO, strategy)
        assert (receipt.request_id, receipt.draft_id, receipt.is_repeat) == ("the-id", "AAMk1", False)
    elif found is False:
        with pytest.raises(GraphUnavailable) as unsent:
            await one.send(request(), TO, strategy)
        assert unsent.value.sentence == "Microsoft Graph did not send the message."
        assert unsent.value.reference == "the-id"
    else:
        with pytest.raises(OutcomeUnknown) as unknown:
            await one.send(request(), TO, strategy)
        assert (unknown.value.sentence, unknown.value.reference) == ("Lost it.", "the-id")

    assert strategy.asked == [(strategy.message_ids[0], "AAMk1")]
    state = {"sent": "sent", "not_sent": "failed", "unclear": "unknown"}[label]
    assert (await entry_of(world)).state == state
    assert counted(one, "settlements", label) == 1
    assert counted(one, "sends", state) == 1


@pytest.mark.parametrize("found", [True, False, None], ids=["sent", "not sent", "unclear"])
async def test_repeat_looks_for_what_became_of_the_first(found: bool | None) -> None:
    """A later call asks the mailbox: then it has a receipt, sends by itself, or knows no more than before."""
    world = World()
    one = world.replica()
    first, again = Told(lost), Told(accepted, found)
    with pytest.raises(OutcomeUnknown):
        await one.send(request(), TO, first)

    if found is None:
        with pytest.raises(OutcomeUnknown) as unknown:
            await one.send(request(), TO, again)
        assert unknown.value.sentence == EARLIER
    else:
        receipt = await one.send(request(), TO, again)
        assert receipt.is_repeat is found
        assert receipt.request_id == (None if found else "request-1")
        assert datetime.fromisoformat(str(receipt.accepted_at)).tzinfo is not None

    assert again.asked == [(first.message_ids[0], "AAMk1")]
    assert len(again.message_ids) == (1 if found is False else 0)
    entry = await entry_of(world)
    assert entry.state == {True: "sent", False: "sent", None: "unknown"}[found]
    assert entry.records_draft is True
    assert counted(one, "settlements", {True: "sent", False: "not_sent", None: "unclear"}[found]) >= 1


async def test_repeat_of_a_send_without_a_receipt_is_unknown() -> None:
    """A record that says sent and has no receipt gives nothing to return."""
    world = World()
    one = world.replica()
    reservation = await one.ledger.reserve(request())
    await one.ledger.update(reservation, state="sent")

    with pytest.raises(OutcomeUnknown) as caught:
        await one.send(request(), TO, Told(accepted))
    assert caught.value.sentence == EARLIER


async def test_receipt_of_an_older_record_may_lack_the_request() -> None:
    """What an older version did not keep is none."""
    world = World()
    one = world.replica()
    reservation = await one.ledger.reserve(request())
    await one.ledger.update(reservation, state="sent", receipt={"accepted_at": "then"})

    assert await one.send(request(), TO, Told(accepted)) == SendReceipt(
        reservation.entry.message_id, "then", None, is_repeat=True, is_saved=True
    )


@pytest.mark.parametrize(
    ("error", "state"),
    [(MessageRefused(), "failed"), (ZeroDivisionError(), "unknown"), (RateLimited(), "failed")],
    ids=["refused", "a bug", "limited"],
)
async def test_error_of_a_send_is_counted_and_recorded(error: Exception, state: str) -> None:
    """A refusal may be tried again; after a bug nobody knows."""

    async def fail(_: RecordDraft) -> str | None:
        raise error

    world = World()
    one = world.replica()
    with pytest.raises(type(error)):
        await one.send(request(), TO, Told(fail))

    assert (await entry_of(world)).state == state
    assert counted(one, "sends", state) == 1


async def test_draft_that_another_call_took_over_is_not_sent() -> None:
    """A process that was frozen finds another draft in the record, and stops."""
    world = World()
    one = world.replica()
    sent: list[str] = []

    async def late(record_draft: RecordDraft) -> str | None:
        for name in request().names():
            stored = await world.records.read("m365-sends", name)
            taken = {**(stored.value or {}), "draft_id": "AAMkOther", "message_id": "other"}
            await world.records.compare_and_swap("m365-sends", name, stored, taken, 60)
        await record_draft("AAMk1")
        sent.append("a second mail")
        return None

    with pytest.raises(StorageUnavailable):
        await one.send(request(), TO, Told(late))
    assert sent == []


async def test_outcome_that_cannot_be_stored_is_told_all_the_same() -> None:
    """The caller gets the receipt; the record stays as it is and will count as unknown."""
    world = World()

    async def then_fail(record_draft: RecordDraft) -> str | None:
        await record_draft("AAMk1")
        world.backend.dies = "before"
        return "request-1"

    receipt = await world.replica().send(request(), TO, Told(then_fail))

    assert receipt.request_id == "request-1"
    assert (await entry_of(world)).state == "sending"


async def test_progress_names_the_wait() -> None:
    """The seconds are rounded; the pause before another try is a second at least."""
    world, said = World(), list[str]()
    waits: list[float] = [0.6]

    async def throttled_once(_: RecordDraft) -> str | None:
        if waits:
            raise Throttled(retry_after=waits.pop())
        return "request-1"

    async def tell(text: str) -> None:
        said.append(text)

    one = replace(world.replica(), throttled_seconds=30.0)
    assert (await one.send(request(), TO, Told(throttled_once), tell)).request_id == "request-1"
    assert said == ["Microsoft asks to wait 1 seconds before the message is sent."]
    assert delivery.FIRST_PAUSE_SECONDS == 1.0
    assert await no_progress("x") is None  # type: ignore[func-returns-value]


async def test_finished_sends_are_forgotten() -> None:
    """The server waits at its end for running sends only."""
    one = World().replica()
    await one.send(request(), TO, Told(accepted))
    with pytest.raises(MessageRefused):
        await one.send(request("another"), TO, Told(refused))

    assert one._running == set()
    await one.finish()
    assert "_running" not in repr(one)


async def test_end_of_the_server_waits_for_a_send_that_fails() -> None:
    """Its error is the caller's, and not that of the end."""
    one, go_on = World().replica(), asyncio.Event()

    async def fail_later(_: RecordDraft) -> str | None:
        await go_on.wait()
        raise MessageRefused

    call = asyncio.create_task(one.send(request(), TO, Told(fail_later)))
    await asyncio.sleep(0)
    ending = asyncio.create_task(one.finish())
    await asyncio.sleep(0)
    waits = not ending.done()
    go_on.set()
    await ending

    assert waits
    with pytest.raises(MessageRefused):
        await call


async def test_message_is_counted_for_its_addresses() -> None:
    """The limit of an hour is asked with the sender and every address, before Graph is."""
    world = World(hourly=1)
    one = world.replica()
    await one.send(request(), ("a@x.example", "b@x.example"), Told(accepted))

    strategy = Told(accepted)
    with pytest.raises(RateLimited):
        await one.send(request("another"), ("b@x.example",), strategy)
    assert strategy.message_ids == []
    assert (await one.send(request("third"), ("c@x.example",), strategy)).request_id == "request-1"
