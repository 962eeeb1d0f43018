"""Puts the checks together, runs them, and prints the report."""

from __future__ import annotations

import json
from collections.abc import Iterator

from rich.console import Console

from m365_mcp.commands.audit_in_force import audit_warnings
from m365_mcp.commands.doctor.entra import EntraChecks
from m365_mcp.commands.doctor.examination import Check, Examination
from m365_mcp.commands.doctor.graph import GraphCheck
from m365_mcp.commands.doctor.port import PortCheck
from m365_mcp.commands.doctor.printing import print_report
from m365_mcp.commands.doctor.public_url import PublicUrlChecks
from m365_mcp.commands.doctor.report import Finding, Report
from m365_mcp.commands.doctor.store import StoreChecks
from m365_mcp.commands.in_force import in_force
from m365_mcp.container import Container, build_container
from m365_mcp.errors import NotChecked, SettingsMistake
from m365_mcp.http_clients import plain_client
from m365_mcp.settings import DEFAULT_REDIS_URL, Settings
from m365_mcp.trust import trust_of
from m365_mcp.web.health import identity

# Every check of a set-up, for a report about settings that cannot be read.
NAMES = (
    "store_connection",
    "store_latency",
    "store_persistence",
    "store_eviction",
    "store_memory",
    "entra_connection",
    "clock",
    "tenant",
    "client_id",
    "client_credential",
    "credential_end",
    "scope",
    "graph_connection",
    "port",
    "public_url",
    "replicas",
    "public_metadata",
    "public_headers",
    "redirect_uri",
    "consent",
)


async def run_doctor(chosen: Settings | SettingsMistake, console: Console, *, as_json: bool) -> int:
    """Examine the set-up that the settings describe; print the report and return the exit code, 0 or 1.

    Args:
        chosen: the settings, or why they cannot be read.
        console: where the report is printed.
        as_json: print JSON and nothing else.
    """
    if isinstance(chosen, SettingsMistake):
        return _show(Report(None, _unreadable(chosen)), console, as_json=as_json)
    try:
        container = build_container(chosen)
    except SettingsMistake as mistake:
        return _show(Report(None, _unreadable(mistake)), console, as_json=as_json)
    store = _store_checks(container)
    try:
        report = Report(chosen.mcp_server_base_url, await _examine(container, store, console, as_json=as_json))
    finally:
        if store is not None:
            await store.close()
        await container.close()
    code = _show(report, console, as_json=as_json)
    if not as_json:
        console.print(in_force(chosen, container.services.outgoing.policies.policies))
        for warning in audit_warnings(chosen):
            console.print(warning, style="yellow", markup=False)
    return code


async def examine_from_outside(url: str, console: Console, *, as_json: bool) -> int:
    """Examine a deployed server by its public URL; print the report and return the exit code."""
    async with plain_client() as http:
        checks = PublicUrlChecks(url.rstrip("/"), http, is_outside=True).checks()
        report = Report(url, await Examination().run(checks))
    return _show(report, console, as_json=as_json)


def _store_checks(container: Container) -> StoreChecks | None:
    if container.storage.kind != "redis":
        return None
    return StoreChecks(container.settings.redis_url or DEFAULT_REDIS_URL)


async def _examine(
    container: Container, store: StoreChecks | None, console: Console, *, as_json: bool
) -> list[Finding]:
    chosen = container.settings
    async with plain_client(verify=trust_of(chosen.ssl_cert_file)) as http:
        checks = list(
            _checks(container, store, PublicUrlChecks(chosen.mcp_server_base_url, http, identity(chosen)["instance"]))
        )
        if as_json:
            return await Examination().run(checks)
        with console.status("Checking…") as status:
            return await Examination(lambda name: status.update(f"Checking {name}…")).run(checks)


def _checks(container: Container, store: StoreChecks | None, public: PublicUrlChecks) -> Iterator[Check]:
    chosen = container.settings
    yield Check("settings", _nothing)
    if store is not None:
        yield from store.checks()
    else:
        yield Check("store_connection", container.storage.ping, ("settings",))
    entra = EntraChecks(chosen, container.http, container.sign_ins.refresher.endpoint)
    yield from entra.checks()
    yield GraphCheck(chosen.graph, container.graph_http).check()
    yield PortCheck(chosen.mcp_host, chosen.mcp_port, identity(chosen)["instance"], public.http).check()
    yield from public.checks()
    yield entra.redirect_uri()
    yield Check("consent", _ask_for_sign_in, ("client_id",))


async def _nothing() -> None:
    """The settings were read and checked before."""


async def _ask_for_sign_in() -> None:
    raise NotChecked(
        "Only a sign-in shows whether consent is granted, and which version the tokens have.",
        advice="Run m365-mcp doctor --sign-in.",
    )


def _unreadable(mistake: SettingsMistake) -> list[Finding]:
    cause = "; ".join(f"{name} {problem}" for name, problem in mistake.mistakes)
    failed = Finding("settings", "fail", mistake.code, f"{cause}.", mistake.advice)
    waiting = NotChecked("The check settings has to pass first.")
    return [failed, *(Finding(n, "skip", waiting.code, waiting.sentence, waiting.advice, "settings") for n in NAMES)]


def _show(report: Report, console: Console, *, as_json: bool) -> int:
    if as_json:
        console.print(json.dumps(report.to_json(), ensure_ascii=False), soft_wrap=True, markup=False, highlight=False)
    else:
        print_report(report, console)
    return 0 if report.is_ok else 1
