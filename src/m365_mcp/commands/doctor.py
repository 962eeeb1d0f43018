"""Runs every check and prints, for each failure, the cause and the fix; then what may leave."""

from __future__ import annotations

import json

import httpx2
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from m365_mcp.commands.audit_in_force import audit_warnings
from m365_mcp.commands.in_force import in_force
from m365_mcp.container import Container, build_container
from m365_mcp.errors import AppRegistrationMistake, EntraUnavailable, GraphUnavailable, M365Error
from m365_mcp.settings import Settings
from m365_mcp.web.health import Check

_TITLES = {
    "storage": "Store of the sign-ins",
    "entra": "Entra ID's signing keys",
    "tenant": "The tenant in Entra ID",
    "graph": "Microsoft Graph",
}


async def examine(settings: Settings, console: Console) -> int:
    """Print one line per check, what may leave, and warnings; return 0 when all checks pass, else 1."""
    container = build_container(settings)
    try:
        table = Table("Check", "Result", "What to do", title="m365-mcp doctor", show_lines=True)
        table.add_row("Settings", "[green]ok[/]", f"redirect URI: {settings.mcp_server_base_url}/auth/callback")
        failed = 0
        more_checks = Check("tenant", lambda: _find_tenant(container)), Check("graph", lambda: _reach_graph(container))
        for check in (*container.checks, *more_checks):
            with console.status(f"Checking {check.name}…"):
                error = await check.run()
            table.add_row(_TITLES[check.name], *_result(error, container))
            failed += error is not None
    finally:
        await container.close()
    console.print(table)
    console.print(in_force(settings, container.services.outgoing.policies.policies))
    for warning in audit_warnings(settings):
        console.print(f"[yellow]{escape(warning)}[/]")
    return 1 if failed else 0


def _result(error: M365Error | None, container: Container) -> tuple[str, str]:
    if error is None:
        return "[green]ok[/]", ""
    settings = container.settings
    advice = {
        "storage_unavailable": "Check REDIS_URL; redis-cli ping should answer PONG.",
        "entra_unavailable": f"Check that {settings.authority} can be reached (proxy, firewall, SSL_CERT_FILE).",
        "graph_unavailable": f"Check that {settings.graph} can be reached.",
    }.get(error.code, error.advice)
    return f"[red]{error.code}[/]", f"{error.sentence} {advice}"


async def _find_tenant(container: Container) -> None:
    """Return when Entra ID knows each tenant by the URL that tokens have as their issuer."""
    for tenant_id in container.settings.tenants:
        tenant = f"{container.settings.authority}/{tenant_id}/v2.0"
        try:
            issuer = (await container.http.get(f"{tenant}/.well-known/openid-configuration")).json().get("issuer")
        except (httpx2.HTTPError, json.JSONDecodeError, AttributeError) as error:
            raise EntraUnavailable from error
        if issuer != tenant:
            raise AppRegistrationMistake(
                f"Entra ID does not know the tenant {tenant_id}.",
                advice="Set AZURE_TENANT_ID (or AZURE_ALLOWED_TENANTS) to the Directory (tenant) ID.",
            )


async def _reach_graph(container: Container) -> None:
    """Return when Graph refuses a request without a token with its own error code."""
    try:
        response = await container.http.get(f"{container.settings.graph}/v1.0/me")
        code = response.json()["error"]["code"]
    except (httpx2.HTTPError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise GraphUnavailable from error
    if code != "InvalidAuthenticationToken":
        raise GraphUnavailable("The server at GRAPH_BASE_URL does not respond like Microsoft Graph.")
