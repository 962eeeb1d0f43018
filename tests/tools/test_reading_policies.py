"""The policies about tools that read: what they forbid is not read, and where none is about reading, nobody asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from key_value.aio.stores.memory import MemoryStore

from m365_mcp.errors import PolicyDenied, PolicyFailed, PolicyUnavailable
from m365_mcp.policy.policy_set import PolicySet, Verdict
from m365_mcp.sending.outbox import Outbox
from m365_mcp.sending.send_limits import SendLimits
from m365_mcp.storage.counters import Counters
from m365_mcp.storage.sliding_counts import SlidingCounts
from m365_mcp.tools import TOOLSETS, Tool, name_of, tools_for
from m365_mcp.tools.call_limits import CallLimits, PersonCalls
from tests.audit.reading import of_class, problems
from tests.backends import make_counters
from tests.sending.test_outbox import Post, post, send
from tests.sending.test_policies import NoCounts, under

READERS = {name_of(tool): tool for tool in tools_for(tuple(TOOLSETS), "off", may_ask=True)}
OWN = "get_my_profile"  # says only who is signed in
ARGUMENTS: dict[str, dict[str, Any]] = {"find_people": {"query": "Grace"}}


def forbid(condition: str, scope: str = 'action == Action::"Read"') -> str:
    return f'@id("house") @advice("Use Outlook.") forbid(principal, {scope}, resource) when {{ {condition} }};'


def with_counts(outbox: Outbox, counters: Counters) -> Outbox:
    """Return the outbox of a server whose counts are there."""
    limits = SendLimits(SlidingCounts(counters))
    return replace(outbox, outgoing=replace(outbox.outgoing, delivery=replace(outbox.outgoing.delivery, limits=limits)))


async def read(one: Post, tool: str = "list_messages", outbox: Outbox | None = None) -> Any:
    """Call a tool that reads, as Ada's client does."""
    function: Tool = READERS[tool]
    given: dict[str, Any] = {**ARGUMENTS.get(tool, {}), "outbox": outbox or one.ada}
    if tool in ("list_messages", "find_people"):
        given["calls"] = PersonCalls(CallLimits(SlidingCounts(make_counters())), one.ada.person)
    return await function(**given)


@pytest.mark.parametrize("tool", sorted(READERS.keys() - {OWN}))
async def test_g11_forbidden_tool_reads_nothing(tool: str) -> None:
    """A policy on Read holds for every tool that reads, by its name too; Graph is not asked, and the error says why."""
    async with post() as one:
        for condition in ("true", f'context.tool == "{tool}"'):
            with pytest.raises(PolicyDenied) as caught:
                await read(one, tool, under(one.ada, forbid(condition)))
        asked = one.world.network.asked()
        await read(one, tool, under(one.ada, forbid('context.tool == "send_mail"')))

    assert asked == []
    assert caught.value.rule == "house"
    assert caught.value.explain() == (
        "policy_denied: The policy 'house' of this organization does not allow this call. What to do: Use Outlook."
    )


CONDITIONS = {
    'context.client == "{client}"': True,
    "context.clientVerified": False,
    "!context.clientVerified": True,
    "context.hour >= 0 && context.weekday > 0": True,
    'principal == Person::"{person}"': True,
    'principal == Person::"somebody"': False,
    "context.personMessagesDay >= 1": True,
    "context.personMessagesDay >= 2": False,
    "resource.recipientCount > 0 || resource.externalCount > 0 || resource.attachmentCount > 0": False,
}


async def test_policy_on_reading_knows_who_calls_with_what_and_when() -> None:
    """Client, hour, person and counts are told as for a message; the message itself is empty."""
    async with post() as one:
        await send(one.ada)
        for condition, is_denied in CONDITIONS.items():
            named = condition.replace("{client}", one.ada.origin.client).replace("{person}", ":".join(one.ada.person))
            with pytest.raises(PolicyDenied) if is_denied else nullcontext():
                await read(one, outbox=under(one.ada, forbid(named)))


class Asked(PolicySet):
    """Policies that note for which actions they were asked."""

    actions: list[str]

    def decide(self, requests: Sequence[Mapping[str, Any]], entities: Sequence[Mapping[str, Any]]) -> Verdict:
        self.actions = [*getattr(self, "actions", []), *(one["action"]["id"] for one in requests)]
        return super().decide(requests, entities)


SCOPES = {
    'action in [Action::"Send", Action::"Draft"]': False,
    'action == Action::"Schedule"': False,
    'action in [Action::"Send", Action::"Read"]': True,
    "action": True,
}


async def test_reading_costs_no_decision_where_no_policy_can_forbid_it() -> None:
    """Only a policy whose scope covers Read is asked, and the store only where such a policy reads a count."""
    counts = '@id("n") forbid(principal, action == Action::"Send", resource) when { context.personMessagesDay > 9 };'
    async with post() as one:
        ada = with_counts(under(one.ada, ""), NoCounts(MemoryStore()))  # whose use raises
        for scope, is_asked in SCOPES.items():
            policies = Asked(of_company=f"{forbid('context.hour > 99', scope)}\n{counts}")
            asking = replace(ada.outgoing.policies, policies=policies)
            await read(one, outbox=replace(ada, outgoing=replace(ada.outgoing, policies=asking)))
            assert getattr(policies, "actions", []) == (["Read"] if is_asked else [])


async def test_reading_whose_counts_cannot_be_read_is_refused() -> None:
    """Where a policy on Read names a count and the store does not respond, nothing is read."""
    async with post() as one:
        ada = with_counts(under(one.ada, forbid("context.personMessagesDay > 9")), NoCounts(MemoryStore()))
        with pytest.raises(PolicyUnavailable) as caught:
            await read(one, outbox=ada)

    assert caught.value.retry_after == 7


async def test_policy_that_cannot_be_evaluated_reads_nothing() -> None:
    """A failing condition is a denial with a code of its own."""
    async with post() as one:
        with pytest.raises(PolicyFailed, match="'house' could not be evaluated, so nothing was read"):
            await read(one, outbox=under(one.ada, forbid("context.weekday + 9223372036854775807 < 0 || true")))


async def test_g11_denied_reading_is_recorded_with_its_tool(tmp_path: Path) -> None:
    """The audit trail has the policy and the tool of a denied reading; what was read leaves no record."""
    file, policies = tmp_path / "audit", tmp_path / "policies.cedar"
    policies.write_text(forbid('context.tool == "find_people"'))
    async with post(m365_audit=f"file:{file}", m365_policy_file=policies) as one:
        await read(one)
        with pytest.raises(PolicyDenied):
            await read(one, "find_people")
        await one.world.container.audit.close()

    [record] = [one for one in of_class(file, 6003) if one["api"]["operation"] == "policy.decide"]
    assert problems(record) == []
    assert (record["unmapped"]["tool"], record["unmapped"]["actions"]) == ("find_people", ["Read"])
    assert record["policy"] == {"uid": "house"}
