"""Renders events as records in the form of OCSF 1.6.0: Email Activity, Authentication and API Activity.

Pure. What OCSF has no attribute for is in `unmapped`. A record has no mail address, subject or body unless the operator
asks for it. Source: schema.ocsf.io, version 1.6.0, with the profiles host and security_control.
"""

from __future__ import annotations

from contextlib import suppress
from functools import singledispatch

from m365_mcp.audit.events import OperatorCommand, RecordsLost, RefusedCall
from m365_mcp.audit.ocsf import (
    ADMIN,
    API,
    AUTHENTICATION,
    BLOCKED,
    DELETE,
    DENIED,
    EMAIL,
    FAILURE,
    HIGH,
    INFORMATIONAL,
    LOGOFF,
    LOGON,
    LOW,
    MEDIUM,
    NAME,
    OAUTH,
    OTHER,
    SEND,
    SUCCESS,
    SYSTEM,
    UNKNOWN,
    UPDATE,
    Options,
    Record,
    actor_of,
    base_event,
    blocked_by,
    direction_of,
    own_activity,
    put,
    shown_recipients,
    user_of,
)
from m365_mcp.audit.told import domains_of, refusal_details, told_record
from m365_mcp.auth.sessions import SessionEnd
from m365_mcp.auth.sign_in_events import SignInEvent, clean_client_id
from m365_mcp.errors import InvalidArgument
from m365_mcp.mail.recipient import read_recipient
from m365_mcp.policy.decision_point import PolicyRefusal
from m365_mcp.policy.watching import PoliciesChanged
from m365_mcp.sending.send_events import SendEvent

_SEVERITY = {"unknown": MEDIUM, "not_cancelled": MEDIUM, "not_sent": LOW}


@singledispatch
def render(event: object, at: int, options: Options) -> Record:
    """Return the record of an event.

    Args:
        event: an event of this server.
        at: when it happened, in epoch milliseconds.
        options: what the operator wants in a record.
    """
    raise TypeError(type(event).__name__)


@render.register
def _send(event: SendEvent, at: int, options: Options) -> Record:
    content = event.request.content()
    addresses = content.addresses or event.addresses
    domains = domains_of(addresses)
    status = {"sent": SUCCESS, "not_sent": FAILURE, "unknown": UNKNOWN}.get(event.outcome, OTHER)
    origin = event.request.origin
    record = base_event(EMAIL, SEND, at, options) | {
        "severity_id": _SEVERITY.get(event.outcome, INFORMATIONAL),
        "status_id": status,
        "status": event.outcome,
        "duration": round(event.seconds * 1000),
        "direction_id": direction_of(domains, options),
        "actor": actor_of(event.request.person, origin.client, origin.session_id),
        "email": {"to": shown_recipients(addresses, options)},
        "unmapped": {"recipient_count": len(addresses), "recipient_domains": domains},
    }
    record["metadata"] |= {"tenant_uid": event.request.person.tenant_id, "profiles": ["host", "security_control"]}
    email, unmapped = record["email"], record["unmapped"]
    put(record, "status_code", event.code)
    put(email, "message_uid", event.message_id)
    put(email, "size", content.size)
    put(email, "subject", content.subject if "subject" in options.content else None)
    put(unmapped, "recipients", list(addresses) if "recipients" in options.content else None)
    put(unmapped, "body", content.body if "body" in options.content else None)
    put(unmapped, "attachment_count", None if content.attachments is None else len(content.attachments))
    put(unmapped, "attachment_bytes", None if content.attachments is None else sum(content.attachments))
    put(unmapped, "graph_request_id", event.request_id)
    if event.told is not None:
        unmapped |= {"actions": list(event.told.actions), "told": told_record(event.told, options.content)}
    put(record, "status_detail", "approved by the person" if event.is_approved else None)
    put(unmapped, "approval_proof", event.proof)
    if event.outcome == "not_sent" and event.policy is not None and not event.is_approved:
        record |= blocked_by([event.policy])
    elif event.policy is not None:
        record["policy"] = {"uid": event.policy}
    return record


@render.register
def _refusal(event: PolicyRefusal, at: int, options: Options) -> Record:
    record = base_event(API, OTHER, at, options) | {
        "activity_name": "Decide",
        "severity_id": MEDIUM,
        "status_id": FAILURE,
        "status": "denied",
        "status_code": event.code,
        "actor": actor_of(event.person, event.client, ""),
        "api": {"operation": "policy.decide", "service": {"name": NAME}},
        "src_endpoint": {"svc_name": NAME},
        **blocked_by(event.policies),
        "unmapped": refusal_details(event, options.content),
    }
    record["metadata"] |= {"tenant_uid": event.person.tenant_id, "profiles": ["security_control"]}
    return record


@render.register
def _refused_call(event: RefusedCall, at: int, options: Options) -> Record:
    recipients = _readable(event.recipients)
    record = base_event(API, OTHER, at, options) | {
        "activity_name": "Refuse",
        "severity_id": MEDIUM if event.addresses else LOW,
        "status_id": FAILURE,
        "status": "refused",
        "status_code": event.code,
        "actor": actor_of(event.person, event.client, event.session),
        "api": {"operation": event.tool, "service": {"name": NAME}},
        "src_endpoint": {"svc_name": NAME},
        "action_id": DENIED,
        "disposition_id": BLOCKED,
        "unmapped": {
            "recipient_count": event.recipient_count,
            "recipient_domains": domains_of(recipients),
            "attachment_count": event.attachments,
            "dry_run": event.is_dry_run,
        },
    }
    record["metadata"] |= {"tenant_uid": event.person.tenant_id, "profiles": ["security_control"]}
    unmapped, shows = record["unmapped"], "recipients" in options.content
    put(unmapped, "recipients", recipients if shows else None)
    if event.addresses:
        unmapped |= {"refused_count": len(event.addresses), "refused_domains": domains_of(event.addresses)}
        put(unmapped, "refused", list(event.addresses) if shows else None)
    return record


def _readable(entries: tuple[str, ...]) -> list[str]:
    """Return the addresses of the entries that can be read; what else stands in an entry is no address."""
    found = []
    for entry in entries:
        with suppress(InvalidArgument):
            found.append(read_recipient("entry", entry).address)
    return found


@render.register
def _sign_in(event: SignInEvent, at: int, options: Options) -> Record:
    status = {"completed": SUCCESS, "refused": FAILURE}.get(event.outcome, OTHER)
    record = base_event(AUTHENTICATION, LOGON, at, options) | {
        "severity_id": LOW if event.outcome == "refused" else INFORMATIONAL,
        "status_id": status,
        "status": event.outcome,
        "auth_protocol_id": OAUTH,
        "is_remote": True,
        "service": {"name": NAME},
        "user": user_of(event.person),
        "unmapped": {"step": event.step},
    }
    put(record, "status_code", event.code)
    put(record, "duration", None if event.seconds is None else round(event.seconds * 1000))
    put(record["metadata"], "correlation_uid", event.sign_in)
    put(record["metadata"], "tenant_uid", event.person.tenant_id if event.person else None)
    for name in ("aadsts", "cause", "client_name", "redirect_host", "host", "origin"):
        put(record["unmapped"], name, getattr(event, name))
    if event.session is not None:
        record["session"] = {"uid": event.session}
    if event.client_id is not None:
        record["actor"] = {"app_uid": event.client_id}
    if event.address is not None:
        record["src_endpoint"] = {"ip": event.address}
    return record


@render.register
def _session_end(event: SessionEnd, at: int, options: Options) -> Record:
    person = event.session.person if event.session else None
    record = base_event(AUTHENTICATION, LOGOFF, at, options) | {
        "severity_id": MEDIUM if event.reason in ("code_replayed", "refresh_token_reused") else INFORMATIONAL,
        "status_id": SUCCESS,
        "status": "ended",
        "status_detail": event.reason,
        "service": {"name": NAME},
        "user": user_of(person),
        "session": {"uid": event.session_id, "expiration_reason": event.reason},
    }
    put(record["metadata"], "tenant_uid", person.tenant_id if person else None)
    if event.session is not None:
        record["actor"] = {"app_uid": clean_client_id(event.session.client_id) or "unknown"}
    return record


@render.register
def _command(event: OperatorCommand, at: int, options: Options) -> Record:
    return base_event(API, DELETE, at, options) | {
        "severity_id": MEDIUM if event.everybody else LOW,
        "status_id": SUCCESS if event.is_complete else FAILURE,
        "status": "done" if event.is_complete else "failed",
        "actor": {"user": {"name": event.operator, "type_id": ADMIN}},
        "api": {"operation": event.operation, "service": {"name": NAME}},
        "src_endpoint": {"hostname": options.host},
        "unmapped": {"changed": event.changed, "everybody": event.everybody},
    }


@render.register
def _policies(event: PoliciesChanged, at: int, options: Options) -> Record:
    return base_event(API, UPDATE, at, options) | {
        "severity_id": MEDIUM,
        "status_id": SUCCESS if event.is_in_force else FAILURE,
        "status": "in_force" if event.is_in_force else "refused",
        "actor": {"user": {"name": NAME, "type_id": SYSTEM}},
        "api": {"operation": "policy.change", "service": {"name": NAME}},
        "src_endpoint": {"hostname": options.host},
        "unmapped": {"digest": event.digest, "policies": event.policies},
    }


@render.register
def _lost(event: RecordsLost, at: int, options: Options) -> Record:
    return own_activity("audit.records_lost", at, options) | {
        "severity_id": HIGH,
        "status_id": FAILURE,
        "status": "lost",
        "count": event.count,
    }
