"""What is in force on a server with these settings: the part of `doctor` that says what may leave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.markup import escape
from rich.table import Table

from m365_mcp.commands.audit_in_force import audit_line
from m365_mcp.policy.facts import InternalDomains, unasked_free_mail
from m365_mcp.policy.policy_set import PolicySet
from m365_mcp.settings import Settings
from m365_mcp.settings.permissions import GROUPS

_LEVELS = {
    "send": "send: the tools send mail",
    "draft": "draft: the tools leave drafts, and send nothing",
    "off": "off: the tools only read",
}
_APPROVALS = {
    "off": "off: no mail waits because of this setting",
    "external": "external: mail to somebody outside waits for approval",
    "all": "all: every mail waits for approval",
}


def in_force(settings: Settings, policies: PolicySet) -> Table:
    """Return a table of what the settings and the policies allow."""
    table = Table("Setting", "In force", title="What may leave")
    for variable, meaning in _rows(settings, policies):
        table.add_row(variable, escape(meaning))
    return table


def _rows(settings: Settings, policies: PolicySet) -> Iterator[tuple[str, str]]:
    yield "M365_SEND_LEVEL", _LEVELS[settings.m365_send_level]
    yield "M365_TOOLSETS", _listed(settings.m365_toolsets, "none besides the tools that are always there")
    of_policies = (GROUPS,) if policies.named.groups else ()
    yield "Permissions", _listed((*settings.graph_permissions, *of_policies), "")
    yield "M365_POLICY_FILE", _policies(settings, policies)
    yield "M365_POLICY_CONTACT_DAYS", _contacts(settings, policies)
    yield "M365_SEND_APPROVAL", _APPROVALS[settings.m365_send_approval]
    yield "M365_SEND_ALLOWED_DOMAINS", _domains(settings)
    yield (
        "M365_INTERNAL_DOMAINS",
        _listed(settings.m365_internal_domains, "unset: the domains of each person's addresses"),
    )
    yield "M365_SEND_MAX_RECIPIENTS", f"{settings.m365_send_max_recipients} in one message"
    yield "M365_SEND_HOURLY_LIMIT", _hourly(settings.m365_send_hourly_limit)
    yield "M365_SEND_BCC", "blind copies allowed" if settings.m365_send_bcc else "no blind copies"
    yield "M365_SEND_FROM", "shared mailboxes allowed" if settings.m365_send_from else "from the own mailbox only"
    yield "M365_AUDIT", audit_line(settings)


def _policies(settings: Settings, policies: PolicySet) -> str:
    of_settings = sum(policy.is_of_setting for policy in policies.forbidding)
    of_file = len(policies.forbidding) - of_settings
    source = f"{of_file} of {settings.m365_policy_file}" if settings.m365_policy_file else "no file"
    return f"{len(policies.forbidding)} policies: {of_settings} of the settings, {source}; digest {policies.digest}"


def _contacts(settings: Settings, policies: PolicySet) -> str:
    if not policies.counts_first_time:
        return "no policy reads firstTimeCount: nothing is kept"
    return f"whom each person has written to is kept for {settings.m365_policy_contact_days} days"


def _domains(settings: Settings) -> str:
    allowed = settings.m365_send_allowed_domains
    if allowed is None:
        return "unset: every domain"
    internal = InternalDomains(settings.m365_internal_domains)
    free = unasked_free_mail(allowed, settings.m365_send_approval, internal)
    warning = (
        f"; warning: anybody can have an address at {', '.join(free)}, whom mail reaches without approval"
        if free
        else ""
    )
    return _listed(allowed, "none: no message leaves") + warning


def _listed(names: Iterable[str] | None, otherwise: str) -> str:
    return ", ".join(names or ()) or otherwise


def _hourly(limit: int) -> str:
    return f"{limit} messages of a person to one address" if limit else "no limit"
