"""What `m365-mcp settings` prints: each setting with its value and source, and what results from all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from rich.text import Text

from m365_mcp import __version__, settings
from m365_mcp.commands.audit_in_force import audit_warnings
from m365_mcp.commands.in_force import in_force
from m365_mcp.container import mail_rules
from m365_mcp.policy.decision_point import read_policies
from m365_mcp.settings import Settings
from m365_mcp.settings.groups import HEADINGS

DEFAULT, DERIVED = "default", "derived"
HIDDEN = "set, not shown"


@dataclass(frozen=True)
class Shown:
    """A setting: its variable, its value as text (None: unset), where it comes from, and the heading of its group."""

    name: str
    value: str | None
    source: str
    group: str


def shown(chosen: Settings) -> Iterator[Shown]:
    """Yield every setting in the order of docs/settings.md; of a secret, only that it is set."""
    sources, derived, group = settings.sources(), _derived(chosen), ""
    for field in Settings.model_fields:
        group = HEADINGS.get(field, group)
        value, source = as_text(getattr(chosen, field)), sources.get(field, DEFAULT)
        if source == DEFAULT and field in derived:
            value, source = derived[field], DERIVED
        yield Shown(field.upper(), value, source, group)


def _derived(chosen: Settings) -> dict[str, str]:
    """Return the values that are unset and follow from others."""
    key = "from JWT_SIGNING_KEY" if chosen.jwt_signing_key else "from AZURE_CLIENT_SECRET"
    found = {
        "azure_authority_host": chosen.authority,
        "graph_base_url": chosen.graph,
        "mcp_hsts_seconds": str(chosen.hsts_seconds),
        "storage_encryption_key": key,
        "jwt_signing_key": "from AZURE_CLIENT_SECRET",
    }
    if "mcp_port" in chosen.model_fields_set:
        found["mcp_server_base_url"] = chosen.mcp_server_base_url
    return found


def as_text(value: Any) -> str | None:
    """Return a value as it is written in `.env`, without a secret, a password, or the query of an address."""
    if value is None:
        return None
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, tuple):
        if value and isinstance(value[0], SecretStr):
            return HIDDEN if len(value) == 1 else f"{len(value)} keys, not shown"
        return ",".join(map(str, value)) or None
    if isinstance(value, bool):
        return str(value).lower()
    return _without_password(str(value))


def _without_password(text: str) -> str:
    parts = urlsplit(text) if "://" in text else None
    if parts is None or not ("@" in parts.netloc or parts.query):
        return text
    host = parts.netloc.rpartition("@")[2]
    netloc = f"***@{host}" if "@" in parts.netloc else host
    return parts._replace(netloc=netloc, query="***" if parts.query else "").geturl()


def show(chosen: Settings, console: Console, *, as_json: bool) -> None:
    """Print the settings and what they allow. Raises SettingsMistake where the policies cannot be read."""
    policies = read_policies(mail_rules(chosen), chosen.m365_policy_file)
    rows = list(shown(chosen))
    unknown = settings.misspelt().items()
    warnings = [f"{name} is no setting and has no effect; {meant} is one." for name, meant in unknown]
    warnings += audit_warnings(chosen)
    if as_json:
        report = {
            "version": __version__,
            "settings": [asdict(row) for row in rows],
            "redirect_uris": chosen.redirect_uris,
            "toolsets": chosen.m365_toolsets,
            "permissions": chosen.graph_permissions,
            "policies": policies.digest,
            "warnings": warnings,
        }
        console.out(json.dumps(report, indent=2, ensure_ascii=False), highlight=False)
        return
    for group in dict.fromkeys(row.group for row in rows):
        console.print(_table(group, [row for row in rows if row.group == group]))
    console.print(in_force(chosen, policies))
    console.print(Text("MCP clients may use these redirect URIs:", style="bold"))
    for uri in chosen.redirect_uris:
        console.print(Text(f"  {uri}"), soft_wrap=True)
    for warning in warnings:
        console.print(Text(f"Warning: {warning}", style="yellow"))


def _table(group: str, rows: list[Shown]) -> Table:
    table = Table(title=group, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("Variable", no_wrap=True)
    table.add_column("Value", overflow="fold")
    table.add_column("From", no_wrap=True)
    for row in rows:
        value = Text("–", style="dim") if row.value is None else Text(row.value)
        table.add_row(row.name, value, row.source, style="dim" if row.source == DEFAULT else None)
    return table
