"""What the policies were told of a call, as it is in a record (`unmapped.told`), under the names of the policies.

It is what `policy replay` decides anew. There is nothing in it that a record must not have: no address unless the
operator asks for addresses, no domain of a link, and of a file only a usual extension. What stands elsewhere in the
record, such as the time, is not repeated.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from m365_mcp.mail import Recipient
from m365_mcp.policy.decision_point import PolicyRefusal
from m365_mcp.policy.facts import Told

_USUAL = re.compile(r"[a-z0-9]{1,10}")
_LEFT_OUT = ("linkDomains", "subdomainsOf", "client", "hour", "weekday", "tool")


def told_record(told: Told, content: frozenset[str]) -> dict[str, Any]:
    """Return what a record has of what the policies were told; `domains` counts the recipients of each domain.

    Args:
        told: what they were told.
        content: what of a mail's content may be in a record.
    """
    known = {name: value for name, value in told.known().items() if name not in _LEFT_OUT}
    if "recipients" not in content:
        del known["recipients"]
    if not all(_USUAL.fullmatch(extension) for extension in known["attachmentExtensions"]):
        del known["attachmentExtensions"]
    return known | {"domains": told.domain_counts()}


def refusal_details(refusal: PolicyRefusal, content: frozenset[str]) -> dict[str, Any]:
    """Return what the record of a denial has in `unmapped`."""
    told = refusal.told
    facts, addressed = told.message.as_cedar(), (*told.message.receivers, *told.message.reply_to)
    details = {
        "actions": list(told.actions),
        "policies": list(refusal.policies),
        "recipient_count": facts["recipientCount"],
        "recipient_domains": domains_of(one.address for one in addressed),
        "attachment_count": facts["attachmentCount"],
        "attachment_bytes": facts["attachmentBytes"],
        "told": told_record(told, content),
    }
    details |= {"tool": told.circumstances.tool} if told.circumstances.tool else {}
    return details | ({"recipients": facts["recipients"]} if "recipients" in content else {})


def domains_of(addresses: Iterable[str]) -> dict[str, int]:
    """Return how many addresses each domain has."""
    return dict(sorted(Counter(Recipient(address).domain for address in addresses).items()))
