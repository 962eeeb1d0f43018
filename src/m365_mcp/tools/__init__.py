"""Everything a model may call, in the order a reader meets it."""

from collections.abc import Callable, Sequence
from typing import Any

from m365_mcp.tools.attach import attach_files, send_with_attachments
from m365_mcp.tools.mail import send_mail
from m365_mcp.tools.profile import get_my_profile

Tool = Callable[..., Any]

TOOLS: tuple[Tool, ...] = (send_mail, get_my_profile)
# What an operator switches on with M365_TOOLSETS.
TOOLSETS: dict[str, tuple[Tool, ...]] = {
    "drafts": (),
    "attachments": (attach_files, send_with_attachments),
    "replies": (),
    "schedule": (),
    "people": (),
}


def tools_for(toolsets: Sequence[str]) -> tuple[Tool, ...]:
    """Return the tools of a server: always the two, and those of the toolsets that are switched on."""
    return (*TOOLS, *(tool for name, tools in TOOLSETS.items() if name in toolsets for tool in tools))


INSTRUCTIONS = (
    "Sends mail as the signed-in person through Microsoft 365. Before send_mail, show the person the recipients, the "
    "subject and the text, unless they have already approved exactly these. Never guess an address: ask. A result with "
    "status 'sent' means Microsoft accepted the message; do not send it again. An error names what to change; "
    "after 'outcome_unknown' do not call send_mail again by yourself, but ask the person to look in Sent Items. "
    "get_my_profile tells whose mailbox is used."
)
