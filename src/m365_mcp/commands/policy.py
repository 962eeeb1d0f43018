"""The command `policy check`: reads settings and policies as the server does, and prints the policies in force."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from m365_mcp.container import mail_rules
from m365_mcp.policy.decision_point import read_policies
from m365_mcp.settings import Settings


def check(settings: Settings, console: Console) -> None:
    """Print one line per policy. Raises SettingsMistake."""
    policies = read_policies(mail_rules(settings), settings.m365_policy_file)
    table = Table("Policy", "Advice", title="Policies that forbid")
    for policy in policies.forbidding:
        table.add_row(escape(policy.id), escape(policy.advice or ""))
    console.print(table)
    console.print(f"{len(policies.forbidding)} policies; digest {policies.digest}")
