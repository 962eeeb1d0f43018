"""send_mail: compose a message from the arguments, send it through the caller's outbox, return a receipt."""

from collections.abc import Sequence
from typing import Any, Literal

from fastmcp import Context
from fastmcp.dependencies import CurrentContext, Depends
from fastmcp.tools import tool
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

from m365_mcp.mail import Message, MessageRequest
from m365_mcp.sending import delivery
from m365_mcp.sending.outbox import Outbox
from m365_mcp.tools import arguments
from m365_mcp.tools.caller import caller_outbox


class Accepted(BaseModel):
    """The receipt of a message that Microsoft has accepted."""

    status: str
    message_id: str = Field(description="This message's id; its header x-m365-mcp-id has it too.")
    accepted_at: str = Field(description="When Microsoft accepted it, UTC, ISO 8601.")
    recipients: list[str] = Field(description="Every address that the message goes to, as the server understood it.")
    duplicate_of: str | None = Field(
        description="Set when an earlier call already sent this message: its message_id. This call sent nothing."
    )
    warnings: list[str] = Field(description="What the server changed or found unusual; tell the person.")
    saved_to_sent_items: bool = Field(description="Whether a copy is in the person's Sent Items.")
    request_id: str | None = Field(description="Microsoft's id of the request, for support staff.")


class Receipt(Accepted):
    """The receipt of a sent message."""

    status: Literal["sent"] = Field(description="'sent': Microsoft accepted the message for delivery.")


@tool(
    title="Send mail",
    annotations=ToolAnnotations(
        title="Send mail",
        read_only_hint=False,
        destructive_hint=True,  # a sent mail cannot be recalled
        idempotent_hint=False,
        open_world_hint=True,
    ),
)
async def send_mail(
    to: arguments.To,
    subject: arguments.Subject,
    body: arguments.Text,
    cc: arguments.Cc = None,
    content_type: arguments.ContentType = "HTML",
    save_to_sent: arguments.SaveToSent = True,
    bcc: arguments.Bcc = None,
    reply_to: arguments.ReplyTo = None,
    from_: arguments.From = None,
    importance: arguments.Importance = "normal",
    attachments: arguments.Attachments = None,
    request_read_receipt: arguments.ReadReceipt = False,
    as_written: arguments.AsWritten = False,
    idempotency_key: arguments.IdempotencyKey = None,
    allow_duplicate: arguments.AllowDuplicate = False,
    outbox: Outbox = Depends(caller_outbox),
    context: Context = CurrentContext(),
) -> Receipt:
    """Send an email as the signed-in person, from their own Microsoft 365 mailbox.

    The message leaves immediately and cannot be recalled, so have the person agree to recipients, subject and text
    first. Write HTML in `body` unless `content_type` names another format. A receipt means that Microsoft accepted the
    message: do not repeat the call (an equal call within minutes sends nothing and returns the first receipt). An
    error says what to change. Only after 'outcome_unknown' it is not known whether the message was sent; then the
    person must look in Sent Items before you try again.
    """
    request = MessageRequest(
        to=to, subject=subject, body=body, cc=cc, bcc=bcc, reply_to=reply_to, from_=from_, content_type=content_type,
        importance=importance, attachments=attachments, request_read_receipt=request_read_receipt,
        save_to_sent=save_to_sent, as_written=as_written,
    )  # fmt: skip
    message = await outbox.compose(request)
    sent = await outbox.send(
        message, idempotency_key=idempotency_key, allow_duplicate=allow_duplicate, progress=progress_to(context)
    )
    return message_receipt(message, sent)


def message_receipt(message: Message, sent: delivery.SendReceipt) -> Receipt:
    """Return the receipt of a message that was sent."""
    return receipt_of(sent, message.addresses, message.warnings, is_saved=message.save_to_sent)


def receipt_of(
    sent: delivery.SendReceipt, addresses: Sequence[str], warnings: Sequence[str] = (), *, is_saved: bool = True
) -> Receipt:
    """Return the receipt of a send to these addresses."""
    return Receipt(status="sent", **accepted_fields(sent, addresses, warnings, is_saved=is_saved))


def accepted_fields(
    sent: delivery.SendReceipt, addresses: Sequence[str], warnings: Sequence[str] = (), *, is_saved: bool = True
) -> dict[str, Any]:
    """Return the fields of `Accepted` without `status`."""
    return {
        "message_id": sent.message_id,
        "accepted_at": sent.accepted_at,
        "recipients": list(addresses),
        "duplicate_of": sent.message_id if sent.is_repeat else None,
        "warnings": list(warnings),
        "saved_to_sent_items": is_saved,
        "request_id": sent.request_id,
    }


def progress_to(context: Context) -> delivery.Progress:
    """Return a function that reports progress to the MCP client."""

    async def report(text: str) -> None:
        await context.report_progress(0, message=text)

    return report
