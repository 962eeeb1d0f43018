"""The tools that a model can call, by toolset and by the level that the operator has chosen."""

from collections.abc import Callable, Sequence
from typing import Any

from mcp_types import ToolAnnotations

from m365_mcp.mail import SendLevel
from m365_mcp.tools.attachments import attach_files, send_with_attachments
from m365_mcp.tools.drafts import create_draft, discard_draft, send_draft
from m365_mcp.tools.instructions import INSTRUCTIONS as INSTRUCTIONS
from m365_mcp.tools.instructions import instructions_for as instructions_for
from m365_mcp.tools.mail import send_mail
from m365_mcp.tools.people import find_people
from m365_mcp.tools.profile import get_my_profile
from m365_mcp.tools.replies import forward, list_messages, reply
from m365_mcp.tools.reply_drafts import draft_forward, draft_reply
from m365_mcp.tools.schedule import cancel_scheduled, list_scheduled, schedule_mail
from m365_mcp.tools.status import get_send_status

Tool = Callable[..., Any]

TOOLS: tuple[Tool, ...] = (send_mail, get_my_profile)
# The operator enables these with M365_TOOLSETS.
TOOLSETS: dict[str, tuple[Tool, ...]] = {
    "drafts": (create_draft, send_draft, discard_draft),
    "attachments": (attach_files, send_with_attachments),
    "replies": (list_messages, reply, forward),
    "schedule": (schedule_mail, list_scheduled, cancel_scheduled),
    "people": (find_people,),
}
# What stands for a tool that sends, on a server that only leaves drafts; no other tool that sends is there.
_DRAFTING: dict[str, Tool] = {"reply": draft_reply, "forward": draft_forward}
# Where mail may wait for the person's approval.
APPROVAL_TOOLS: tuple[Tool, ...] = (get_send_status,)


def tools_for(toolsets: Sequence[str], level: SendLevel = "send", *, may_ask: bool) -> tuple[Tool, ...]:
    """Return the tools of a server: those that are always there, those of the enabled toolsets, and of approval.

    Args:
        toolsets: the names of the enabled toolsets.
        level: whether the tools send mail, only leave drafts, or only read.
        may_ask: whether mail may wait for the person's approval; below the level `send`, none does.
    """
    enabled = (*TOOLS, *(tool for name, tools in TOOLSETS.items() if name in toolsets for tool in tools))
    if level == "off":
        return tuple(tool for tool in enabled if _hints(tool).read_only_hint)
    if level == "draft":
        instead = (_DRAFTING.get(tool.__name__) if sends_mail(tool) else tool for tool in enabled)
        return tuple(tool for tool in instead if tool is not None)
    return (*enabled, *(APPROVAL_TOOLS if may_ask else ()))


def name_of(tool: Tool) -> str:
    """Return the name by which a model calls the tool."""
    return str(tool.__fastmcp__.name or tool.__name__)  # type: ignore[attr-defined]  # FastMCP's arguments of @tool


def writes(tool: Tool) -> bool:
    """Tell from a tool's hints whether a call can change something: it is not read-only."""
    return not _hints(tool).read_only_hint


def sends_mail(tool: Tool) -> bool:
    """Tell from a tool's hints whether a call can send mail: it is not read-only, and it affects other people."""
    return writes(tool) and bool(_hints(tool).open_world_hint)


def _hints(tool: Tool) -> ToolAnnotations:
    hints: ToolAnnotations = tool.__fastmcp__.annotations  # type: ignore[attr-defined]  # FastMCP's arguments of @tool
    return hints
