"""Writes the settings about mail as Cedar policies, so that one decision covers them and the company's policies."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from m365_mcp.mail import MailRules


def policies_of(rules: MailRules) -> str:
    """Return the policies for what the settings forbid; the id of each is `setting:` and the name of the variable."""
    return "\n".join(_policies(rules))


_OFF_ADVICE = "Tell the person that this server only reads; they can write the mail in Outlook."
_DRAFT_ADVICE = "Tell the person that this server leaves drafts only; they can send the draft in Outlook."


def _policies(rules: MailRules) -> Iterator[str]:
    if rules.level != "send":
        yield _of_level(is_off=rules.level == "off")
    if rules.allowed_domains is not None:
        # Cedar has no type for an empty set, so that a list without an entry forbids without a condition.
        domains = f" unless {{ {_set(rules.allowed_domains)}.containsAll(resource.domains) }}"
        yield _forbid("M365_SEND_ALLOWED_DOMAINS", domains if rules.allowed_domains else "")
    if not rules.allow_bcc:
        yield _forbid("M365_SEND_BCC", " when { resource.hasBcc }")
    if not rules.allow_from:
        yield _forbid("M365_SEND_FROM", " when { resource.isShared }")
    if rules.blocked_extensions:
        blocked = _set(sorted(rules.blocked_extensions))
        yield _forbid(
            "M365_SEND_BLOCKED_EXTENSIONS", f" when {{ {blocked}.containsAny(resource.attachmentExtensions) }}"
        )
    if rules.approval != "off":
        condition = " when { resource.externalCount > 0 }" if rules.approval == "external" else ""
        yield _forbid("M365_SEND_APPROVAL", condition, "SendUnasked")


def _of_level(*, is_off: bool) -> str:
    advice = json.dumps(_OFF_ADVICE if is_off else _DRAFT_ADVICE)
    actions = ["Send", "Schedule", *(["Draft"] if is_off else [])]
    forbidden = ", ".join(f'Action::"{action}"' for action in actions)
    return f'@id("setting:M365_SEND_LEVEL")\n@advice({advice})\nforbid(principal, action in [{forbidden}], resource);\n'


def _forbid(variable: str, condition: str, action: str = "Send") -> str:
    return f'@id("setting:{variable}")\nforbid(principal, action == Action::"{action}", resource){condition};\n'


def _set(texts: Sequence[str]) -> str:
    return f"[{', '.join(json.dumps(text, ensure_ascii=False) for text in texts)}]"
