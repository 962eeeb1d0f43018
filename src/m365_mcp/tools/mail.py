"""send_mail: compose a message from the arguments, send it through the caller's outbox, return a receipt."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastmcp import Context
from fastmcp.dependencies import CurrentContext, Depends
from fastmcp.tools import tool
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field, WithJsonSchema

from m365_mcp.mail import MessageRequest
from m365_mcp.sending.dry_run import DryRun, dry_run_of_message
from m365_mcp.sending.outbox import Outbox
from m365_mcp.sending.send_strategy import Approval, Progress, SendReceipt
from m365_mcp.tools import arguments
from m365_mcp.tools.caller import caller_outbox


class Accepted(BaseModel):
    """The receipt of a message that Microsoft has accepted, or that waits for the person's approval.

    Whether an accepted message reaches a mailbox, Microsoft does not tell.

    Attributes:
        message_id: this message's id; its header x-m365-mcp-id has it too.
        accepted_at: when Microsoft accepted it: UTC, ISO 8601; None if it has not.
        recipients: every address that the message goes to, as the server understood it.
        duplicate_of: `message_id` of the earlier call that sent the message, when this call is a repeat.
        warnings: what the server changed or found unusual.
        saved_to_sent_items: whether a copy of the mail that was sent is in Sent Items; None when it is not known.
        request_id: Microsoft's id of the request, for support staff.
        approval_url: the page where the person sends or discards a message that waits.
        expires_at: until when it waits: UTC, ISO 8601.
        rule: the id of the policy that has it wait.
        dry_run: the decision and the mail as it would leave, where the call was a dry run; then `message_id` and
            `accepted_at` are None.
        is_newly_held: whether the message waits since this call; for this server itself, no client gets it.
    """

    status: str
    message_id: str | None
    accepted_at: str | None
    recipients: list[str]
    duplicate_of: str | None
    warnings: list[str] = Field(description="Tell the person.")
    saved_to_sent_items: bool | None
    request_id: str | None
    approval_url: str | None = None
    expires_at: str | None = None
    rule: str | None = None
    dry_run: Annotated[dict[str, Any] | None, WithJsonSchema({"type": ["object", "null"]})] = None
    is_newly_held: bool = Field(default=False, exclude=True)


APPROVAL_FIELDS = frozenset(("approval_url", "expires_at", "rule"))
_NEEDED = "Nothing was sent yet. Ask the person to open {url} and press Send there; do not open it yourself."
_DECLINED = "The person has discarded this message on the approval page. Nothing was sent; do not call again unasked."


class Receipt(Accepted):
    """The receipt of a sent message."""

    status: Literal["sent", "already_sent", "approval_needed", "declined", "dry_run"] = Field(
        description="'already_sent': an earlier call sent it, this one nothing."
    )


@tool(
    title="Send mail",
    annotations=ToolAnnotations(
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
    dry_run: arguments.DryRun = False,
    outbox: Outbox = Depends(caller_outbox),
    context: Context = CurrentContext(),
) -> Receipt:
    """Send an email as the signed-in person, from their own Microsoft 365 mailbox.

    It leaves immediately and cannot be recalled: have the person agree to recipients, subject and text first. A receipt
    means that Microsoft accepted it, not that it arrived: do not repeat the call (an equal one within minutes sends
    nothing and returns the first receipt). An error says what to change. Only after 'outcome_unknown' is it not known
    whether it was sent: the person must look in Sent Items before you try again.
    """
    request = MessageRequest(
        to=to, subject=subject, body=body, cc=cc, bcc=bcc, reply_to=reply_to, from_=from_, content_type=content_type,
        importance=importance, attachments=attachments, request_read_receipt=request_read_receipt,
        save_to_sent=save_to_sent, as_written=as_written,
    )  # fmt: skip
    message = await outbox.compose(request)
    if dry_run:
        return receipt_of_dry_run(await dry_run_of_message(outbox, message, "Send"))
    sent = await outbox.send(
        message, idempotency_key=idempotency_key, allow_duplicate=allow_duplicate, progress=progress_to(context)
    )
    return receipt_of(sent, message.addresses, message.warnings)


def receipt_of(sent: SendReceipt, addresses: Sequence[str], warnings: Sequence[str] = ()) -> Receipt:
    """Return the receipt of a send to these addresses."""
    return Receipt(status=sent_status(sent), **accepted_fields(sent, addresses, warnings))


def receipt_of_dry_run(found: DryRun) -> Receipt:
    """Return the receipt of a dry run: nothing was sent."""
    return Receipt(status="dry_run", **dry_run_fields(found))


def sent_status(sent: SendReceipt) -> Literal["sent", "already_sent", "approval_needed", "declined"]:
    """Return the status of a send: a repeat must not look like a second mail."""
    if sent.approval is not None:
        return sent.approval.status
    return "already_sent" if sent.is_repeat else "sent"


def accepted_fields(sent: SendReceipt, addresses: Sequence[str], warnings: Sequence[str] = ()) -> dict[str, Any]:
    """Return the fields of `Accepted` without `status`."""
    asked = sent.approval
    return {
        **(_approval_fields(asked) if asked else {}),
        "message_id": sent.message_id,
        "accepted_at": sent.accepted_at,
        "recipients": list(addresses),
        "duplicate_of": sent.message_id if sent.is_repeat else None,
        "warnings": [*([_what_to_do(asked)] if asked else []), *warnings],
        "saved_to_sent_items": sent.is_saved,
        "request_id": sent.request_id,
    }


def dry_run_fields(found: DryRun) -> dict[str, Any]:
    """Return the fields of `Accepted` without `status` for a dry run."""
    return {
        "message_id": None,
        "accepted_at": None,
        "recipients": list(found.item.addresses),
        "duplicate_of": None,
        "warnings": list(found.warnings),
        "saved_to_sent_items": None,
        "request_id": None,
        "dry_run": {**_decision(found), **_form(found)},
    }


def _decision(found: DryRun) -> dict[str, Any]:
    refusal = found.decision.refusal
    if refusal is None:
        asked_by = found.decision.asked_by
        return {"decision": "approval_needed", "rule": asked_by} if asked_by else {"decision": "permitted"}
    return {
        "decision": "denied",
        "code": refusal.code,
        "rule": refusal.rule,
        "sentence": refusal.sentence,
        "advice": refusal.advice,
    }


def _form(found: DryRun) -> dict[str, Any]:
    item = found.item
    addressed = {"to": item.to, "cc": item.cc, "bcc": item.bcc, "reply_to": item.reply_to}
    return {
        **{name: [recipient.address for recipient in recipients] for name, recipients in addressed.items()},
        "from_": item.from_.address if item.from_ else None,
        "subject": item.subject,
        "content_type": found.content_type,
        "body_bytes": found.body_bytes,
        "attachments": [{"name": one.name, "size": one.size} for one in found.attachments],
    }


def _approval_fields(asked: Approval) -> dict[str, Any]:
    return {
        "approval_url": asked.url,
        "expires_at": asked.expires_at,
        "rule": asked.rule,
        "is_newly_held": asked.is_new,
    }


def _what_to_do(asked: Approval) -> str:
    return _DECLINED if asked.status == "declined" else _NEEDED.format(url=asked.url)


def progress_to(context: Context) -> Progress:
    """Return a function that reports progress to the MCP client."""

    async def report(text: str) -> None:
        await context.report_progress(0, message=text)

    return report
