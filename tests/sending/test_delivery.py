"""Sending once: repeats by key and by message, races, crashes, outages; over a store two replicas share."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace

import httpx2
import pytest

from m365_mcp.errors import (
    GraphUnavailable,
    IdempotencyKeyReused,
    MessageRefused,
    OutcomeUnknown,
    RateLimited,
    StorageUnavailable,
    Throttled,
)
from m365_mcp.graph.client import GraphClient, GraphRequest
from m365_mcp.metrics import Metrics
from m365_mcp.person import PersonId
from m365_mcp.sending.delivery import Delivery, NoteDraft, SendReceipt
from m365_mcp.sending.ledger import START_SECONDS, Ledger, RepeatWindows
from m365_mcp.sending.mailbox_slots import SLOTS, MailboxSlots
from m365_mcp.sending.recipient_rate_limit import HOUR, RecipientRateLimit
from m365_mcp.sending.send_request import SendRequest
from m365_mcp.storage.leases import Leases
from m365_mcp.storage.records import Records
from tests.auth.test_session_properties import CrashingBackend
from tests.backends import make_records

ADA, GRACE = PersonId("t", "ada"), PersonId("t", "grace")
TO = ("grace@contoso.example",)


class World:
    """Replicas over one store, and a Graph that counts what it has accepted."""

    def __init__(self, hourly: int = 0) -> None:
        self.now = 1_000_000.0
        self.accepted: Counter[str] = Counter()
        self.under_way = self.most_at_once = 0
        records = make_records()
        self.backend = CrashingBackend(records._backend)
        self.records = Records(self.backend, records._cipher)
        self.hourly = hourly

    def replica(self) -> Delivery:
        clock = lambda: self.now  # noqa: E731
        leases = Leases(self.records)
        ledger = Ledger(self.records, leases, RepeatWindows(), clock)
        slots = MailboxSlots(leases, wait_seconds=20)
        return Delivery(ledger, slots, RecipientRateLimit(self.records, self.hourly, clock), Metrics())

    async def graph(self, message_id: str) -> str:
        """Accept a message."""
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        await asyncio.sleep(0.002)
        self.under_way -= 1
        self.accepted[message_id] += 1
        return "request-1"

    async def graph_that_loses_the_answer(self, message_id: str) -> str:
        await self.graph(message_id)
        raise OutcomeUnknown

    @staticmethod
    async def graph_that_refuses(_: str) -> str:
        raise MessageRefused

    @staticmethod
    async def graph_out_of_reach(_: str) -> str:
        raise GraphUnavailable


class Through:
    """A way to Graph that cannot look afterwards, as sending with `Mail.Send` alone cannot."""

    def __init__(self, send: Callable[[str], Awaitable[str]]) -> None:
        self._send = send

    async def send(self, message_id: str, note_draft: NoteDraft) -> str:
        return await self._send(message_id)

    async def reconcile(self, message_id: str, draft_id: str | None) -> bool | None:
        return None


def request(
    fingerprint: str = "hello", idempotency_key: str | None = None, *, allow_duplicate: bool = False
) -> SendRequest:
    composed = f"{fingerprint} as composed"
    return SendRequest(ADA, fingerprint, idempotency_key, allow_duplicate, composed_fingerprint=composed)


async def test_h11_repeat_with_a_key_returns_the_first_receipt() -> None:
    """H11: the same key and message, later and on another replica: the stored result, nothing new."""
    world = World()
    one, two = world.replica(), world.replica()

    first = await one.send(request(idempotency_key="k"), TO, Through(world.graph))
    world.now += 23 * 3600
    again = await two.send(request(idempotency_key="k"), TO, Through(world.graph))

    assert world.accepted.total() == 1
    assert not first.is_repeat
    assert again == SendReceipt(first.message_id, first.accepted_at, "request-1", is_repeat=True)


async def test_equal_message_within_its_window_is_one_mail_and_a_wanted_copy_is_another() -> None:
    """Without a key an equal message counts as a repeat; a deliberate second copy is sent."""
    world = World()
    replica = world.replica()

    await replica.send(request(), TO, Through(world.graph))
    repeat = await replica.send(request(), TO, Through(world.graph))
    copy = await replica.send(request(allow_duplicate=True), TO, Through(world.graph))

    assert repeat.is_repeat
    assert not copy.is_repeat
    assert world.accepted.total() == 2


async def test_h12_key_of_another_message_is_an_error() -> None:
    """H12: the same key for another message is refused before anything is sent."""
    world = World()
    replica = world.replica()
    await replica.send(request("one", idempotency_key="k"), TO, Through(world.graph))

    with pytest.raises(IdempotencyKeyReused):
        await replica.send(request("two", idempotency_key="k"), TO, Through(world.graph))
    assert world.accepted.total() == 1


@pytest.mark.parametrize("key", [None, "k"])
async def test_h13_fifty_racers_on_two_replicas_send_one_mail(key: str | None) -> None:
    """H13: all get the same receipt, one of them as the sender."""
    world = World()
    replicas = [world.replica(), world.replica()]

    receipts = await asyncio.gather(
        *(replicas[n % 2].send(request(idempotency_key=key), TO, Through(world.graph)) for n in range(50))
    )

    assert world.accepted.total() == 1
    assert len({receipt.message_id for receipt in receipts}) == 1
    assert sum(not receipt.is_repeat for receipt in receipts) == 1


async def test_send_whose_record_cannot_be_read_is_unknown_and_a_wanted_copy_is_sent() -> None:
    """Who has lost the encryption key cannot tell what was sent: the same call is not sent again."""
    world = World()
    await world.replica().send(request(), TO, Through(world.graph))
    world.records = Records(world.backend, make_records()._cipher)
    replica = world.replica()

    with pytest.raises(OutcomeUnknown, match="cannot be read"):
        await replica.send(request(), TO, Through(world.graph))
    assert world.accepted.total() == 1
    await replica.send(request(allow_duplicate=True), TO, Through(world.graph))
    assert world.accepted.total() == 2


async def test_h14_h15_send_whose_process_died_is_unknown_and_stays_so() -> None:
    """H14, H15: written down and never finished: a later call says unknown, and nothing is sent."""
    world = World()
    reserve = await world.replica().ledger.reserve(request())
    assert reserve.is_ours
    world.now += START_SECONDS + 1

    for _ in range(2):
        with pytest.raises(OutcomeUnknown, match="earlier call"):
            await world.replica().send(request(), TO, Through(world.graph))
    assert world.accepted.total() == 0


async def test_h16_without_the_store_nothing_is_sent() -> None:
    """H16: the ledger cannot be written, so Graph is not asked; afterwards the same call sends."""
    world = World()
    world.backend.dies = "before"

    with pytest.raises(StorageUnavailable):
        await world.replica().send(request(), TO, Through(world.graph))
    assert world.accepted.total() == 0

    assert not (await world.replica().send(request(), TO, Through(world.graph))).is_repeat
    assert world.accepted.total() == 1


async def test_h18_retry_after_unknown_says_the_same_and_sends_nothing() -> None:
    """H18: a model that calls again after an unclear answer gets the same answer."""
    world = World()
    replica = world.replica()

    for _ in range(3):
        with pytest.raises(OutcomeUnknown):
            await replica.send(request(), TO, Through(world.graph_that_loses_the_answer))
    assert world.accepted.total() == 1


async def test_h19_two_people_with_the_same_text_both_send() -> None:
    """H19: keys and messages are a person's own."""
    world = World()
    replica = world.replica()

    for person in (ADA, GRACE):
        await replica.send(SendRequest(person, "hello", "k"), TO, Through(world.graph))

    assert world.accepted.total() == 2


@pytest.mark.parametrize("failure", ["graph_that_refuses", "graph_out_of_reach"])
async def test_message_that_was_not_taken_may_be_sent_again(failure: str) -> None:
    """What Graph certainly did not accept leaves the way free for the next call."""
    world = World()
    replica = world.replica()
    with pytest.raises((MessageRefused, GraphUnavailable)):
        await replica.send(request(), TO, Through(getattr(world, failure)))

    receipt = await replica.send(request(), TO, Through(world.graph))

    assert not receipt.is_repeat
    assert world.accepted.total() == 1


async def test_repeat_waits_for_a_send_that_fails_and_then_sends_itself() -> None:
    """A repeat that waited for a refused send takes its place."""
    world = World()
    one, two = world.replica(), world.replica()
    begun, refused = asyncio.Event(), asyncio.Event()

    async def refuse(_: str) -> str:
        begun.set()
        await refused.wait()
        raise MessageRefused

    first = asyncio.create_task(one.send(request(), TO, Through(refuse)))
    await begun.wait()
    read_before = world.backend.reads
    second = asyncio.create_task(two.send(request(), TO, Through(world.graph)))
    async with asyncio.timeout(10):
        while world.backend.reads < read_before + 4:  # noqa: ASYNC110 - it looks into the ledger, again and again
            await asyncio.sleep(0.001)
    assert not second.done()
    assert world.accepted.total() == 0
    refused.set()

    with pytest.raises(MessageRefused):
        await first
    assert not (await second).is_repeat
    assert world.accepted.total() == 1


async def test_h21_caller_who_hangs_up_leaves_an_outcome() -> None:
    """H21: the send goes on, ends, and the next call gets its receipt."""
    world = World()
    replica = world.replica()
    call = asyncio.create_task(replica.send(request(), TO, Through(world.graph)))
    await asyncio.sleep(0)

    call.cancel()
    await replica.finish()

    assert (await replica.send(request(), TO, Through(world.graph))).is_repeat
    assert world.accepted.total() == 1


async def test_bug_while_sending_is_unknown_and_never_a_second_mail() -> None:
    """An exception nobody foresaw counts as unclear."""
    world = World()

    async def broken(message_id: str) -> str:
        await world.graph(message_id)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await world.replica().send(request(), TO, Through(broken))
    with pytest.raises(OutcomeUnknown):
        await world.replica().send(request(), TO, Through(world.graph))
    assert world.accepted.total() == 1


async def test_mailbox_takes_four_at_a_time_over_all_replicas() -> None:
    """Twelve messages of one person on two replicas never meet more than four at Graph."""
    world = World()
    replicas = [world.replica(), world.replica()]

    await asyncio.gather(*(replicas[n % 2].send(request(str(n)), TO, Through(world.graph)) for n in range(12)))

    assert world.accepted.total() == 12
    assert world.most_at_once <= SLOTS


async def test_mailbox_that_stays_busy_is_told_and_nothing_is_sent() -> None:
    """Whoever waits too long for a place is told to come back."""
    world = World()
    slots = MailboxSlots(Leases(world.records), wait_seconds=0.1)
    async with slots.slot(ADA), slots.slot(ADA), slots.slot(ADA), slots.slot(ADA):
        with pytest.raises(Throttled):
            async with slots.slot(ADA):
                raise AssertionError("a fifth place")
        async with slots.slot(GRACE):
            pass


async def test_g24_one_address_is_not_flooded() -> None:
    """G24: after so many messages in an hour to one address the next waits; others and the next hour do not."""
    world = World(hourly=3)
    replica = world.replica()
    for number in range(3):
        await replica.send(request(str(number)), ("Grace@contoso.example", "x@contoso.example"), Through(world.graph))

    with pytest.raises(RateLimited) as refused:
        await replica.send(request("4"), TO, Through(world.graph))
    await replica.send(request("5"), ("linus@contoso.example",), Through(world.graph))
    world.now += HOUR
    await replica.send(request("4"), TO, Through(world.graph))

    assert refused.value.retry_after is not None
    assert 0 < refused.value.retry_after <= HOUR
    assert world.accepted.total() == 5


def throttling(world: World, *waits: float) -> Callable[[str], Awaitable[str]]:
    """Return a Graph that throttles so often, with these `Retry-After` seconds, and then accepts."""
    left = list(waits)

    async def graph(message_id: str) -> str:
        if left:
            raise Throttled(retry_after=left.pop(0))
        return await world.graph(message_id)

    return graph


async def test_throttled_message_is_offered_again_where_the_operator_allows_it() -> None:
    """The caller is told of the wait, and the message goes out once."""
    world = World()
    told: list[str] = []

    async def tell(text: str) -> None:
        told.append(text)

    replica = replace(world.replica(), throttled_seconds=10)
    receipt = await replica.send(request(), TO, Through(throttling(world, 0.01)), tell)

    assert not receipt.is_repeat
    assert world.accepted.total() == 1
    assert told == ["Microsoft asks to wait 0 seconds before the message is sent."]


@pytest.mark.parametrize(("allowed", "asked"), [(0.0, 0.0), (0.0, 1.0), (0.2, 0.3), (5.0, 3600.0)])
async def test_throttled_message_does_not_wait_longer_than_the_operator_allows(allowed: float, asked: float) -> None:
    """A wait that would not end in time is not begun: the caller learns at once that nothing was sent."""
    world = World()
    told: list[str] = []

    async def tell(text: str) -> None:
        told.append(text)

    replica = replace(world.replica(), throttled_seconds=allowed)
    async with asyncio.timeout(3):
        with pytest.raises(Throttled):
            await replica.send(request(), TO, Through(throttling(world, asked)), tell)

    assert told == []
    assert world.accepted.total() == 0
    assert not (await replica.send(request(), TO, Through(world.graph))).is_repeat


async def test_caller_who_hangs_up_while_graph_answers_leaves_an_outcome() -> None:
    """H21, with the real client: the request to Graph is not cut, its answer is noted, and the next call gets it."""
    world = World()
    replica = world.replica()
    asked, answer = asyncio.Event(), asyncio.Event()

    async def graph(_: httpx2.Request) -> httpx2.Response:
        asked.set()
        await answer.wait()
        world.accepted["mail"] += 1
        return httpx2.Response(202, headers={"request-id": "request-1"})

    client = GraphClient(
        "https://graph.example.com", httpx2.AsyncClient(transport=httpx2.MockTransport(graph)), Metrics()
    )

    async def send(_: str) -> str:
        response = await client.act(GraphRequest("POST", "/me/sendMail", "token", "sendMail", body=b"{}"))
        assert response.status == 202
        return "request-1"

    call = asyncio.create_task(replica.send(request(), TO, Through(send)))
    await asked.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    answer.set()
    await replica.finish()

    again = await replica.send(request(), TO, Through(send))
    assert again.is_repeat
    assert again.request_id == "request-1"
    assert world.accepted.total() == 1
