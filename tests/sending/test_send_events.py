"""Every call that sends is told to an observer once, with its outcome; a refusing observer keeps the message back."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import pytest

from m365_mcp.errors import AuditUnavailable, M365Error, MessageRefused, OutcomeUnknown, PolicyDenied, RateLimited
from m365_mcp.sending.delivery import Delivery
from m365_mcp.sending.send_events import SendEvent
from m365_mcp.sending.send_strategy import RecordDraft
from tests.sending.test_delivery import TO, Direct, NewDraft, World, request


class Listener:
    """Keeps the events, and lets no send begin if it is told so."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses
        self.begun: list[SendEvent] = []
        self.ended: list[SendEvent] = []

    async def begin(self, event: SendEvent) -> None:
        self.begun.append(event)
        if self.refuses:
            raise AuditUnavailable

    def end(self, event: SendEvent) -> None:
        self.ended.append(event)

    def at(self, world: World) -> Delivery:
        """Return a replica that this listener observes."""
        return replace(world.replica(), observer=self)


async def forbidden(_: str) -> str:
    error = PolicyDenied()
    error.rule = "no-secrets"
    raise error


async def broken(_: str) -> str:
    raise ZeroDivisionError


async def test_h7_outcomes_are_told_once_each() -> None:
    """Sent, repeat, not sent with the policy, unknown, and a fault of ours: one event each, with our id."""
    world, listener = World(), Listener()
    replica = listener.at(world)
    first = await replica.send(request(), TO, Direct(world.graph))
    await replica.send(request(), TO, Direct(world.graph))
    kinds: list[tuple[str, Direct, type[BaseException]]] = [
        ("refused", Direct(world.graph_that_refuses), MessageRefused),
        ("denied", Direct(forbidden), PolicyDenied),
        ("lost", Direct(world.graph_that_loses_the_response), OutcomeUnknown),
        ("broken", Direct(broken), ZeroDivisionError),
    ]
    for name, strategy, error in kinds:
        with pytest.raises(error):
            await replica.send(request(name), TO, strategy)

    told = [(event.outcome, event.code, event.policy) for event in listener.ended]
    assert told == [
        ("sent", None, None),
        ("repeat", None, None),
        ("not_sent", "message_refused", None),
        ("not_sent", "policy_denied", "no-secrets"),
        ("unknown", "outcome_unknown", None),
        ("unknown", "internal_error", None),
    ]
    assert [event.message_id for event in listener.ended[:2]] == [first.message_id, first.message_id]
    assert all(event.message_id for event in listener.ended)
    assert listener.ended[0].request_id == "request-1"
    assert len(listener.begun) == 5  # all but the repeat


async def test_message_over_the_limit_is_told_as_not_sent() -> None:
    """A message that the hourly limit keeps back is an event, too."""
    world, listener = World(hourly=1), Listener()
    replica = listener.at(world)
    await replica.send(request("one"), TO, Direct(world.graph))
    with pytest.raises(RateLimited):
        await replica.send(request("two"), TO, Direct(world.graph))

    assert [(event.outcome, event.code) for event in listener.ended] == [("sent", None), ("not_sent", "rate_limited")]


async def test_refusing_observer_keeps_the_message_back_and_a_repeat_sends_it() -> None:
    """What could not be recorded was not sent, so the same call sends it when it can be recorded."""
    world = World()
    with pytest.raises(AuditUnavailable):
        await Listener(refuses=True).at(world).send(request(), TO, Direct(world.graph))
    assert world.accepted.total() == 0
    receipt = await Listener().at(world).send(request(), TO, Direct(world.graph))

    assert not receipt.is_repeat
    assert world.accepted.total() == 1


class Resending(NewDraft):
    """A strategy whose draft is still there after an unclear send, so that it sends it once more."""

    records_draft: ClassVar[bool] = True

    async def send(self, message_id: str, record_draft: RecordDraft) -> str:
        await record_draft("draft")
        raise OutcomeUnknown

    async def reconcile(self, message_id: str, draft_id: str | None) -> bool | None:
        await self._send(message_id)
        return True


class Unclear(Resending):
    """The same strategy while the mailbox cannot be read."""

    async def reconcile(self, message_id: str, draft_id: str | None) -> bool | None:
        raise M365Error


async def test_draft_is_not_sent_once_more_without_a_record() -> None:
    """A repeat of an unclear send stays unknown while it cannot be recorded, and is settled when it can be."""
    world = World()
    with pytest.raises(OutcomeUnknown):
        await Listener().at(world).send(request(), TO, Unclear(world.graph))
    with pytest.raises(OutcomeUnknown):
        await Listener(refuses=True).at(world).send(request(), TO, Resending(world.graph))
    assert world.accepted.total() == 0
    receipt = await Listener().at(world).send(request(), TO, Resending(world.graph))

    assert receipt.is_repeat
    assert world.accepted.total() == 1
