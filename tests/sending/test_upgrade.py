"""v0.1.0 and this version over one store, as during a rolling upgrade, send one mail for one request.

Some tests add a later version, which composes the same request differently.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from m365_mcp.errors import IdempotencyKeyReused, MessageRefused, OutcomeUnknown, StorageUnavailable
from m365_mcp.sending.delivery import Delivery
from m365_mcp.sending.held_mail import HeldContent
from m365_mcp.sending.ledger import START_SECONDS
from m365_mcp.sending.send_records import COLLECTION
from m365_mcp.sending.send_request import SendRequest
from m365_mcp.sending.send_strategy import RecordDraft
from tests.sending.old_replica import OldModules, OldReplica
from tests.sending.test_delivery import ADA, GRACE, TO, Direct, World, request

ORDERS = [("old", "new"), ("new", "old"), ("new", "new")]
KEYS = [None, "k"]


class Upgrade(World):
    """Replicas of both versions over one store."""

    def __init__(self, old: OldModules) -> None:
        super().__init__()
        self._old = old

    def of(self, version: str) -> Delivery | OldReplica:
        return OldReplica(self._old, self.records, lambda: self.now) if version == "old" else self.replica()

    async def owner(self, send: SendRequest) -> str | None:
        """Return our id of the message in the record that both versions read."""
        found = await self.records.read(COLLECTION, send.names()[0])
        return None if found.value is None else str(found.value["message_id"])

    async def states(self, send: SendRequest) -> list[str | None]:
        """Return the state in each record of a send."""
        found = [await self.records.read(COLLECTION, name) for name in send.names()]
        return [None if stored.value is None else str(stored.value["state"]) for stored in found]


@pytest.fixture
def upgrade(old_modules: OldModules) -> Upgrade:
    return Upgrade(old_modules)


def composed_later(send: SendRequest) -> SendRequest:
    """Return the request as a later version composes it."""
    return replace(send, composed_fingerprint="composed by another rule")


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("order", ORDERS)
async def test_repeat_at_the_other_version_returns_the_first_receipt(
    upgrade: Upgrade, order: tuple[str, str], key: str | None
) -> None:
    """A send through one version and repeats through both versions are one mail."""
    one, two = map(upgrade.of, order)

    first = await one.send(request("m", key), TO, Direct(upgrade.graph))
    again = [await replica.send(request("m", key), TO, Direct(upgrade.graph)) for replica in (two, one)]

    assert upgrade.accepted.total() == 1
    assert not first.is_repeat
    saved = {("new", "new"): True}  # v0.1.0 neither stores nor reads whether a direct send is saved
    assert again == [
        replace(first, is_repeat=True, is_saved=saved.get((order[0], answering))) for answering in reversed(order)
    ]


@pytest.mark.parametrize("key", KEYS)
async def test_racers_on_both_versions_send_one_mail(upgrade: Upgrade, key: str | None) -> None:
    """Of thirty concurrent calls over two old and two new replicas, one sends, and all get the same receipt."""
    replicas = [upgrade.of(version) for version in ("old", "new", "old", "new")]

    receipts = await asyncio.gather(
        *(replicas[n % 4].send(request("m", key), TO, Direct(upgrade.graph)) for n in range(30))
    )

    assert upgrade.accepted.total() == 1
    assert len({receipt.message_id for receipt in receipts}) == 1
    assert sum(not receipt.is_repeat for receipt in receipts) == 1


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("outcome", ["sent", "refused"])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.sample(3)
async def test_repeat_at_the_other_version_waits_for_a_running_send(
    upgrade: Upgrade, order: tuple[str, str], outcome: str, key: str | None
) -> None:
    """The second version sees the lease of the first and waits; after a refusal it sends."""
    one, two = map(upgrade.of, order)
    at_graph, may_continue = asyncio.Event(), asyncio.Event()

    async def slow(message_id: str) -> str:
        at_graph.set()
        await may_continue.wait()
        if outcome == "refused":
            raise MessageRefused
        return await upgrade.graph(message_id)

    first = asyncio.create_task(one.send(request("m", key), TO, Direct(slow)))
    await at_graph.wait()
    upgrade.now += START_SECONDS + 60  # without its lease the first process would count as dead
    second = asyncio.create_task(two.send(request("m", key), TO, Direct(upgrade.graph)))
    done, _ = await asyncio.wait([second], timeout=0.3)
    assert not done
    may_continue.set()

    results: tuple[Any, Any] = await asyncio.gather(first, second, return_exceptions=True)
    assert upgrade.accepted.total() == 1
    assert results[1].is_repeat == (outcome == "sent")
    assert isinstance(results[0], MessageRefused) == (outcome == "refused")
    states = await upgrade.states(request("m", key))
    assert states[0] == "sent"
    assert set(states) == {"sent"} or order[outcome == "refused"] == "old"  # v0.1.0 writes no second record


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("order", ORDERS)
async def test_lost_response_stays_unknown_at_the_other_version(
    upgrade: Upgrade, order: tuple[str, str], key: str | None
) -> None:
    """Neither version sends a message again that Graph may have sent."""
    one, two = map(upgrade.of, order)

    for replica, graph in ((one, upgrade.graph_that_loses_the_response), (two, upgrade.graph), (one, upgrade.graph)):
        with pytest.raises(OutcomeUnknown):
            await replica.send(request("m", key), TO, Direct(graph))

    assert upgrade.accepted.total() == 1


@pytest.mark.parametrize("dies", ["before", "after"])
@pytest.mark.parametrize("spared", [0, 1])
@pytest.mark.parametrize("second", ["old", "new"])
async def test_process_that_dies_at_either_record_leaves_at_most_unknown(
    upgrade: Upgrade, second: str, spared: int, dies: str
) -> None:
    """When the store fails at either record, the call sends nothing; the next call sends or reports unknown."""
    upgrade.backend.dies, upgrade.backend.spared = dies, spared
    with pytest.raises(StorageUnavailable):
        await upgrade.of("new").send(request("m"), TO, Direct(upgrade.graph))
    upgrade.now += START_SECONDS + 1

    try:
        outcome = "sent" if await upgrade.of(second).send(request("m"), TO, Direct(upgrade.graph)) else ""
    except OutcomeUnknown:
        outcome = "unknown"

    assert outcome == ("sent" if (spared, dies) == (0, "before") else "unknown")
    assert upgrade.accepted.total() == (outcome == "sent")


@pytest.mark.parametrize("failing", [0, 1])
async def test_outcome_that_reached_one_record_only_is_safe_in_both_versions(upgrade: Upgrade, failing: int) -> None:
    """When the store fails at either record of the outcome, no version sends again."""

    async def graph(message_id: str) -> str:
        reference = await upgrade.graph(message_id)
        upgrade.backend.dies = "before"
        upgrade.backend.spared = failing
        return reference

    receipt = await upgrade.of("new").send(request("m"), TO, Direct(graph))
    upgrade.backend.dies = None
    upgrade.now += START_SECONDS + 1

    assert await upgrade.states(request("m")) == (["sent", "sending"] if failing else ["sending", "sending"])
    for version in ("new", "old"):
        try:
            assert (await upgrade.of(version).send(request("m"), TO, Direct(upgrade.graph))).is_repeat
        except OutcomeUnknown:
            assert not failing
    with pytest.raises(OutcomeUnknown):  # a later version reads the second record only
        await upgrade.of("new").send(composed_later(request("m")), TO, Direct(upgrade.graph))
    assert not receipt.is_repeat
    assert upgrade.accepted.total() == 1


@pytest.mark.parametrize("order", ORDERS)
async def test_key_of_another_message_is_an_error_at_the_other_version(
    upgrade: Upgrade, order: tuple[str, str]
) -> None:
    """A key names one message, in both versions."""
    one, two = map(upgrade.of, order)
    await one.send(request("m", "k"), TO, Direct(upgrade.graph))

    with pytest.raises(IdempotencyKeyReused):
        await two.send(request("other", "k"), TO, Direct(upgrade.graph))
    assert upgrade.accepted.total() == 1


@pytest.mark.parametrize("key", KEYS)
async def test_request_that_is_composed_differently_is_a_repeat(upgrade: Upgrade, key: str | None) -> None:
    """After a change to the composing, the same request is a repeat."""
    first = await upgrade.of("new").send(request("m", key), TO, Direct(upgrade.graph))

    again = await upgrade.of("new").send(composed_later(request("m", key)), TO, Direct(upgrade.graph))

    assert again == replace(first, is_repeat=True)
    assert upgrade.accepted.total() == 1


async def test_repeat_that_is_composed_differently_is_a_repeat_for_v0_1_0_too(upgrade: Upgrade) -> None:
    """A new replica that finds the send in one record copies its outcome to the other."""
    first = await upgrade.of("new").send(composed_later(request("m")), TO, Direct(upgrade.graph))
    await upgrade.of("new").send(request("m"), TO, Direct(upgrade.graph))

    again = await upgrade.of("old").send(request("m"), TO, Direct(upgrade.graph))

    assert again == replace(first, is_repeat=True, is_saved=None)
    assert upgrade.accepted.total() == 1


async def test_outcome_of_one_send_does_not_replace_that_of_another(upgrade: Upgrade) -> None:
    """When v0.1.0 dies in a send that a later version has sent, its record becomes unknown; the receipt stays."""
    await upgrade.of("new").send(composed_later(request("m")), TO, Direct(upgrade.graph))
    dying = upgrade.of("old")
    assert isinstance(dying, OldReplica)
    await dying.reserve(request("m"))
    upgrade.now += START_SECONDS + 1

    with pytest.raises(OutcomeUnknown):
        await upgrade.of("new").send(request("m"), TO, Direct(upgrade.graph))

    assert await upgrade.states(request("m")) == ["unknown", "sent"]
    assert upgrade.accepted.total() == 1


@pytest.mark.parametrize("outcome", ["sent", "refused"])
async def test_request_that_is_composed_differently_waits_for_a_running_send(upgrade: Upgrade, outcome: str) -> None:
    """The shared record names the lease of the running send."""
    at_graph, may_continue = asyncio.Event(), asyncio.Event()

    async def slow(message_id: str) -> str:
        at_graph.set()
        await may_continue.wait()
        if outcome == "refused":
            raise MessageRefused
        return await upgrade.graph(message_id)

    first = asyncio.create_task(upgrade.of("new").send(request("m"), TO, Direct(slow)))
    await at_graph.wait()
    upgrade.now += START_SECONDS + 60
    later = composed_later(request("m"))
    second = asyncio.create_task(upgrade.of("new").send(later, TO, Direct(upgrade.graph)))
    done, _ = await asyncio.wait([second], timeout=0.3)
    assert not done
    may_continue.set()

    results: tuple[Any, Any] = await asyncio.gather(first, second, return_exceptions=True)
    assert upgrade.accepted.total() == 1
    assert results[1].is_repeat == (outcome == "sent")


async def test_racers_that_compose_differently_send_one_mail(upgrade: Upgrade) -> None:
    """Thirty concurrent calls, half of them composed by another rule, send one mail."""
    requests = (request("m"), composed_later(request("m")))

    receipts = await asyncio.gather(
        *(upgrade.of("new").send(requests[n % 2], TO, Direct(upgrade.graph)) for n in range(30))
    )

    assert upgrade.accepted.total() == 1
    assert len({receipt.message_id for receipt in receipts}) == 1


class Drafting:
    """A strategy that records a draft before it sends; without a draft it reconciles to not sent."""

    records_draft: ClassVar[bool] = True

    def __init__(self, world: World, taken_over: asyncio.Event | None = None) -> None:
        self._world = world
        self._taken_over = taken_over
        self.begun = asyncio.Event()

    async def send(self, message_id: str, record_draft: RecordDraft) -> str:
        self.begun.set()
        if self._taken_over is not None:
            await self._taken_over.wait()
        await record_draft(f"draft of {message_id}")
        return await self._world.graph(message_id)

    def to_hold(self) -> HeldContent:
        return HeldContent("direct")

    async def reconcile(self, message_id: str, draft_id: str | None) -> bool | None:
        return None if draft_id else False


@pytest.mark.parametrize("version", ["old", "new"])
async def test_draft_of_a_send_that_another_call_took_over_is_not_sent(upgrade: Upgrade, version: str) -> None:
    """A frozen process that resumes after another call reserved its send does not send its draft."""
    taken_over = asyncio.Event()
    slow = Drafting(upgrade, taken_over)
    first = asyncio.create_task(upgrade.of("new").send(request("m"), TO, slow))
    await slow.begun.wait()
    upgrade.now += 3600.0  # longer than any send runs
    owner = await upgrade.owner(request("m"))
    second = asyncio.create_task(upgrade.of(version).send(request("m"), TO, Drafting(upgrade)))
    async with asyncio.timeout(10):
        while await upgrade.owner(request("m")) == owner:  # noqa: ASYNC110 - the test polls the store
            await asyncio.sleep(0.01)
    taken_over.set()

    with pytest.raises(StorageUnavailable):
        await first
    assert not (await second).is_repeat
    assert upgrade.accepted.total() == 1


async def test_ledger_keys_of_one_person_share_a_hash_tag(upgrade: Upgrade) -> None:
    """A Redis cluster stores all records of one person that v0.1.0 does not read in one slot."""
    tags = {
        name.partition("}")[0]
        for send in (request("m"), request("n"), request("m", allow_duplicate=True))
        for name in send.names()[-1:]
    }

    assert len(tags) == 1
    assert tags.pop().startswith("{")
    assert ADA.record_key("m").partition("}")[0] != GRACE.record_key("m").partition("}")[0]
