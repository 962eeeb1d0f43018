"""send_mail: arguments to a Message, the Message to the Mailbox, a receipt back."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastmcp.dependencies import Depends
from fastmcp.tools import tool
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

from m365_mcp.graph.mailbox import Mailbox
from m365_mcp.mail import CONTENT_TYPES, MailRules, MessageWish, build_message
from m365_mcp.tools.caller import caller_mailbox


class Receipt(BaseModel):
    """What became of a message."""

    status: Literal["sent"] = Field(description="'sent': Microsoft accepted the message for delivery.")
    accepted_at: str = Field(description="When it was accepted, UTC, ISO 8601.")
    recipients: list[str] = Field(description="Every address the message goes to, as it was understood.")
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
        list[str],
        Field(description="Recipients, one an entry: 'name@example.com' or 'Name <name@example.com>'. At least one."),
    ],
    subject: Annotated[str, Field(description="Subject, one line.")],
    body: Annotated[str, Field(description="Text of the mail, in the format content_type names.")],
    cc: Annotated[list[str] | None, Field(description="Copy recipients, written like 'to'.")] = None,
    content_type: Annotated[
        str,
        Field(
            description="Format of body: 'HTML', 'Text' or 'Markdown'.", json_schema_extra={"enum": list(CONTENT_TYPES)}
        ),
    ] = "HTML",
    save_to_sent: Annotated[bool, Field(description="Keep a copy in Sent Items.")] = True,
    mailbox: Mailbox = Depends(caller_mailbox),
) -> Receipt:
    """Send an email as the signed-in person, from their own Microsoft 365 mailbox.

    The message leaves at once and cannot be taken back, so have the person agree to recipients, subject and text
    first. Write HTML in `body` unless `content_type` is "Text". A returned receipt means Microsoft accepted the
    message: do not repeat the call. An error says what to change; only 'outcome_unknown' leaves open whether it was
    sent, and then the person must look in Sent Items before anything is tried again.
    """
    wish = MessageWish(to, subject, body, cc=cc, content_type=content_type, save_to_sent=save_to_sent)
    message = build_message(wish, MailRules())
    request_id = await mailbox.send(message)
    return Receipt(
        status="sent",
        accepted_at=datetime.now(UTC).isoformat(timespec="seconds"),
        recipients=[recipient.address for recipient in (*message.to, *message.cc)],
        saved_to_sent_items=message.save_to_sent_items,
        request_id=request_id,
    )
