"""Each message is sent once: repeats by key and by message, races, crashes and outages, with two replicas."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import ClassVar

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
from m365_mcp.sending.delivery import Delivery
from m365_mcp.sending.held_mail import HeldContent
from m365_mcp.sending.ledger import START_SECONDS, Ledger, RepeatWindows
from m365_mcp.sending.ledger_entry import Entry
from m365_mcp.sending.mailbox_slots import SLOTS, MailboxSlots
from m365_mcp.sending.send_limits import HOUR, SendLimits
from m365_mcp.sending.send_request import SendRequest
from m365_mcp.sending.send_strategy import RecordDraft, SendReceipt
from m365_mcp.storage.leases import Leases
from m365_mcp.storage.records import Records
from m365_mcp.storage.sliding_counts import SlidingCounts
from tests.auth.test_session_properties import CrashingBackend
from tests.backends import make_counters, make_records

ADA, GRACE = PersonId("t", "ada"), PersonId("t", "grace")
TO = ("grace@contoso.example",)


class World:
    """Replicas over one store, and a Graph that counts accepted messages."""

    def __init__(self, hourly: int = 0, **most: int) -> None:
        self.now = 1_000_000.0
        self.accepted: Counter[str] = Counter()
        self.running = self.most_running = 0
        records = make_records()
        self.backend = CrashingBackend(records._backend)
        self.records = Records(self.backend, records._cipher)
        self.counters = make_counters()
        self.most = {"M365_SEND_HOURLY_LIMIT": hourly, **most}

    def replica(self) -> Delivery:
        clock = lambda: self.now  # noqa: E731
        leases = Leases(self.records)
        ledger = Ledger(self.records, leases, RepeatWindows(), clock)
        slots = MailboxSlots(leases, wait_seconds=20)
        limits = SendLimits(SlidingCounts(self.counters, clock), self.most)
        return Delivery(ledger, slots, limits, Metrics())

    async def graph(self, message_id: str) -> str:
        """Accept a message."""
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        await asyncio.sleep(0.002)
        self.running -= 1
        self.accepted[message_id] += 1
        return "request-1"

    async def graph_that_loses_the_response(self, message_id: str) -> str:
        await self.graph(message_id)
        raise OutcomeUnknown

    @staticmethod
    async def graph_that_refuses(_: str) -> str:
        raise MessageRefused

    @staticmethod
    async def unreachable_graph(_: str) -> str:
        raise GraphUnavailable


class Direct:
    """A strategy that cannot reconcile, like a send with `Mail.Send` alone."""

    records_draft: ClassVar[bool] = False

    def __init__(self, send: Callable[[str], Awaitable[str]]) -> None:
        self._send = send

    async def send(self, message_id: str, record_draft: RecordDraft) -> str:
        return await self._send(message_id)

    def to_hold(self) -> HeldContent:
        return HeldContent("direct")

    async def reconcile(self, message_id: str, draft_id: str | None) -> bool | None:
        return None


def request(
    fingerprint: str = "hello", idempotency_key: str | None = None, *, allow_duplicate: bool = False
) -> SendRequest:
    composed = f"{fingerprint} as composed"
    return SendRequest(ADA, fingerprint, idempotency_key, allow_duplicate, composed_fingerprint=composed)


class NewDraft(Direct):
    """A strategy that makes a draft, and tells from a draft that was never stored that it was never sent."""

    records_draft: ClassVar[bool] = True

    async def send(self, message_id: str, record_draft: RecordDraft) -> str:
        await record_draft("draft")
        return await self._send(message_id)

    def to_hold(self) -> HeldContent:
        return HeldContent("direct")

    async def reconcile(self, message_id: str, draft_id: str | None) -> bool | None:
        return None if draft_id else False


@pytest.mark.parametrize("idempotency_key", [None, "k"])
async def test_h18_draft_mode_does_not_judge_a_direct_send_by_the_draft_it_never_made(
    idempotency_key: str | None,
) -> None:
    """H18: an unclear direct send stays unknown when it is repeated in draft mode, which would find no draft of it."""
    world = World()

    with pytest.raises(OutcomeUnknown):
        await world.replica().send(
            request(idempotency_key=idempotency_key), TO, Direct(world.graph_that_loses_the_response)
        )
    with pytest.raises(OutcomeUnknown):
        await world.replica().send(request(idempotency_key=idempotency_key), TO, NewDraft(world.graph))

    assert world.accepted.total() == 1


@pytest.mark.parametrize("is_saved", [True, False])
async def test_k15_repeat_tells_whether_the_mail_that_was_sent_is_saved(is_saved: bool) -> None:
    """K15: the receipt of a repeat tells what the first call asked for, on any replica."""
    world = World()
    first, other = (replace(request(), save_to_sent=saved) for saved in (is_saved, not is_saved))

    sent = await world.replica().send(first, TO, Direct(world.graph))
    repeat = await world.replica().send(other, TO, Direct(world.graph))

    assert (sent.is_saved, repeat.is_saved) == (is_saved, is_saved)
    assert repeat.is_repeat


@pytest.mark.parametrize(("draft_id", "is_saved"), [("draft", True), (None, None)])
def test_k15_record_of_an_older_version_tells_what_it_can(draft_id: str | None, is_saved: bool | None) -> None:
    """K15: Graph saves every draft that it sends; of a direct send an older record does not tell."""
    entry = Entry(state="sent", fingerprint="f", message_id="m", began_at=0.0, draft_id=draft_id)

    assert entry.is_saved is is_saved


async def test_draft_that_was_never_stored_was_never_sent() -> None:
    """A draft send that ends before it stores its draft is sent by its repeat."""
    world = World()
    await world.replica().ledger.reserve(request(), records_draft=True)
    world.now += START_SECONDS + 60

    receipt = await world.replica().send(request(), TO, NewDraft(world.graph))

    assert not receipt.is_repeat
    assert world.accepted.total() == 1


async def test_h11_repeat_with_a_key_returns_the_first_receipt() -> None:
    """H11: a later call with the same key and message on another replica gets the stored receipt, and sends nothing."""
    world = World()
    one, two = world.replica(), world.replica()

    first = await one.send(request(idempotency_key="k"), TO, Direct(world.graph))
    world.now += 23 * 3600
    again = await two.send(request(idempotency_key="k"), TO, Direct(world.graph))

    assert world.accepted.total() == 1
    assert not first.is_repeat
    assert again == SendReceipt(first.message_id, first.accepted_at, "request-1", is_repeat=True, is_saved=True)


async def test_equal_message_in_its_window_is_one_mail_and_a_deliberate_copy_is_another() -> None:
    """Without a key an equal message is a repeat; `allow_duplicate` sends a second copy."""
    world = World()
    replica = world.replica()

    await replica.send(request(), TO, Direct(world.graph))
    repeat = await replica.send(request(), TO, Direct(world.graph))
    copy = await replica.send(request(allow_duplicate=True), TO, Direct(world.graph))

    assert repeat.is_repeat
    assert not copy.is_repeat
    assert world.accepted.total() == 2


async def test_h12_key_of_another_message_is_an_error() -> None:
    """H12: the ledger refuses a key of another message, and Graph gets no request."""
    world = World()
    replica = world.replica()
    await replica.send(request("one", idempotency_key="k"), TO, Direct(world.graph))

    with pytest.raises(IdempotencyKeyReused):
        await replica.send(request("two", idempotency_key="k"), TO, Direct(world.graph))
    assert world.accepted.total() == 1


@pytest.mark.parametrize("key", [None, "k"])
async def test_h13_fifty_racers_on_two_replicas_send_one_mail(key: str | None) -> None:
    """H13: fifty concurrent calls send one mail and get one receipt, and one call is no repeat."""
    world = World()
    replicas = [world.replica(), world.replica()]

    receipts = await asyncio.gather(
        *(replicas[n % 2].send(request(idempotency_key=key), TO, Direct(world.graph)) for n in range(50))
    )

    assert world.accepted.total() == 1
    assert len({receipt.message_id for receipt in receipts}) == 1
    assert sum(not receipt.is_repeat for receipt in receipts) == 1


async def test_send_with_an_unreadable_record_is_unknown_and_a_deliberate_copy_is_sent() -> None:
    """After the loss of the encryption key a repeat reports an unknown outcome and sends nothing."""
    world = World()
    await world.replica().send(request(), TO, Direct(world.graph))
    world.records = Records(world.backend, make_records()._cipher)
    replica = world.replica()

    with pytest.raises(OutcomeUnknown, match="cannot be read"):
        await replica.send(request(), TO, Direct(world.graph))
    assert world.accepted.total() == 1
    await replica.send(request(allow_duplicate=True), TO, Direct(world.graph))
    assert world.accepted.total() == 2


async def test_h14_h15_send_whose_process_died_is_unknown_and_stays_so() -> None:
    """H14, H15: after a process died in a send, a later call reports an unknown outcome and sends nothing."""
    world = World()
    reservation = await world.replica().ledger.reserve(request())
    assert reservation.is_ours
    world.now += START_SECONDS + 1

    for _ in range(2):
        with pytest.raises(OutcomeUnknown, match="earlier call"):
            await world.replica().send(request(), TO, Direct(world.graph))
    assert world.accepted.total() == 0


async def test_h16_without_the_store_nothing_is_sent() -> None:
    """H16: when the store fails, Graph gets no request; the same call sends when the store responds again."""
    world = World()
    world.backend.dies = "before"

    with pytest.raises(StorageUnavailable):
        await world.replica().send(request(), TO, Direct(world.graph))
    assert world.accepted.total() == 0

    assert not (await world.replica().send(request(), TO, Direct(world.graph))).is_repeat
    assert world.accepted.total() == 1


async def test_h18_retry_after_unknown_says_the_same_and_sends_nothing() -> None:
    """H18: a repeat of a call with an unknown outcome raises the same error."""
    world = World()
    replica = world.replica()

    for _ in range(3):
        with pytest.raises(OutcomeUnknown):
            await replica.send(request(), TO, Direct(world.graph_that_loses_the_response))
    assert world.accepted.total() == 1


async def test_h19_two_people_with_the_same_text_both_send() -> None:
    """H19: two people may use the same key and the same message."""
    world = World()
    replica = world.replica()

    for person in (ADA, GRACE):
        await replica.send(SendRequest(person, "hello", "k"), TO, Direct(world.graph))

    assert world.accepted.total() == 2


@pytest.mark.parametrize("failure", ["graph_that_refuses", "unreachable_graph"])
async def test_message_that_graph_refused_may_be_sent_again(failure: str) -> None:
    """After a send that Graph certainly did not accept, the next call sends the message."""
    world = World()
    replica = world.replica()
    with pytest.raises((MessageRefused, GraphUnavailable)):
        await replica.send(request(), TO, Direct(getattr(world, failure)))

    receipt = await replica.send(request(), TO, Direct(world.graph))

    assert not receipt.is_repeat
    assert world.accepted.total() == 1


async def test_repeat_waits_for_a_send_that_fails_and_then_sends_itself() -> None:
    """A repeat waits for the running send, and sends the message when Graph refused that send."""
    world = World()
    one, two = world.replica(), world.replica()
    begun, refused = asyncio.Event(), asyncio.Event()

    async def refuse(_: str) -> str:
        begun.set()
        await refused.wait()
        raise MessageRefused

    first = asyncio.create_task(one.send(request(), TO, Direct(refuse)))
    await begun.wait()
    read_before = world.backend.reads
    second = asyncio.create_task(two.send(request(), TO, Direct(world.graph)))
    async with asyncio.timeout(10):
        while world.backend.reads < read_before + 4:  # noqa: ASYNC110 - the repeat polls the ledger
            await asyncio.sleep(0.001)
    assert not second.done()
    assert world.accepted.total() == 0
    refused.set()

    with pytest.raises(MessageRefused):
        await first
    assert not (await second).is_repeat
    assert world.accepted.total() == 1


async def test_h21_send_of_a_disconnected_caller_has_an_outcome() -> None:
    """H21: after the caller disconnects, the send continues, and the next call gets its receipt."""
    world = World()
    replica = world.replica()
    call = asyncio.create_task(replica.send(request(), TO, Direct(world.graph)))
    await asyncio.sleep(0)

    call.cancel()
    await replica.finish()

    assert (await replica.send(request(), TO, Direct(world.graph))).is_repeat
    assert world.accepted.total() == 1


async def test_bug_while_sending_is_unknown_and_never_a_second_mail() -> None:
    """An unexpected exception in the strategy is an unknown outcome."""
    world = World()

    async def broken(message_id: str) -> str:
        await world.graph(message_id)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await world.replica().send(request(), TO, Direct(broken))
    with pytest.raises(OutcomeUnknown):
        await world.replica().send(request(), TO, Direct(world.graph))
    assert world.accepted.total() == 1


async def test_mailbox_takes_four_at_a_time_over_all_replicas() -> None:
    """Two replicas send at most four of one person's twelve messages at the same time."""
    world = World()
    replicas = [world.replica(), world.replica()]

    await asyncio.gather(*(replicas[n % 2].send(request(str(n)), TO, Direct(world.graph)) for n in range(12)))

    assert world.accepted.total() == 12
    assert world.most_running <= SLOTS


async def test_busy_mailbox_raises_throttled_and_sends_nothing() -> None:
    """A call that gets no mailbox slot in time raises Throttled; another mailbox has free slots."""
    world = World()
    slots = MailboxSlots(Leases(world.records), wait_seconds=0.1)
    async with slots.slot(ADA), slots.slot(ADA), slots.slot(ADA), slots.slot(ADA):
        with pytest.raises(Throttled):
            async with slots.slot(ADA):
                raise AssertionError("a fifth slot")
        async with slots.slot(GRACE):
            pass


async def test_g24_one_address_is_not_flooded() -> None:
    """G24: the rate limit refuses the fourth message to one address in an hour, and no other message."""
    world = World(hourly=3)
    replica = world.replica()
    for number in range(3):
        await replica.send(request(str(number)), ("Grace@contoso.example", "x@contoso.example"), Direct(world.graph))

    with pytest.raises(RateLimited) as refused:
        await replica.send(request("4"), TO, Direct(world.graph))
    await replica.send(request("5"), ("linus@contoso.example",), Direct(world.graph))
    world.now += HOUR.kept_seconds
    await replica.send(request("4"), TO, Direct(world.graph))

    assert refused.value.retry_after is not None
    assert 0 < refused.value.retry_after <= HOUR.kept_seconds
    assert world.accepted.total() == 5


async def test_refused_message_does_not_count_toward_the_hourly_limit() -> None:
    """What Graph, or the inspection of a draft, refuses takes nothing from the hour; what may have been sent does."""
    world = World(hourly=1)
    replica = world.replica()
    for number in range(3):
        with pytest.raises(MessageRefused):
            await replica.send(request(f"refused {number}"), TO, Direct(world.graph_that_refuses))

    with pytest.raises(OutcomeUnknown):
        await replica.send(request("lost"), TO, Direct(world.graph_that_loses_the_response))
    with pytest.raises(RateLimited):
        await replica.send(request("next"), TO, Direct(world.graph))

    assert world.accepted.total() == 1


def throttling(world: World, *waits: float) -> Callable[[str], Awaitable[str]]:
    """Return a Graph that throttles once for each of these `Retry-After` seconds, and then accepts."""
    left = list(waits)

    async def graph(message_id: str) -> str:
        if left:
            raise Throttled(retry_after=left.pop(0))
        return await world.graph(message_id)

    return graph


async def test_throttled_message_is_retried_when_the_operator_allows_it() -> None:
    """The caller gets a progress message about the wait, and Graph accepts the message once."""
    world = World()
    progress: list[str] = []

    async def tell(text: str) -> None:
        progress.append(text)

    replica = replace(world.replica(), throttled_seconds=10)
    receipt = await replica.send(request(), TO, Direct(throttling(world, 0.01)), tell)

    assert not receipt.is_repeat
    assert world.accepted.total() == 1
    assert progress == ["Microsoft asks to wait 0 seconds before the message is sent."]


@pytest.mark.parametrize(("allowed", "requested"), [(0.0, 0.0), (0.0, 1.0), (0.2, 0.3), (5.0, 3600.0)])
async def test_throttled_message_does_not_wait_longer_than_the_operator_allows(
    allowed: float, requested: float
) -> None:
    """When Graph asks for a longer wait than the operator allows, the call fails at once and sends nothing."""
    world = World()
    progress: list[str] = []

    async def tell(text: str) -> None:
        progress.append(text)

    replica = replace(world.replica(), throttled_seconds=allowed)
    async with asyncio.timeout(30):
        with pytest.raises(Throttled):
            await replica.send(request(), TO, Direct(throttling(world, requested)), tell)

    assert progress == []
    assert world.accepted.total() == 0
    assert not (await replica.send(request(), TO, Direct(world.graph))).is_repeat


async def test_h21_request_to_graph_survives_a_disconnected_caller() -> None:
    """H21, with the real client: the request to Graph continues, and the next call gets its receipt."""
    world = World()
    replica = world.replica()
    requested, may_respond = asyncio.Event(), asyncio.Event()

    async def graph(_: httpx2.Request) -> httpx2.Response:
        requested.set()
        await may_respond.wait()
        world.accepted["mail"] += 1
        return httpx2.Response(202, headers={"request-id": "request-1"})

    client = GraphClient(
        "https://graph.example.com", httpx2.AsyncClient(transport=httpx2.MockTransport(graph)), Metrics()
    )

    async def send(_: str) -> str:
        response = await client.act(GraphRequest("POST", "/me/sendMail", "token", "sendMail", body=b"{}"))
        assert response.status == 202
        return "request-1"

    call = asyncio.create_task(replica.send(request(), TO, Direct(send)))
    await requested.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    may_respond.set()
    await replica.finish()

    again = await replica.send(request(), TO, Direct(send))
    assert again.is_repeat
    assert again.request_id == "request-1"
    assert world.accepted.total() == 1
