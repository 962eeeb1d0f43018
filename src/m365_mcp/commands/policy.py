"""The commands `policy check`, `explain` and `test`: what is in force, and what it decides of written messages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from m365_mcp.container import mail_rules
from m365_mcp.errors import InvalidArgument
from m365_mcp.policy.cases import Decision, read_call, read_cases
from m365_mcp.policy.decision_point import read_policies
from m365_mcp.policy.facts import InternalDomains
from m365_mcp.policy.policy_set import PolicySet
from m365_mcp.settings import Settings
from m365_mcp.settings.permissions import GROUPS

_COLOURS = {"permitted": "green", "approval_needed": "yellow", "denied": "red"}


def check(settings: Settings, console: Console) -> None:
    """Print one line per policy. Raises SettingsMistake."""
    policies = _policies(settings)
    table = Table("Policy", "Advice", title="Policies")
    for policy in policies.forbidding:
        table.add_row(escape(policy.id), escape(policy.advice or ""))
    console.print(table)
    console.print(f"{len(policies.forbidding)} policies; digest {policies.digest}")
    if policies.named.groups:
        named = len(policies.named.groups)
        console.print(f"{named} groups named; sign-ins ask for the Graph permission {GROUPS}", highlight=False)


def explain(
    settings: Settings,
    console: Console,
    file: Path,
    *,
    person: str | None,
    client: str | None,
    groups: tuple[str, ...],
    roles: tuple[str, ...],
) -> None:
    """Print what the policies decide of one message, and what they were told. Raises SettingsMistake, InvalidArgument.

    Args:
        person: the person's address, in place of what the file says.
        client: the client id, in place of what the file says.
        groups: the groups of the person, in place of what the file says; Microsoft is not asked.
        roles: the app roles of the person, in place of what the file says.
    """
    policies = _policies(settings)
    call = read_call(file).changed(person=person, client=client, groups=groups, roles=roles)
    decision = call.decide(policies, InternalDomains(settings.m365_internal_domains))
    table = Table("What", "Answer", title=f"{call.action} of {file.name}", show_lines=False)
    for name, text in _explanation(decision):
        table.add_row(name, text)
    console.print(table)
    console.print(_told(decision))


def decide_cases(settings: Settings, console: Console, file: Path | None) -> int:
    """Print one line per case, and return 1 if one fails, else 0. Raises SettingsMistake, InvalidArgument.

    Args:
        file: the cases; None: the file beside that of the policies whose name ends in `.cases.yaml`.
    """
    policies, cases = _policies(settings), read_cases(file or _beside(settings.m365_policy_file))
    internal, failed = InternalDomains(settings.m365_internal_domains), 0
    table = Table("Case", "Expected", "Decided", "", title="Cases of the policies")
    for case in cases:
        decision = case.decide(policies, internal)
        is_met = decision.meets(case)
        failed += not is_met
        expected = escape(" by ".join(filter(None, (case.expect, case.rule))))
        table.add_row(escape(case.name), expected, _decided(decision), "[green]ok[/]" if is_met else "[red]FAILED[/]")
    console.print(table)
    console.print(f"{len(cases)} cases, {failed} failed; policies {policies.digest}", highlight=False)
    return 1 if failed else 0


def _policies(settings: Settings) -> PolicySet:
    return read_policies(mail_rules(settings), settings.m365_policy_file)


def _beside(policies: Path | None) -> Path:
    if policies is None:
        raise InvalidArgument(
            "No file of cases is named.", advice="Name one, or set M365_POLICY_FILE and put it beside."
        )
    return policies.with_suffix(".cases.yaml")


def _decided(decision: Decision) -> str:
    return escape(" by ".join(filter(None, (decision.word, ", ".join(decision.rules)))))


def _explanation(decision: Decision) -> Iterator[tuple[str, str]]:
    yield "Decision", f"[{_COLOURS[decision.word]}]{decision.word}[/]"
    if decision.rules:
        yield "Rule", escape(decision.rules[0])
    if decision.word == "approval_needed":
        yield "Reason", "The mail waits until the person has approved it on a page of this server."
    if (refusal := decision.refusal) is not None:
        yield "Reason", escape(f"{refusal.code}: {refusal.sentence}")
        yield "Advice", escape(refusal.advice)
    if decision.rules[1:]:
        yield "Also", escape(", ".join(decision.rules[1:]))


def _written(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _told(decision: Decision) -> Table:
    table = Table("Attribute", "Value", title="What the policies were told")
    for name, values in (("groups", decision.memberships.groups.member), ("roles", decision.memberships.roles)):
        if values:
            table.add_row(f"principal: {name}", escape(", ".join(sorted(values))))
    for name, value in decision.facts.as_cedar().items():
        table.add_row(name, escape(_written(value)))
    for name, value in decision.circumstances.as_cedar().items():
        table.add_row(f"context.{name}", escape(_written(value)))
    return table
