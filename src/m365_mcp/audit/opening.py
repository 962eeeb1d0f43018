"""Opens the audit trail that the settings choose."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import cast

import httpx2

from m365_mcp import __version__
from m365_mcp.audit.http_output import HttpOutput
from m365_mcp.audit.ocsf import Options
from m365_mcp.audit.outputs import FileOutput, Output, StandardOutput
from m365_mcp.audit.spool import Spool
from m365_mcp.audit.tips import TipExchange
from m365_mcp.audit.trail import AuditTrail
from m365_mcp.audit.writer import Writer
from m365_mcp.metrics import Metrics
from m365_mcp.policy.facts import InternalDomains
from m365_mcp.settings import Settings
from m365_mcp.settings.audit import FILE, read_key
from m365_mcp.storage.records import Records
from m365_mcp.trust import trust_of

HTTP_SECONDS = 10.0


def open_audit(settings: Settings, records: Records, metrics: Metrics) -> AuditTrail:
    """Return the audit trail; its threads and files begin with its first record."""
    if settings.m365_audit == "off":
        return AuditTrail()
    internal = InternalDomains(settings.m365_internal_domains)
    options = Options(socket.gethostname(), frozenset(settings.m365_audit_content), internal)
    writer = Writer(_output(settings, metrics), options, metrics)
    key = read_key(settings.m365_audit_key_file) if settings.m365_audit_key_file else None
    return AuditTrail(
        writer,
        TipExchange(writer, records, key),
        is_required=settings.m365_audit_required,
        notes_addresses=settings.m365_audit_ip,
    )


def _output(settings: Settings, metrics: Metrics) -> Output:
    if settings.m365_audit == "stdout":
        return StandardOutput()
    if settings.m365_audit.startswith(FILE):
        return FileOutput(Path(settings.m365_audit.removeprefix(FILE)))
    folder = cast("Path", settings.m365_audit_spool)  # the settings require it with a collector
    spool = Spool(folder, settings.m365_audit_spool_mb * 1_000_000, metrics.audit_spool_bytes)
    secret = settings.m365_audit_authorization
    authorization = None if secret is None else secret.get_secret_value()

    def connect() -> httpx2.Client:
        headers = {"User-Agent": f"m365-mcp/{__version__}"}
        return httpx2.Client(verify=trust_of(settings.ssl_cert_file), timeout=HTTP_SECONDS, headers=headers)

    return HttpOutput(settings.m365_audit, spool, connect, authorization)
