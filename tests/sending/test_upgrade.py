"""v0.1.0 and this version over one store, as during a rolling upgrade: one mail, whichever version sees the call first.

Beside them a version to come, which composes the same request differently.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from m365_mcp.errors import IdempotencyKeyReused, MessageRefused, OutcomeUnknown, StorageUnavailable
from m365_mcp.sending.delivery import Delivery, NoteDraft
from m365_mcp.sending.ledger import COLLECTION, START_SECONDS
from m365_mcp.sending.send_request import SendRequest
from tests.sending.old_replica import OldModules, OldReplica
from tests.sending.test_delivery import ADA, GRACE, TO, Through, World, request

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
        """Return what each record of a send says."""
        found = [await self.records.read(COLLECTION, name) for name in send.names()]
        return [None if one.value is None else str(one.value["state"]) for one in found]


@pytest.fixture
def upgrade(old_modules: OldModules) -> Upgrade:
    return Upgrade(old_modules)


def composed_later(send: SendRequest) -> SendRequest:
    """Return the request as a version to come composes it."""
    return replace(send, composed_fingerprint="composed by another rule")


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("order", ORDERS)
async def test_repeat_at_the_other_version_returns_the_first_receipt(
    upgrade: Upgrade, order: tuple[str, str], key: str | None
) -> None:
    """Sent through one version, called again through the other, and through the first once more: one mail."""
    one, two = map(upgrade.of, order)

    first = await one.send(request("m", key), TO, Through(upgrade.graph))
    again = [await replica.send(request("m", key), TO, Through(upgrade.graph)) for replica in (two, one)]

    assert upgrade.accepted.total() == 1
    assert not first.is_repeat
    assert again == [replace(first, is_repeat=True)] * 2


@pytest.mark.parametrize("key", KEYS)
async def test_racers_on_both_versions_send_one_mail(upgrade: Upgrade, key: str | None) -> None:
    """Thirty calls at once over two old and two new replicas: one sends, all have the same receipt."""
    replicas = [upgrade.of(version) for version in ("old", "new", "old", "new")]

    receipts = await asyncio.gather(
        *(replicas[n % 4].send(request("m", key), TO, Through(upgrade.graph)) for n in range(30))
    )

    assert upgrade.accepted.total() == 1
    assert len({receipt.message_id for receipt in receipts}) == 1
    assert sum(not receipt.is_repeat for receipt in receipts) == 1


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("outcome", ["sent", "refused"])
@pytest.mark.parametrize("order", ORDERS)
async def test_repeat_at_the_other_version_waits_for_a_send_under_way(
    upgrade: Upgrade, order: tuple[str, str], outcome: str, key: str | None
) -> None:
    """The lease of the first is seen by the other, however long it takes; after a refusal the other sends."""
    one, two = map(upgrade.of, order)
    at_graph, go_on = asyncio.Event(), asyncio.Event()

    async def slow(message_id: str) -> str:
        at_graph.set()
        await go_on.wait()
        if outcome == "refused":
            raise MessageRefused
        return await upgrade.graph(message_id)

    first = asyncio.create_task(one.send(request("m", key), TO, Through(slow)))
    await at_graph.wait()
    upgrade.now += START_SECONDS + 60  # without its lease the first would count as dead
    second = asyncio.create_task(two.send(request("m", key), TO, Through(upgrade.graph)))
    done, _ = await asyncio.wait([second], timeout=0.3)
    assert not done
    go_on.set()

    results: tuple[Any, Any] = await asyncio.gather(first, second, return_exceptions=True)
    assert upgrade.accepted.total() == 1
    assert results[1].is_repeat == (outcome == "sent")
    assert isinstance(results[0], MessageRefused) == (outcome == "refused")
    states = await upgrade.states(request("m", key))
    assert states[0] == "sent"
    assert set(states) == {"sent"} or order[outcome == "refused"] == "old"  # which writes no second record


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("order", ORDERS)
async def test_answer_that_was_lost_stays_unknown_at_the_other_version(
    upgrade: Upgrade, order: tuple[str, str], key: str | None
) -> None:
    """What may have been sent is sent by nobody again."""
    one, two = map(upgrade.of, order)

    for replica, graph in ((one, upgrade.graph_that_loses_the_answer), (two, upgrade.graph), (one, upgrade.graph)):
        with pytest.raises(OutcomeUnknown):
            await replica.send(request("m", key), TO, Through(graph))

    assert upgrade.accepted.total() == 1


@pytest.mark.parametrize("dies", ["before", "after"])
@pytest.mark.parametrize("spared", [0, 1])
@pytest.mark.parametrize("second", ["old", "new"])
async def test_process_that_dies_at_either_record_leaves_at_most_unknown(
    upgrade: Upgrade, second: str, spared: int, dies: str
) -> None:
    """New code whose store fails at its first or second record has sent nothing; the next call may, or says unknown."""
    upgrade.backend.dies, upgrade.backend.spared = dies, spared
    with pytest.raises(StorageUnavailable):
        await upgrade.of("new").send(request("m"), TO, Through(upgrade.graph))
    upgrade.now += START_SECONDS + 1

    try:
        said = "sent" if await upgrade.of(second).send(request("m"), TO, Through(upgrade.graph)) else ""
    except OutcomeUnknown:
        said = "unknown"

    assert said == ("sent" if (spared, dies) == (0, "before") else "unknown")
    assert upgrade.accepted.total() == (said == "sent")


@pytest.mark.parametrize("failing", [0, 1])
async def test_outcome_that_reached_one_record_only_is_safe_in_both_versions(upgrade: Upgrade, failing: int) -> None:
    """The store fails while the outcome is written, at the first or the second record: nobody sends again."""

    async def graph(message_id: str) -> str:
        reference = await upgrade.graph(message_id)
        upgrade.backend.dies = "before"
        # The slot at the mailbox is given back first.
        upgrade.backend.spared = 1 + failing
        return reference

    receipt = await upgrade.of("new").send(request("m"), TO, Through(graph))
    upgrade.backend.dies = None
    upgrade.now += START_SECONDS + 1

    assert await upgrade.states(request("m")) == (["sent", "sending"] if failing else ["sending", "sending"])
    for version in ("new", "old"):
        try:
            assert (await upgrade.of(version).send(request("m"), TO, Through(upgrade.graph))).is_repeat
        except OutcomeUnknown:
            assert not failing
    with pytest.raises(OutcomeUnknown):  # a version to come knows the second record only
        await upgrade.of("new").send(composed_later(request("m")), TO, Through(upgrade.graph))
    assert not receipt.is_repeat
    assert upgrade.accepted.total() == 1


@pytest.mark.parametrize("order", ORDERS)
async def test_key_of_another_message_is_an_error_at_the_other_version(
    upgrade: Upgrade, order: tuple[str, str]
) -> None:
    """A key stands for one message, whichever version has seen it first."""
    one, two = map(upgrade.of, order)
    await one.send(request("m", "k"), TO, Through(upgrade.graph))

    with pytest.raises(IdempotencyKeyReused):
        await two.send(request("other", "k"), TO, Through(upgrade.graph))
    assert upgrade.accepted.total() == 1


@pytest.mark.parametrize("key", KEYS)
async def test_request_that_is_composed_differently_is_a_repeat(upgrade: Upgrade, key: str | None) -> None:
    """What was written counts: after a change to the composing the same request is the same message."""
    first = await upgrade.of("new").send(request("m", key), TO, Through(upgrade.graph))

    again = await upgrade.of("new").send(composed_later(request("m", key)), TO, Through(upgrade.graph))

    assert again == replace(first, is_repeat=True)
    assert upgrade.accepted.total() == 1


async def test_repeat_that_is_composed_differently_is_known_to_v0_1_0_as_well(upgrade: Upgrade) -> None:
    """A new replica that finds the send in one record notes its outcome in the other."""
    first = await upgrade.of("new").send(composed_later(request("m")), TO, Through(upgrade.graph))
    await upgrade.of("new").send(request("m"), TO, Through(upgrade.graph))

    again = await upgrade.of("old").send(request("m"), TO, Through(upgrade.graph))

    assert again == replace(first, is_repeat=True)
    assert upgrade.accepted.total() == 1


async def test_outcome_of_one_send_is_not_written_over_that_of_another(upgrade: Upgrade) -> None:
    """v0.1.0 dies with a send that a later version has sent: that is unknown to v0.1.0, and the receipt is kept."""
    await upgrade.of("new").send(composed_later(request("m")), TO, Through(upgrade.graph))
    dying = upgrade.of("old")
    assert isinstance(dying, OldReplica)
    await dying.reserve(request("m"))
    upgrade.now += START_SECONDS + 1

    with pytest.raises(OutcomeUnknown):
        await upgrade.of("new").send(request("m"), TO, Through(upgrade.graph))

    assert await upgrade.states(request("m")) == ["unknown", "sent"]
    assert upgrade.accepted.total() == 1


@pytest.mark.parametrize("outcome", ["sent", "refused"])
async def test_request_that_is_composed_differently_waits_for_a_send_under_way(upgrade: Upgrade, outcome: str) -> None:
    """Its lease is found by what stands in the record that both share."""
    at_graph, go_on = asyncio.Event(), asyncio.Event()

    async def slow(message_id: str) -> str:
        at_graph.set()
        await go_on.wait()
        if outcome == "refused":
            raise MessageRefused
        return await upgrade.graph(message_id)

    first = asyncio.create_task(upgrade.of("new").send(request("m"), TO, Through(slow)))
    await at_graph.wait()
    upgrade.now += START_SECONDS + 60
    later = composed_later(request("m"))
    second = asyncio.create_task(upgrade.of("new").send(later, TO, Through(upgrade.graph)))
    done, _ = await asyncio.wait([second], timeout=0.3)
    assert not done
    go_on.set()

    results: tuple[Any, Any] = await asyncio.gather(first, second, return_exceptions=True)
    assert upgrade.accepted.total() == 1
    assert results[1].is_repeat == (outcome == "sent")


async def test_racers_that_compose_differently_send_one_mail(upgrade: Upgrade) -> None:
    """Thirty calls at once, half of them composed by another rule: one mail."""
    asked = (request("m"), composed_later(request("m")))

    receipts = await asyncio.gather(
        *(upgrade.of("new").send(asked[n % 2], TO, Through(upgrade.graph)) for n in range(30))
    )

    assert upgrade.accepted.total() == 1
    assert len({receipt.message_id for receipt in receipts}) == 1


class Drafting:
    """A way to send that notes a draft first, and finds no trace of a send that noted none."""

    def __init__(self, world: World, taken_over: asyncio.Event | None = None) -> None:
        self._world = world
        self._taken_over = taken_over
        self.begun = asyncio.Event()

    async def send(self, message_id: str, note_draft: NoteDraft) -> str:
        self.begun.set()
        if self._taken_over is not None:
            await self._taken_over.wait()
        await note_draft(f"draft of {message_id}")
        return await self._world.graph(message_id)

    async def reconcile(self, message_id: str, draft_id: str | None) -> bool | None:
        return None if draft_id else False


@pytest.mark.parametrize("version", ["old", "new"])
async def test_draft_of_a_send_that_another_call_took_over_is_not_sent(upgrade: Upgrade, version: str) -> None:
    """A process that stood still until others took it for dead finds that out before it sends its draft."""
    taken_over = asyncio.Event()
    slow = Drafting(upgrade, taken_over)
    first = asyncio.create_task(upgrade.of("new").send(request("m"), TO, slow))
    await slow.begun.wait()
    upgrade.now += 3600.0  # longer than any process works on a send
    owner = await upgrade.owner(request("m"))
    second = asyncio.create_task(upgrade.of(version).send(request("m"), TO, Drafting(upgrade)))
    async with asyncio.timeout(10):
        while await upgrade.owner(request("m")) == owner:  # noqa: ASYNC110 - what is waited for is in the store
            await asyncio.sleep(0.01)
    taken_over.set()

    with pytest.raises(StorageUnavailable):
        await first
    assert not (await second).is_repeat
    assert upgrade.accepted.total() == 1


async def test_ledger_keys_of_one_person_share_a_hash_tag(upgrade: Upgrade) -> None:
    """Records that v0.1.0 does not read lie in one slot of a cluster for each person."""
    tags = {
        name.partition("}")[0]
        for send in (request("m"), request("n"), request("m", allow_duplicate=True))
        for name in send.names()[-1:]
    }

    assert len(tags) == 1
    assert tags.pop().startswith("{")
    assert ADA.record_key("m").partition("}")[0] != GRACE.record_key("m").partition("}")[0]
