"""Prints a report for a person: the checks, and below those that need something, what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from rich.console import Console
from rich.table import Table
from rich.text import Text

from m365_mcp.commands.doctor.report import Finding, Report
from m365_mcp.errors import Filled
from m365_mcp.web.pages.languages import ENGLISH, Language

TITLES = {
    "settings": "Settings",
    "port": "Port to listen on",
    "store_connection": "Store of the sign-ins",
    "store_latency": "Store: latency",
    "store_persistence": "Store: persistence",
    "store_eviction": "Store: eviction",
    "store_memory": "Store: memory",
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
    "public_streaming": "Streaming at the public URL",
    "sign_in": "Sign-in",
    "consent": "Consent and token version",
    "test_mail": "Test mail",
    "sign_out": "End of the sign-in",
}
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}
_STATUSES = {"ok": Filled("ok"), "warn": Filled("warn"), "fail": Filled("fail"), "skip": Filled("skip")}


def print_report(report: Report, console: Console, language: Language = ENGLISH) -> None:
    """Print every finding, then how many failed, in a language."""
    arrow = "→" if can_print("→", console) else "->"
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding, titles in _gathered(report.findings):
        status = Text(language.translate(_STATUSES[finding.status]), _COLOURS[finding.status])
        table.add_row(status, ", ".join(language.translate(title) for title in titles))
        for line in _explained(finding, arrow, language):
            table.add_row("", line)
    console.print(table)
    failed = sum(finding.status == "fail" for finding in report.findings)
    ending = Filled("Failed: %(number)s.", number=str(failed)) if failed else Filled("Nothing has failed.")
    console.print(language.translate(ending), style="bold")


def _gathered(findings: Iterable[Finding]) -> Iterator[tuple[Finding, list[str]]]:
    """Yield each finding with its title; those in a row that wait for the same check are one, with all titles."""
    for _, group in groupby(findings, key=lambda one: (one.after, "" if one.after else one.name)):
        several = list(group)
        yield several[0], [TITLES[one.name] for one in several]


def can_print(text: str, console: Console) -> bool:
    """Return whether the encoding of the console has the characters of `text`."""
    try:
        text.encode(console.encoding)
    except UnicodeEncodeError:
        return False
    return True


def _explained(finding: Finding, arrow: str, language: Language) -> list[Text]:
    if finding.status == "ok":
        return []
    if finding.status == "skip":
        return [Text(language.translate(_skipped(finding)), "dim")]
    cause, fix = (language.translate(text or "") for text in (finding.cause, finding.fix))
    return [Text(cause), Text(f"{arrow} {fix}"), Text(f"  ({finding.code})", "dim")]


def _skipped(finding: Finding) -> Filled:
    if finding.after:
        return Filled("waits for: %(title)s", title=Filled(TITLES[finding.after]))
    both = {"sentence": Filled.of(finding.cause or ""), "advice": Filled.of(finding.fix or "")}
    return Filled("%(sentence)s %(advice)s", **both)
