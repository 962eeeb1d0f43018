"""get_send_status: what became of a mail that waits for the person's approval."""

from typing import Literal

from fastmcp.dependencies import Depends
from fastmcp.tools import tool
from mcp_types import ToolAnnotations
from pydantic import BaseModel

from m365_mcp.sending.held_mail import as_time
from m365_mcp.sending.outbox import Outbox
from m365_mcp.tools import arguments
from m365_mcp.tools.caller import caller_outbox

Status = Literal["approval_needed", "declined", "expired", "sending", "not_sent", "unknown", "already_sent"]


class SendStatus(BaseModel):
    """What became of a mail.

    Attributes:
        accepted_at: when Microsoft accepted it: UTC, ISO 8601; None if it has not.
        approval_url: the page where the person sends or discards it, while it waits.
        expires_at: until when it waits: UTC, ISO 8601.
        rule: the id of the policy that has it wait.
    """

    status: Status
    message_id: str
    accepted_at: str | None
    approval_url: str | None
    expires_at: str | None
    rule: str | None


@tool(
    title="Get the status of a mail",
    annotations=ToolAnnotations(
        read_only_hint=True,
        destructive_hint=False,
        idempotent_hint=True,
        open_world_hint=False,
    ),
)
async def get_send_status(message_id: arguments.HeldMessageId, outbox: Outbox = Depends(caller_outbox)) -> SendStatus:
    """Tell what became of a mail with status 'approval_needed': the person sends or discards it on the page.

    It answers at once. Call it when the person says that they have decided; do not ask again and again.
    """
    entry = await outbox.held_entry(message_id)
    waits = entry.state == "held" and not entry.is_over(outbox.outgoing.delivery.ledger.clock())
    status: dict[str, Status] = {
        "held": "approval_needed" if waits else "expired",
        "declined": "declined",
        "sending": "sending",
        "failed": "not_sent",
        "unknown": "unknown",
        "sent": "already_sent",
    }
    return SendStatus(
        status=status[entry.state],
        message_id=entry.message_id,
        accepted_at=(entry.receipt or {}).get("accepted_at"),
        approval_url=outbox.outgoing.delivery.approval.page_of(entry.message_id) if waits else None,
        expires_at=as_time(entry.held_until or 0.0) if waits else None,
        rule=entry.rule,
    )
