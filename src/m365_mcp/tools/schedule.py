"""schedule_mail, list_scheduled, cancel_scheduled: a mail that Microsoft sends later."""

from datetime import UTC, datetime
from typing import Literal

from fastmcp import Context
from fastmcp.dependencies import CurrentContext, Depends
from fastmcp.tools import tool
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

from m365_mcp.mail import Message, MessageRequest, read_send_at
from m365_mcp.sending.dry_run import DryRun, dry_run_of_message
from m365_mcp.sending.outbox import Outbox
from m365_mcp.sending.scheduling import Schedule, ScheduledItem
from m365_mcp.sending.send_strategy import SendReceipt
from m365_mcp.tools import arguments
from m365_mcp.tools.caller import caller_outbox
from m365_mcp.tools.mail import Accepted, accepted_fields, dry_run_fields, progress_to


class ScheduleReceipt(Accepted):
    """The receipt of a scheduled message."""

    status: Literal["scheduled", "already_scheduled", "approval_needed", "declined", "dry_run"] = Field(
        description="'already_scheduled': an earlier call did it, this one nothing."
    )
    send_at: str
    scheduled_id: str | None


class ScheduledMail(BaseModel):
    """A scheduled message that has not left yet."""

    scheduled_id: str
    send_at: str
    subject: str
    recipients: list[str]
    allowed_now: bool = Field(description="False: today's rules forbid it; it leaves unless cancelled.")


class ScheduledMails(BaseModel):
    """The scheduled messages that have not left yet."""

    scheduled: list[ScheduledMail]


class CancelledMail(BaseModel):
    """A scheduled message that was cancelled."""

    status: Literal["cancelled"]
    subject: str
    recipients: list[str]


@tool(
    title="Schedule mail",
    annotations=ToolAnnotations(
        read_only_hint=False,
        destructive_hint=True,  # Microsoft sends it without another call
        idempotent_hint=False,
        open_world_hint=True,
    ),
)
async def schedule_mail(
    send_at: arguments.SendAt,
    to: arguments.To,
    subject: arguments.Subject,
    body: arguments.Text,
    cc: arguments.Cc = None,
    content_type: arguments.ContentType = "HTML",
    bcc: arguments.Bcc = None,
    reply_to: arguments.ReplyTo = None,
    from_: arguments.From = None,
    importance: arguments.Importance = "normal",
    attachments: arguments.Attachments = None,
    request_read_receipt: arguments.ReadReceipt = False,
    as_written: arguments.AsWritten = False,
    idempotency_key: arguments.IdempotencyKey = None,
    allow_duplicate: arguments.AllowDuplicate = False,
    dry_run: arguments.DryRun = False,
    outbox: Outbox = Depends(caller_outbox),
    context: Context = CurrentContext(),
) -> ScheduleReceipt:
    """Send an email as the signed-in person at a later time, at most 30 days from now.

    Microsoft keeps it and sends it without another call: have the person agree to recipients, subject, text and time
    first. cancel_scheduled cancels it before it leaves. Do not repeat the call after a receipt or 'outcome_unknown'.
    """
    when = read_send_at(send_at, datetime.now(UTC))
    request = MessageRequest(
        to=to, subject=subject, body=body, cc=cc, bcc=bcc, reply_to=reply_to, from_=from_, content_type=content_type,
        importance=importance, attachments=attachments, request_read_receipt=request_read_receipt, send_at=when,
        as_written=as_written,
    )  # fmt: skip
    message, progress = await outbox.compose(request), progress_to(context)
    if dry_run:
        return _receipt_of_dry_run(await dry_run_of_message(outbox, message, "Send", "Schedule"), when)
    sent = await Schedule(outbox).add(
        message, idempotency_key=idempotency_key, allow_duplicate=allow_duplicate, progress=progress
    )
    return _receipt(sent, message, when)


@tool(
    title="List scheduled mail",
    annotations=ToolAnnotations(
        read_only_hint=True,
        destructive_hint=False,
        idempotent_hint=True,
        open_world_hint=False,
    ),
)
async def list_scheduled(outbox: Outbox = Depends(caller_outbox)) -> ScheduledMails:
    """List the mails that this server scheduled and that have not left yet; none that was scheduled in Outlook."""
    await outbox.policy.reading("list_scheduled")
    return ScheduledMails(scheduled=[_scheduled_mail(one) for one in await Schedule(outbox).list(datetime.now(UTC))])


@tool(
    title="Cancel scheduled mail",
    annotations=ToolAnnotations(
        read_only_hint=False,
        destructive_hint=True,
        idempotent_hint=True,
        open_world_hint=False,
    ),
)
async def cancel_scheduled(
    scheduled_id: arguments.ScheduledId, outbox: Outbox = Depends(caller_outbox)
) -> CancelledMail:
    """Cancel a mail that this server scheduled, before it leaves.

    'already_sent' means that the mail has left; 'message_missing' means that it was cancelled before.
    """
    item = await Schedule(outbox).cancel(scheduled_id)
    return CancelledMail(status="cancelled", subject=item.subject, recipients=list(item.addresses))


def _receipt(sent: SendReceipt, message: Message, when: datetime) -> ScheduleReceipt:
    return ScheduleReceipt(
        **accepted_fields(sent, message.addresses, message.warnings),
        status=sent.approval.status if sent.approval else "already_scheduled" if sent.is_repeat else "scheduled",
        send_at=when.isoformat(),
        scheduled_id=sent.draft_id,
    )


def _receipt_of_dry_run(found: DryRun, when: datetime) -> ScheduleReceipt:
    return ScheduleReceipt(status="dry_run", **dry_run_fields(found), send_at=when.isoformat(), scheduled_id=None)


def _scheduled_mail(scheduled: ScheduledItem) -> ScheduledMail:
    item = scheduled.item
    return ScheduledMail(
        scheduled_id=item.id,
        send_at=str(item.send_at),
        subject=item.subject,
        recipients=list(item.addresses),
        allowed_now=scheduled.is_allowed,
    )
