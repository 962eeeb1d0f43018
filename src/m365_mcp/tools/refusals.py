"""Describes a refused call for the audit trail: who called, and what the arguments say of recipients and files."""

from __future__ import annotations

from typing import Any

from fastmcp.server.dependencies import get_access_token
from mcp_types import CallToolRequestParams

from m365_mcp.audit.events import MAX_RECIPIENTS, RefusedCall
from m365_mcp.errors import M365Error, RecipientNotAllowed
from m365_mcp.person import ANONYMOUS, PersonId
from m365_mcp.tools.reading import read_arguments

MAX_ENTRY = 1_000  # characters; no address has so many
_RECIPIENTS, _FILES = ("to", "cc", "bcc", "reply_to"), ("attachments", "files")
_SCHEMA = {
    "properties": {
        **{name: {"type": "array", "items": {"type": "string"}} for name in _RECIPIENTS},
        **{name: {"type": "array", "items": {"type": "object"}} for name in _FILES},
        "dry_run": {"type": "boolean"},
    }
}


def refused_call(message: CallToolRequestParams, error: M365Error) -> RefusedCall:
    """Return what is known of a call that was refused with `error`."""
    token = get_access_token()
    claims = token.claims if token else {}
    known = set(_SCHEMA["properties"])
    given = {name: value for name, value in (message.arguments or {}).items() if name in known}
    read = read_arguments(given, _SCHEMA)
    recipients = [entry for name in _RECIPIENTS for entry in _listed(read.get(name))]
    return RefusedCall(
        message.name,
        error.code,
        PersonId(claims["tid"], claims["oid"]) if claims else ANONYMOUS,
        token.client_id if token else "",
        str(claims.get("session", "")),
        addresses=error.addresses if isinstance(error, RecipientNotAllowed) else (),
        recipients=tuple(one for one in recipients[:MAX_RECIPIENTS] if isinstance(one, str) and len(one) <= MAX_ENTRY),
        recipient_count=len(recipients),
        attachments=sum(len(_listed(read.get(name))) for name in _FILES),
        is_dry_run=read.get("dry_run") is True,
    )


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
