"""The parts that records have in common, in the form of OCSF 1.6.0.

Pure. A part has no mail address unless the operator asks for it; of a recipient it has the domain, which the address
`*@domain` shows where OCSF requires an address. Source: schema.ocsf.io, version 1.6.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from m365_mcp import __version__
from m365_mcp.auth.sign_in_events import clean_client_id
from m365_mcp.mail import Recipient
from m365_mcp.person import PersonId
from m365_mcp.policy.facts import InternalDomains

OCSF = "1.6.0"
NAME = "m365-mcp-server"
Content = Literal["recipients", "subject", "body"]
Record = dict[str, Any]

EMAIL, AUTHENTICATION, API = 4009, 3002, 6003
SEND, LOGON, LOGOFF, UPDATE, DELETE, OTHER = 1, 1, 2, 3, 4, 99
INFORMATIONAL, LOW, MEDIUM, HIGH = 1, 2, 3, 4
UNKNOWN, SUCCESS, FAILURE = 0, 1, 2
ALLOWED, DENIED = 1, 2  # action_id of the profile security_control
BLOCKED = 2  # disposition_id
USER, ADMIN, SYSTEM = 1, 2, 3  # user.type_id
OUTBOUND, INTERNAL = 2, 3  # direction_id
OAUTH = 6  # auth_protocol_id
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


def own_activity(operation: str, at: int, options: Options) -> Record:
    """Return a record about the audit trail itself."""
    return base_event(API, OTHER, at, options) | {
        "activity_name": "Audit",
        "severity_id": INFORMATIONAL,
        "actor": {"user": {"name": NAME, "type_id": SYSTEM}},
        "api": {"operation": operation, "service": {"name": NAME}},
        "src_endpoint": {"hostname": options.host},
    }


def base_event(class_uid: int, activity: int, at: int, options: Options) -> Record:
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


def shown_recipients(addresses: Iterable[str], options: Options) -> list[str]:
    """Return what stands in `email.to`: addresses if the operator wants them, else each domain once."""
    shown = []
    for address in addresses:
        local, _, _ = address.rpartition("@")
        domain = Recipient(address).domain
        full = f"{local}@{domain}" if "recipients" in options.content else ""
        hidden = f"*@{domain}" if _ADDRESS.fullmatch(f"*@{domain}") else f"*@{_NO_DOMAIN}"
        shown.append(full if _ADDRESS.fullmatch(full) else hidden)
    return list(dict.fromkeys(shown)) or [f"*@{_NO_DOMAIN}"]


def actor_of(person: PersonId, client: str, session: str) -> Record:
    """Return who acts: a person, with which client and in which session; each of the last two may be empty."""
    actor: Record = {"user": user_of(person)}
    put(actor, "app_uid", clean_client_id(client) or None)
    if session:
        actor["session"] = {"uid": session}
    return actor


def user_of(person: PersonId | None) -> Record:
    """Return a person as a user."""
    if person is None or not person.object_id:
        return {"name": "unknown", "type_id": UNKNOWN}
    return {"uid": person.object_id, "type_id": USER, "org": {"uid": person.tenant_id}}


def blocked_by(policies: list[str] | tuple[str, ...]) -> Record:
    """Return the attributes of what the first of these policies has blocked."""
    return {"action_id": DENIED, "disposition_id": BLOCKED, "policy": {"uid": policies[0]}}


def direction_of(domains: Mapping[str, int], options: Options) -> int:
    """Return whether a mail leaves the company; unknown where the operator does not name its domains."""
    if options.internal.written is None or not domains:
        return UNKNOWN
    return OUTBOUND if options.internal.external(domains, ()) else INTERNAL


def put(record: Record, name: str, value: object) -> None:
    """Set an attribute, unless the value is not known."""
    if value is not None:
        record[name] = value
