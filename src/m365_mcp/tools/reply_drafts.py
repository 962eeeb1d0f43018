"""reply and forward on a server that sends no mail: they leave a draft in the thread, which the person sends."""

from fastmcp.dependencies import Depends
from fastmcp.tools import tool
from mcp_types import ToolAnnotations

from m365_mcp.mail import ReplyRequest
from m365_mcp.sending.outbox import Outbox
from m365_mcp.sending.replying import Replies
from m365_mcp.tools import arguments
from m365_mcp.tools.caller import caller_outbox
from m365_mcp.tools.drafts import CreatedDraft

_DRAFTING = ToolAnnotations(
    read_only_hint=False,
    destructive_hint=False,  # it adds a draft; nothing is sent or changed
    idempotent_hint=False,
    open_world_hint=False,
)


@tool(name="reply", title="Draft a reply", annotations=_DRAFTING)
async def draft_reply(
    message_id: arguments.OriginalId,
    body: arguments.Text,
    content_type: arguments.ContentType = "HTML",
    reply_all: arguments.ReplyAll = False,
    attachments: arguments.Attachments = None,
    as_written: arguments.AsWritten = False,
    outbox: Outbox = Depends(caller_outbox),
) -> CreatedDraft:
    """Leave a reply to a message as a draft inside its thread, with the original quoted below. It sends nothing.

    Give the person `web_link`: they can change the draft, send it or delete it there. It goes to the addresses that the
    message names for replies, or, for the person's own mail, to those who got it; the result lists them.
    """
    return await _leave(
        outbox,
        ReplyRequest(
            kind="reply_all" if reply_all else "reply",
            original=message_id,
            body=body,
            content_type=content_type,
            attachments=attachments,
            as_written=as_written,
        ),
    )


@tool(name="forward", title="Draft a forward", annotations=_DRAFTING)
async def draft_forward(
    message_id: arguments.OriginalId,
    to: arguments.To,
    body: arguments.Text = "",
    content_type: arguments.ContentType = "HTML",
    cc: arguments.Cc = None,
    bcc: arguments.Bcc = None,
    attachments: arguments.Attachments = None,
    as_written: arguments.AsWritten = False,
    outbox: Outbox = Depends(caller_outbox),
) -> CreatedDraft:
    """Leave a message with its attachments and your text above it as a draft to these people. It sends nothing.

    Give the person `web_link`: they can change the draft, send it or delete it there. The recipients will be able to
    read everything that the message and its thread quote.
    """
    return await _leave(
        outbox,
        ReplyRequest(
            kind="forward",
            original=message_id,
            body=body,
            content_type=content_type,
            to=to,
            cc=cc,
            bcc=bcc,
            attachments=attachments,
            as_written=as_written,
        ),
    )


async def _leave(outbox: Outbox, request: ReplyRequest) -> CreatedDraft:
    draft = await Replies(outbox).leave(await outbox.compose_reply(request))
    return CreatedDraft(
        status="draft",
        draft_id=draft.id,
        message_id=draft.message_id,
        web_link=draft.web_link,
        recipients=list(draft.addresses),
        warnings=list(draft.warnings),
    )
