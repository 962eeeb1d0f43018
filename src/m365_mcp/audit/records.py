"""Renders events as records in the form of OCSF 1.6.0: Email Activity, Authentication and API Activity.

Pure. What OCSF has no attribute for is in `unmapped`. A record has no mail address, subject or body unless the operator
asks for it; of a recipient it has the domain, which the address `*@domain` shows where OCSF requires an address.
Source: schema.ocsf.io, version 1.6.0, with the profiles host and security_control.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any, Literal

from m365_mcp import __version__
from m365_mcp.audit.events import OperatorCommand, RecordsLost, RefusedCall
from m365_mcp.audit.told import domains_of, refusal_details, told_record
from m365_mcp.auth.sessions import SessionEnd
from m365_mcp.auth.sign_in_events import SignInEvent, clean_client_id
from m365_mcp.mail import Recipient
from m365_mcp.person import PersonId
from m365_mcp.policy.decision_point import PolicyRefusal
from m365_mcp.policy.facts import InternalDomains
from m365_mcp.sending.send_events import SendEvent

OCSF = "1.6.0"
NAME = "m365-mcp-server"
Content = Literal["recipients", "subject", "body"]
Record = dict[str, Any]

_EMAIL, _AUTHENTICATION, _API = 4009, 3002, 6003
_SEND, _LOGON, _LOGOFF, _DELETE, _OTHER = 1, 1, 2, 4, 99
_INFORMATIONAL, _LOW, _MEDIUM, _HIGH = 1, 2, 3, 4
_UNKNOWN, _SUCCESS, _FAILURE = 0, 1, 2
_ALLOWED, _DENIED = 1, 2  # action_id of the profile security_control
_BLOCKED = 2  # disposition_id
_USER, _ADMIN, _SYSTEM = 1, 2, 3  # user.type_id
_OUTBOUND, _INTERNAL = 2, 3  # direction_id
_OAUTH = 6  # auth_protocol_id
_ADDRESS = re.compile(r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~.-]+@[a-zA-Z0-9-]+\.[a-zA-Z0-9-.]+")  # OCSF's type email_t
_NO_DOMAIN = "unknown.invalid"


@dataclass(frozen=True)
class Options:
    """What the operator wants in a record.

    Attributes:
        host: the name of this machine.
        content: what of a mail's content may be in a record.
        internal: the company's domains, as the operator names them.
    """

    host: str = "unknown"
    content: frozenset[str] = frozenset()
    internal: InternalDomains = field(default_factory=InternalDomains)


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
    status = {"sent": _SUCCESS, "not_sent": _FAILURE, "unknown": _UNKNOWN}.get(event.outcome, _OTHER)
    origin = event.request.origin
    record = _base(_EMAIL, _SEND, at, options) | {
        "severity_id": {"unknown": _MEDIUM, "not_sent": _LOW}.get(event.outcome, _INFORMATIONAL),
        "status_id": status,
        "status": event.outcome,
        "duration": round(event.seconds * 1000),
        "direction_id": _direction(domains, options),
        "actor": _actor(event.request.person, origin.client, origin.session_id),
        "email": {"to": _to(addresses, options)},
        "unmapped": {"recipient_count": len(addresses), "recipient_domains": domains},
    }
    record["metadata"] |= {"tenant_uid": event.request.person.tenant_id, "profiles": ["host", "security_control"]}
    email, unmapped = record["email"], record["unmapped"]
    _put(record, "status_code", event.code)
    _put(email, "message_uid", event.message_id)
    _put(email, "size", content.size)
    _put(email, "subject", content.subject if "subject" in options.content else None)
    _put(unmapped, "recipients", list(addresses) if "recipients" in options.content else None)
    _put(unmapped, "body", content.body if "body" in options.content else None)
    _put(unmapped, "attachment_count", None if content.attachments is None else len(content.attachments))
    _put(unmapped, "attachment_bytes", None if content.attachments is None else sum(content.attachments))
    _put(unmapped, "graph_request_id", event.request_id)
    if event.told is not None:
        unmapped |= {"actions": list(event.told.actions), "told": told_record(event.told, options.content)}
    _put(record, "status_detail", "approved by the person" if event.is_approved else None)
    if event.outcome == "not_sent" and event.policy is not None and not event.is_approved:
        record |= _blocked([event.policy])
    elif event.policy is not None:
        record["policy"] = {"uid": event.policy}
    return record


@render.register
def _refusal(event: PolicyRefusal, at: int, options: Options) -> Record:
    record = _base(_API, _OTHER, at, options) | {
        "activity_name": "Decide",
        "severity_id": _MEDIUM,
        "status_id": _FAILURE,
        "status": "denied",
        "status_code": event.code,
        "actor": _actor(event.person, event.client, ""),
        "api": {"operation": "policy.decide", "service": {"name": NAME}},
        "src_endpoint": {"svc_name": NAME},
        **_blocked(event.policies),
        "unmapped": refusal_details(event, options.content),
    }
    record["metadata"] |= {"tenant_uid": event.person.tenant_id, "profiles": ["security_control"]}
    return record


@render.register
def _refused_call(event: RefusedCall, at: int, options: Options) -> Record:
    record = _base(_API, _OTHER, at, options) | {
        "activity_name": "Refuse",
        "severity_id": _MEDIUM,
        "status_id": _FAILURE,
        "status": "refused",
        "status_code": event.code,
        "actor": _actor(event.person, event.client, event.session),
        "api": {"operation": event.tool, "service": {"name": NAME}},
        "src_endpoint": {"svc_name": NAME},
        "action_id": _DENIED,
        "disposition_id": _BLOCKED,
        "unmapped": {"refused_count": len(event.addresses), "refused_domains": domains_of(event.addresses)},
    }
    record["metadata"] |= {"tenant_uid": event.person.tenant_id, "profiles": ["security_control"]}
    if "recipients" in options.content:
        record["unmapped"]["refused"] = list(event.addresses)
    return record


@render.register
def _sign_in(event: SignInEvent, at: int, options: Options) -> Record:
    status = {"completed": _SUCCESS, "refused": _FAILURE}.get(event.outcome, _OTHER)
    record = _base(_AUTHENTICATION, _LOGON, at, options) | {
        "severity_id": _LOW if event.outcome == "refused" else _INFORMATIONAL,
        "status_id": status,
        "status": event.outcome,
        "auth_protocol_id": _OAUTH,
        "is_remote": True,
        "service": {"name": NAME},
        "user": _user(event.person),
        "unmapped": {"step": event.step},
    }
    _put(record, "status_code", event.code)
    _put(record, "duration", None if event.seconds is None else round(event.seconds * 1000))
    _put(record["metadata"], "correlation_uid", event.sign_in)
    _put(record["metadata"], "tenant_uid", event.person.tenant_id if event.person else None)
    for name in ("aadsts", "cause", "client_name", "redirect_host", "host", "origin"):
        _put(record["unmapped"], name, getattr(event, name))
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
    record = _base(_AUTHENTICATION, _LOGOFF, at, options) | {
        "severity_id": _MEDIUM if event.reason in ("code_replayed", "refresh_token_reused") else _INFORMATIONAL,
        "status_id": _SUCCESS,
        "status": "ended",
        "status_detail": event.reason,
        "service": {"name": NAME},
        "user": _user(person),
        "session": {"uid": event.session_id, "expiration_reason": event.reason},
    }
    _put(record["metadata"], "tenant_uid", person.tenant_id if person else None)
    if event.session is not None:
        record["actor"] = {"app_uid": clean_client_id(event.session.client_id) or "unknown"}
    return record


@render.register
def _command(event: OperatorCommand, at: int, options: Options) -> Record:
    return _base(_API, _DELETE, at, options) | {
        "severity_id": _MEDIUM if event.everybody else _LOW,
        "status_id": _SUCCESS,
        "status": "done",
        "actor": {"user": {"name": event.operator, "type_id": _ADMIN}},
        "api": {"operation": event.operation, "service": {"name": NAME}},
        "src_endpoint": {"hostname": options.host},
        "unmapped": {"changed": event.changed, "everybody": event.everybody},
    }


@render.register
def _lost(event: RecordsLost, at: int, options: Options) -> Record:
    return own_activity("audit.records_lost", at, options) | {
        "severity_id": _HIGH,
        "status_id": _FAILURE,
        "status": "lost",
        "count": event.count,
    }


def own_activity(operation: str, at: int, options: Options) -> Record:
    """Return a record about the audit trail itself."""
    return _base(_API, _OTHER, at, options) | {
        "activity_name": "Audit",
        "severity_id": _INFORMATIONAL,
        "actor": {"user": {"name": NAME, "type_id": _SYSTEM}},
        "api": {"operation": operation, "service": {"name": NAME}},
        "src_endpoint": {"hostname": options.host},
    }


def _base(class_uid: int, activity: int, at: int, options: Options) -> Record:
    """Return the attributes that every record has (OCSF, "Base Event")."""
    return {
        "class_uid": class_uid,
        "category_uid": class_uid // 1000,
        "activity_id": activity,
        "type_uid": class_uid * 100 + activity,
        "time": at,
        "metadata": {
            "version": OCSF,
            "product": {"name": NAME, "vendor_name": NAME, "version": __version__},
            "log_name": "audit",
            "log_provider": options.host,
        },
    }


def _to(addresses: Iterable[str], options: Options) -> list[str]:
    """Return what stands in `email.to`: addresses if the operator wants them, else each domain once."""
    shown = []
    for address in addresses:
        local, _, _ = address.rpartition("@")
        domain = Recipient(address).domain
        full = f"{local}@{domain}" if "recipients" in options.content else ""
        hidden = f"*@{domain}" if _ADDRESS.fullmatch(f"*@{domain}") else f"*@{_NO_DOMAIN}"
        shown.append(full if _ADDRESS.fullmatch(full) else hidden)
    return list(dict.fromkeys(shown)) or [f"*@{_NO_DOMAIN}"]


def _actor(person: PersonId, client: str, session: str) -> Record:
    actor: Record = {"user": _user(person)}
    _put(actor, "app_uid", clean_client_id(client) or None)
    if session:
        actor["session"] = {"uid": session}
    return actor


def _user(person: PersonId | None) -> Record:
    if person is None or not person.object_id:
        return {"name": "unknown", "type_id": _UNKNOWN}
    return {"uid": person.object_id, "type_id": _USER, "org": {"uid": person.tenant_id}}


def _blocked(policies: list[str] | tuple[str, ...]) -> Record:
    return {"action_id": _DENIED, "disposition_id": _BLOCKED, "policy": {"uid": policies[0]}}


def _direction(domains: Mapping[str, int], options: Options) -> int:
    """Return whether a mail leaves the company; unknown where the operator does not name its domains."""
    if options.internal.written is None or not domains:
        return _UNKNOWN
    return _OUTBOUND if options.internal.external(domains, ()) else _INTERNAL


def _put(record: Record, name: str, value: object) -> None:
    if value is not None:
        record[name] = value
