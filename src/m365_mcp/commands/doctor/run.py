"""Puts the checks together, runs them, and prints the report."""

from __future__ import annotations

import json
import ssl
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from urllib.parse import urlsplit

import httpx2
from rich.console import Console

from m365_mcp.commands.audit_in_force import audit_warnings
from m365_mcp.commands.doctor.entra import EntraChecks
from m365_mcp.commands.doctor.examination import Check, Examination, waiting_for
from m365_mcp.commands.doctor.graph import GraphCheck
from m365_mcp.commands.doctor.own_server import serving
from m365_mcp.commands.doctor.port import PortCheck
from m365_mcp.commands.doctor.printing import can_print, print_report
from m365_mcp.commands.doctor.public_url import PublicUrlChecks
from m365_mcp.commands.doctor.reaching import SIGN_IN, patient_client
from m365_mcp.commands.doctor.report import Finding, Report, finding_of
from m365_mcp.commands.doctor.store import StoreChecks
from m365_mcp.commands.doctor.walk import Walk
from m365_mcp.commands.in_force import in_force
from m365_mcp.container import Container, build_container
from m365_mcp.errors import Filled, NotChecked, SettingsMistake
from m365_mcp.loopback import is_loopback
from m365_mcp.settings import DEFAULT_REDIS_URL, Settings
from m365_mcp.settings.environment import unusable_proxies
from m365_mcp.storage.opening import shared_url
from m365_mcp.trust import trust_of
from m365_mcp.urls import NormalUrl
from m365_mcp.web.health import identity
from m365_mcp.web.pages.languages import ENGLISH, Language

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
    "public_streaming",
    "redirect_uri",
    "consent",
)
OUTSIDE = ("public_url", "replicas", "public_metadata", "public_headers", "public_streaming")


async def run_doctor(
    chosen: Settings | SettingsMistake,
    console: Console,
    language: Language = ENGLISH,
    walk: Walk | None = None,
    *,
    as_json: bool,
) -> int:
    """Examine the set-up that the settings describe; print the report and return the exit code, 0 or 1.

    Args:
        chosen: the settings, or why they cannot be read.
        console: where the report is printed.
        language: what it is printed in; JSON is English.
        walk: how somebody signs in; None: nobody does.
        as_json: print JSON and nothing else.
    """
    if isinstance(chosen, SettingsMistake):
        return _show(Report(None, _unreadable(chosen)), console, language, as_json=as_json)
    try:
        if chosen.mcp_workers > 1:
            shared_url(chosen)
        container = build_container(chosen)
    except SettingsMistake as mistake:
        return _show(Report(None, _unreadable(mistake)), console, language, as_json=as_json)
    store = _store_checks(container)
    try:
        findings = await _examine(container, store, console, language, walk, as_json=as_json)
    finally:
        if store is not None:
            await store.close()
        await container.close()
    code = _show(Report(chosen.mcp_server_base_url, findings), console, language, as_json=as_json)
    if not as_json:
        console.print(in_force(chosen, container.services.outgoing.policies.policies, language))
        for warning in audit_warnings(chosen):
            console.print(language.translate(warning), style="yellow", markup=False)
    return code


async def examine_from_outside(
    url: NormalUrl, console: Console, language: Language = ENGLISH, walk: Walk | None = None, *, as_json: bool
) -> int:
    """Examine a deployed server by its public URL; print the report and return the exit code, 0 or 1."""
    mistakes = unusable_proxies()
    try:
        trust = trust_of(None)
    except OSError:  # ssl.SSLError is an OSError
        mistakes.append(("SSL_CERT_FILE", "must name a readable PEM file with certificate authorities"))
    if mistakes:
        unreadable = Report(str(url), _unreadable(SettingsMistake(tuple(mistakes)), OUTSIDE))
        return _show(unreadable, console, language, as_json=as_json)
    async with patient_client(trust, uses_proxy=not is_loopback(url.host)) as http:
        checks = PublicUrlChecks(str(url), http, is_outside=True).checks()
        if walk is None:
            findings = await Examination().run(checks)
        else:
            async with walk.checks(str(url), trust) as signing_in:
                findings = await Examination().run(chain(checks, signing_in.checks()))
            walk.say(*signing_in.summary)
        report = Report(str(url), findings)
    return _show(report, console, language, as_json=as_json)


def _store_checks(container: Container) -> StoreChecks | None:
    if container.storage.kind != "redis":
        return None
    return StoreChecks(container.settings.redis_url or DEFAULT_REDIS_URL, container.storage.ping)


async def _examine(
    container: Container,
    store: StoreChecks | None,
    console: Console,
    language: Language,
    walk: Walk | None,
    *,
    as_json: bool,
) -> list[Finding]:
    chosen = container.settings
    trust = trust_of(chosen.ssl_cert_file)
    async with patient_client(trust) as http, patient_client(trust, uses_proxy=False) as local:
        checks = _checks(container, store, http, local)
        if walk is not None:
            return await _examine_with_sign_in(container, checks, walk, trust, local)
        checks = chain(checks, (Check("consent", _ask_for_sign_in, ("client_id",)),))
        if as_json:
            return await Examination().run(checks)
        with console.status("", spinner="dots" if can_print("⠋", console) else "line") as status:
            watch = Examination(lambda name: status.update(language.translate(Filled("Checking %(name)s", name=name))))
            return await watch.run(checks)


async def _examine_with_sign_in(
    container: Container, checks: Iterator[Check], walk: Walk, trust: ssl.SSLContext, local: httpx2.AsyncClient
) -> list[Finding]:
    url = container.settings.mcp_server_base_url
    async with serving(container.settings, local) as is_own, walk.checks(url, trust, container) as signing_in:
        if is_own:
            walk.say("No server was running, so the doctor runs one until it ends.")
        findings = await Examination().run(chain(checks, signing_in.checks()))
    walk.say(*signing_in.summary)
    signed_in = Finding("sign_in", "ok") in findings  # with a token for the scope, so that one is exposed
    return [Finding("scope", "ok") if signed_in and one.name == "scope" else one for one in findings]


def _checks(
    container: Container, store: StoreChecks | None, http: httpx2.AsyncClient, local: httpx2.AsyncClient
) -> Iterator[Check]:
    """Yield the checks; `local` is the client for this machine itself, without a proxy."""
    chosen, instance = container.settings, identity(container.settings)["instance"]
    url = chosen.mcp_server_base_url
    yield Check("settings", _nothing)
    if store is not None:
        yield from store.checks()
    else:
        yield Check("store_connection", container.storage.ping, ("settings",))
    entra = EntraChecks(chosen, container.http, container.sign_ins.refresher.endpoint)
    yield from entra.checks()
    yield GraphCheck(chosen.graph, container.graph_http).check()
    yield PortCheck(chosen.mcp_host, chosen.mcp_port, instance, local).check()
    is_local = is_loopback(urlsplit(url).hostname)
    same = ("port",) if is_local and urlsplit(url).port == chosen.mcp_port else ()
    yield from PublicUrlChecks(url, local if is_local else http, instance, unless=same).checks()
    yield entra.redirect_uri()


async def _nothing() -> None:
    """The settings were read and checked before."""


async def _ask_for_sign_in() -> None:
    raise NotChecked(
        "Only a sign-in shows whether consent is granted, and which version the tokens have.",
        advice=SIGN_IN,
    )


def _unreadable(mistake: SettingsMistake, names: Sequence[str] = NAMES) -> list[Finding]:
    listed, *others = [
        Filled("%(variable)s %(problem)s", variable=name, problem=Filled.of(problem))
        for name, problem in mistake.mistakes
    ]
    for one in others:
        listed = Filled("%(first)s; %(rest)s", first=listed, rest=one)
    failed = Finding("settings", "fail", mistake.code, Filled("%(mistakes)s.", mistakes=listed), mistake.advice)
    return [failed, *(finding_of(name, "skip", waiting_for("settings"), "settings") for name in names)]


def _show(report: Report, console: Console, language: Language, *, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps(report.to_json()) + "\n")  # rich would replace `:name:` by an emoji
    else:
        print_report(report, console, language)
    return 0 if report.is_ok else 1
