"""Prints a report for a person: a line for each check, and below those that need something, what to do."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from m365_mcp.commands.doctor.report import Finding, Report

TITLES = {
    "settings": "Settings",
    "port": "Port to listen on",
    "store_connection": "Store of the sign-ins",
    "store_latency": "Store: time of a command",
    "store_persistence": "Store: kept on disk",
    "store_eviction": "Store: removes nothing",
    "store_memory": "Store: room",
    "entra_connection": "Entra ID",
    "clock": "Clock of this machine",
    "tenant": "Tenant in Entra ID",
    "client_id": "Application in Entra ID",
    "client_credential": "Client credential",
    "credential_end": "End of the client credential",
    "scope": "Scope of the application",
    "redirect_uri": "Redirect URI",
    "graph_connection": "Microsoft Graph",
    "public_url": "Public URL",
    "replicas": "Replicas at the public URL",
    "public_metadata": "Metadata at the public URL",
    "public_headers": "Large headers at the public URL",
    "sign_in": "Sign-in",
    "consent": "Consent and token version",
    "test_mail": "Test mail",
    "sign_out": "End of the sign-in",
}
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}


def print_report(report: Report, console: Console) -> None:
    """Print every finding, then how many failed."""
    arrow = "→" if can_print("→", console) else "->"
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in report.findings:
        table.add_row(Text(finding.status, _COLOURS[finding.status]), TITLES[finding.name])
        for line in _explained(finding, arrow):
            table.add_row("", line)
    console.print(table)
    failed = sum(finding.status == "fail" for finding in report.findings)
    console.print("Nothing has failed." if not failed else f"Failed: {failed}.", style="bold")


def can_print(text: str, console: Console) -> bool:
    """Return whether the encoding of the console has the characters of `text`."""
    try:
        text.encode(console.encoding)
    except UnicodeEncodeError:
        return False
    return True


def _explained(finding: Finding, arrow: str) -> list[Text]:
    if finding.status == "ok":
        return []
    if finding.status == "skip":
        waits = f"waits for: {TITLES[finding.after]}" if finding.after else f"{finding.cause} {finding.fix}"
        return [Text(waits, "dim")]
    return [Text(finding.cause or ""), Text(f"{arrow} {finding.fix}"), Text(f"  ({finding.code})", "dim")]
