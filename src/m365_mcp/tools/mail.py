"""send_mail: arguments to a Message, the Message to the Office, a receipt back."""

from typing import Annotated, Any, Literal

from fastmcp import Context
from fastmcp.dependencies import CurrentContext, Depends
from fastmcp.tools import tool
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

from m365_mcp.mail import CONTENT_TYPES, IMPORTANCES, Message, MessageWish
from m365_mcp.sending import delivery
from m365_mcp.sending.office import Desk
from m365_mcp.tools.caller import caller_desk

Recipients = list[str]
ATTACHMENT = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "File name with its extension."},
        "content_base64": {"type": "string", "description": "The content, base64."},
        "content_type": {"type": "string", "description": "Media type; guessed from the name when left out."},
        "content_id": {"type": "string", "description": "For a picture in an HTML body: <img src='cid:…'>."},
    },
    "required": ["name", "content_base64"],
    "additionalProperties": False,
}


class Receipt(BaseModel):
    """What became of a message."""

    status: Literal["sent"] = Field(description="'sent': Microsoft accepted the message for delivery.")
    message_id: str = Field(description="This message's id; it stands in its x-m365-mcp-id header, too.")
    accepted_at: str = Field(description="When it was accepted, UTC, ISO 8601.")
    recipients: list[str] = Field(description="Every address the message goes to, as it was understood.")
    duplicate_of: str | None = Field(
        description="Set when an earlier call has sent this message: its message_id. This call sent nothing."
    )
    warnings: list[str] = Field(description="What was changed or looks odd; tell the person.")
    saved_to_sent_items: bool = Field(description="Whether a copy is in the person's Sent Items.")
    request_id: str | None = Field(description="Microsoft's id of the request, for support.")


@tool(
    title="Send mail",
    annotations=ToolAnnotations(
        title="Send mail",
        read_only_hint=False,
        destructive_hint=True,  # a sent mail cannot be taken back
        idempotent_hint=False,
        open_world_hint=True,
    ),
)
async def send_mail(
    to: Annotated[
        Recipients,
        Field(description="Recipients, one an entry: 'name@example.com' or 'Name <name@example.com>'. At least one."),
    ],
    subject: Annotated[str, Field(description="Subject, one line.")],
    body: Annotated[str, Field(description="Text of the mail, in the format content_type names.")],
    cc: Annotated[Recipients | None, Field(description="Copy recipients, written like 'to'.")] = None,
    content_type: Annotated[
        str,
        Field(
            description="Format of body: 'HTML', 'Markdown' (becomes HTML) or 'Text'.",
            json_schema_extra={"enum": list(CONTENT_TYPES)},
        ),
    ] = "HTML",
    save_to_sent: Annotated[bool, Field(description="Keep a copy in Sent Items.")] = True,
    bcc: Annotated[
        Recipients | None, Field(description="Blind copy recipients, where the operator allows them.")
    ] = None,
    reply_to: Annotated[Recipients | None, Field(description="Where replies go instead of to the sender.")] = None,
    from_: Annotated[
        str | None, Field(description="A shared mailbox to send for, where the operator and the mailbox allow it.")
    ] = None,
    importance: Annotated[
        str, Field(description="'low', 'normal' or 'high'.", json_schema_extra={"enum": list(IMPORTANCES)})
    ] = "normal",
    attachments: Annotated[
        list[dict[str, Any]] | None,
        Field(description="Small files, together below 3 MB.", json_schema_extra={"items": ATTACHMENT}),
    ] = None,
    request_read_receipt: Annotated[bool, Field(description="Ask to be told when it is read.")] = False,
    idempotency_key: Annotated[
        str | None,
        Field(
            description="Your own name for this send, 1 to 64 characters: a call with the same key is a repeat.",
            min_length=1,
            max_length=64,
        ),
    ] = None,
    allow_duplicate: Annotated[
        bool, Field(description="Send although an equal message was just sent, because a second copy is wanted.")
    ] = False,
    desk: Desk = Depends(caller_desk),
    context: Context = CurrentContext(),
) -> Receipt:
    """Send an email as the signed-in person, from their own Microsoft 365 mailbox.

    The message leaves at once and cannot be taken back, so have the person agree to recipients, subject and text
    first. Write HTML in `body` unless `content_type` says otherwise. A returned receipt means Microsoft accepted the
    message: do not repeat the call (an equal one within minutes sends nothing and returns the first receipt). An
    error says what to change; only 'outcome_unknown' leaves open whether it was sent, and then the person must look
    in Sent Items before anything is tried again.
    """
    message = desk.write(
        MessageWish(
            to=to,
            subject=subject,
            body=body,
            cc=cc,
            bcc=bcc,
            reply_to=reply_to,
            from_=from_,
            content_type=content_type,
            importance=importance,
            attachments=attachments,
            request_read_receipt=request_read_receipt,
            save_to_sent=save_to_sent,
        )
    )
    sent = await desk.send(message, key=idempotency_key, second_copy=allow_duplicate, progress=_teller(context))
    return as_receipt(message, sent)


def as_receipt(message: Message, sent: delivery.Receipt) -> Receipt:
    """Return what a model is told of a message that was accepted."""
    return Receipt(
        status="sent",
        message_id=sent.message_id,
        accepted_at=sent.accepted_at,
        recipients=list(message.addresses),
        duplicate_of=sent.message_id if sent.is_repeat else None,
        warnings=list(message.warnings),
        saved_to_sent_items=message.save_to_sent_items,
        request_id=sent.request_id,
    )


def _teller(context: Context) -> delivery.Progress:
    async def tell(text: str) -> None:
        await context.report_progress(0, message=text)

    return tell
