"""Renders what people do with their passkeys as records; `records` has the rest."""

from __future__ import annotations

from m365_mcp.audit.ocsf import Options, Record, own_activity
from m365_mcp.audit.records import render
from m365_mcp.auth.passkeys import PasskeyEvent

_LOW, _MEDIUM = 2, 3
_SUCCESS, _FAILURE = 1, 2
_USER = 1


@render.register
def _passkey(event: PasskeyEvent, at: int, options: Options) -> Record:
    is_refused = event.operation == "refused"
    user = {"uid": event.person.object_id, "type_id": _USER, "org": {"uid": event.person.tenant_id}}
    record = own_activity(f"passkey.{event.operation}", at, options) | {
        "activity_name": "Passkey",
        "severity_id": _MEDIUM if is_refused else _LOW,
        "status_id": _FAILURE if is_refused else _SUCCESS,
        "status": event.operation,
        "actor": {"user": user},
    }
    record["metadata"]["tenant_uid"] = event.person.tenant_id
    return record
