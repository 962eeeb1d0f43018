"""What is in force on a server with these settings: the part of `doctor` that says what may leave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.markup import escape
from rich.table import Table

from m365_mcp.commands.audit_in_force import audit_line
from m365_mcp.errors import Filled
from m365_mcp.policy.facts import InternalDomains, unasked_free_mail
from m365_mcp.policy.policy_set import PolicySet
from m365_mcp.settings import Settings
from m365_mcp.settings.permissions import GROUPS
from m365_mcp.web.pages.languages import ENGLISH, Language

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


def in_force(settings: Settings, policies: PolicySet, language: Language = ENGLISH) -> Table:
    """Return a table of what the settings and the policies allow, in a language."""
    heading, meaning_of, title = map(language.translate, (Filled("Setting"), Filled("In force"), "What may leave"))
    table = Table(heading, meaning_of, title=title)
    for variable, meaning in _rows(settings, policies):
        table.add_row(language.translate(variable), escape(language.translate(meaning)))
    return table


def _rows(settings: Settings, policies: PolicySet) -> Iterator[tuple[str, str]]:
    yield "M365_SEND_LEVEL", _LEVELS[settings.m365_send_level]
    yield "M365_TOOLSETS", _listed(settings.m365_toolsets, "none besides the tools that are always there")
    of_policies = (GROUPS,) if policies.named.groups else ()
    yield Filled("Permissions"), _listed((*settings.graph_permissions, *of_policies), "")
    yield "M365_POLICY_FILE", _policies(settings, policies)
    yield "M365_POLICY_CONTACT_DAYS", _contacts(settings, policies)
    yield "M365_SEND_APPROVAL", _APPROVALS[settings.m365_send_approval]
    yield "M365_SEND_ALLOWED_DOMAINS", _domains(settings)
    yield (
        "M365_INTERNAL_DOMAINS",
        _listed(settings.m365_internal_domains, "unset: the domains of each person's addresses"),
    )
    yield "M365_SEND_MAX_RECIPIENTS", Filled("%(most)s in one message", most=str(settings.m365_send_max_recipients))
    yield "M365_SEND_HOURLY_LIMIT", _hourly(settings.m365_send_hourly_limit)
    yield "M365_SEND_BCC", Filled("blind copies allowed" if settings.m365_send_bcc else "no blind copies")
    yield "M365_SEND_FROM", "shared mailboxes allowed" if settings.m365_send_from else "from the own mailbox only"
    yield "M365_AUDIT", audit_line(settings)


def _policies(settings: Settings, policies: PolicySet) -> str:
    of_settings = sum(policy.is_of_setting for policy in policies.forbidding)
    of_file = len(policies.forbidding) - of_settings
    path = settings.m365_policy_file
    source = Filled("%(number)s of %(file)s", number=str(of_file), file=str(path)) if path else Filled("no file")
    numbers = {"all": str(len(policies.forbidding)), "settings": str(of_settings)}
    form = "%(all)s policies: %(settings)s of the settings, %(source)s; digest %(digest)s"
    return Filled(form, **numbers, source=source, digest=policies.digest)


def _contacts(settings: Settings, policies: PolicySet) -> str:
    if not policies.counts_first_time:
        return "no policy reads firstTimeCount: nothing is kept"
    days = str(settings.m365_policy_contact_days)
    return Filled("whom each person has written to is kept for %(days)s days", days=days)


def _domains(settings: Settings) -> str:
    allowed = settings.m365_send_allowed_domains
    if allowed is None:
        return Filled("unset: every domain")
    internal = InternalDomains(settings.m365_internal_domains)
    free = unasked_free_mail(allowed, settings.m365_send_approval, internal)
    listed = _listed(allowed, "none: no message leaves")
    if not free:
        return listed
    form = "%(domains)s; warning: anybody can have an address at %(free)s, whom mail reaches without approval"
    return Filled(form, domains=listed, free=", ".join(free))


def _listed(names: Iterable[str] | None, otherwise: str) -> str:
    return ", ".join(names or ()) or otherwise


def _hourly(limit: int) -> str:
    if not limit:
        return Filled("no limit")
    return Filled("%(limit)s messages of a person to one address", limit=str(limit))
