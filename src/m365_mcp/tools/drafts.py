"""create_draft, send_draft, discard_draft: a mail that the person reviews in Outlook before it is sent."""

from typing import Literal

from fastmcp import Context
from fastmcp.dependencies import CurrentContext, Depends
from fastmcp.tools import tool
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

from m365_mcp.mail import MessageRequest
from m365_mcp.sending.outbox import Outbox
from m365_mcp.sending.own_drafts import OwnDrafts
from m365_mcp.tools import arguments
from m365_mcp.tools.caller import caller_outbox
from m365_mcp.tools.mail import Receipt, progress_to, receipt_of, receipt_of_dry_run


class CreatedDraft(BaseModel):
    """A message in the Drafts folder."""

    status: Literal["draft"]
    draft_id: str
    message_id: str
    web_link: str | None
    recipients: list[str]
    warnings: list[str] = Field(description="Tell the person.")


class DiscardedDraft(BaseModel):
    """A draft that was discarded."""

    status: Literal["discarded"]
    draft_id: str


@tool(
    title="Create a draft",
    annotations=ToolAnnotations(
        read_only_hint=False,
        destructive_hint=False,  # it adds a draft; nothing is sent or changed
        idempotent_hint=False,
        open_world_hint=False,
    ),
)
async def create_draft(
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
    outbox: Outbox = Depends(caller_outbox),
) -> CreatedDraft:
    """Create an email in the signed-in person's Drafts folder, for review in Outlook. It sends nothing.

    Give the person `web_link`: they can change the draft, send it or delete it there. A second call creates another.
    """
    request = MessageRequest(
        to=to, subject=subject, body=body, cc=cc, bcc=bcc, reply_to=reply_to, from_=from_, content_type=content_type,
        importance=importance, attachments=attachments, request_read_receipt=request_read_receipt,
        as_written=as_written,
    )  # fmt: skip
    message = await outbox.compose(request)
    message_id, draft = await OwnDrafts(outbox).create(message)
    return CreatedDraft(
        status="draft",
        draft_id=draft.id,
        message_id=message_id,
        web_link=draft.web_link,
        recipients=list(message.addresses),
        warnings=list(message.warnings),
    )


@tool(
    title="Send a draft",
    annotations=ToolAnnotations(
        read_only_hint=False,
        destructive_hint=True,  # a sent mail cannot be recalled
        idempotent_hint=True,  # a draft is sent once, however often the tool is called
        open_world_hint=True,
    ),
)
async def send_draft(
    draft_id: arguments.DraftId,
    dry_run: arguments.DryRun = False,
    outbox: Outbox = Depends(caller_outbox),
    context: Context = CurrentContext(),
) -> Receipt:
    """Send a draft of create_draft, with every change that the person has made in it.

    It leaves immediately: call it only after the person has agreed. Do not repeat the call after a receipt (a repeat
    sends nothing and returns the first one). Only after 'outcome_unknown' is it not known whether it was sent.
    """
    if dry_run:
        return receipt_of_dry_run(await OwnDrafts(outbox).dry_run(draft_id))
    item, sent = await OwnDrafts(outbox).send(draft_id, progress_to(context))
    return receipt_of(sent, item.addresses)


@tool(
    title="Discard a draft",
    annotations=ToolAnnotations(
        read_only_hint=False,
        destructive_hint=True,  # the person's changes in the draft are lost
        idempotent_hint=True,
        open_world_hint=False,
    ),
)
async def discard_draft(draft_id: arguments.DraftId, outbox: Outbox = Depends(caller_outbox)) -> DiscardedDraft:
    """Discard a draft of this server, with every change that the person has made in it.

    Call it only when the person does not want the draft any more.
    """
    await OwnDrafts(outbox).discard(draft_id)
    return DiscardedDraft(status="discarded", draft_id=draft_id)
