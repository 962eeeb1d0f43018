"""attach_files and send_with_attachments: a draft with an upload link for each file, and the draft sent with them."""

import re
from datetime import UTC, datetime
from typing import Any, Literal

from fastmcp import Context
from fastmcp.dependencies import CurrentContext, Depends
from fastmcp.tools import tool
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

from m365_mcp.mail import MessageRequest
from m365_mcp.tools import arguments
from m365_mcp.tools.caller import caller_uploads
from m365_mcp.tools.mail import Receipt, progress_to
from m365_mcp.uploads.pending import PendingUpload, PendingUploads, SentUpload

_LINK: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "The file's name."},
        "upload_url": {"type": "string", "description": "Page to drop the file on; also the URL to PUT it to."},
        "command": {"type": "string", "description": "Shell command that uploads the file from the current folder."},
    },
    "required": ["name", "upload_url", "command"],
}
_FILE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "The file's name."},
        "size": {"type": "integer", "description": "Size in bytes, as it arrived."},
        "sha256": {"type": "string", "description": "SHA-256 of the content, hexadecimal."},
    },
    "required": ["name", "size", "sha256"],
}


class DraftAwaitingFiles(BaseModel):
    """A draft whose files have not arrived yet."""

    status: Literal["waiting_for_files"] = Field(description="'waiting_for_files': nothing has been sent yet.")
    draft_id: str = Field(description="Id of the draft, for send_with_attachments.")
    message_id: str = Field(description="This message's id; its header x-m365-mcp-id has it too.")
    recipients: list[str] = Field(description="Every address that the message will go to, as the server understood it.")
    warnings: list[str] = Field(description="What the server changed or found unusual; tell the person.")
    links_expire_at: str = Field(description="Time until which an upload can begin, UTC, ISO 8601.")
    files: list[dict[str, Any]] = Field(
        description="One link per file; anyone who has the link can upload that one file, once.",
        json_schema_extra={"items": _LINK},
    )


class ReceiptWithFiles(Receipt):
    """The receipt of a message with uploaded files."""

    files: list[dict[str, Any]] = Field(
        description="The files attached to the message, as they arrived.", json_schema_extra={"items": _FILE}
    )


@tool(
    title="Attach files",
    annotations=ToolAnnotations(
        title="Attach files",
        read_only_hint=False,
        destructive_hint=False,  # a draft goes to no recipient
        idempotent_hint=False,
        open_world_hint=False,
    ),
)
async def attach_files(
    to: arguments.To,
    subject: arguments.Subject,
    body: arguments.Text,
    files: arguments.Files,
    cc: arguments.Cc = None,
    content_type: arguments.ContentType = "HTML",
    bcc: arguments.Bcc = None,
    reply_to: arguments.ReplyTo = None,
    from_: arguments.From = None,
    importance: arguments.Importance = "normal",
    attachments: arguments.Attachments = None,
    request_read_receipt: arguments.ReadReceipt = False,
    as_written: arguments.AsWritten = False,
    uploads: PendingUploads = Depends(caller_uploads),
) -> DraftAwaitingFiles:
    """Start a mail with files that are too large for a call (up to 150 MB): create a draft and a link for each file.

    It sends nothing. Run each file's command yourself where the file is, or give the person the upload_url: it opens a
    page to drop the file on. A link works for 15 minutes, for one upload and without a sign-in, and adds the file to
    this person's draft only, so show it to no other person. Then call send_with_attachments. A draft that is not sent
    stays in the person's Drafts folder until they delete it; the server does not delete it.
    """
    request = MessageRequest(
        to=to, subject=subject, body=body, cc=cc, bcc=bcc, reply_to=reply_to, from_=from_, content_type=content_type,
        importance=importance, attachments=attachments, request_read_receipt=request_read_receipt,
        as_written=as_written, expects_files=True,
    )  # fmt: skip
    return _awaiting_files(await uploads.begin(request, files))


@tool(
    title="Send with attachments",
    annotations=ToolAnnotations(
        title="Send with attachments",
        read_only_hint=False,
        destructive_hint=True,  # a sent mail cannot be recalled
        idempotent_hint=True,  # one draft is sent once
        open_world_hint=True,
    ),
)
async def send_with_attachments(
    draft_id: arguments.DraftId,
    uploads: PendingUploads = Depends(caller_uploads),
    context: Context = CurrentContext(),
) -> ReceiptWithFiles:
    """Send the draft that attach_files created, once, after every announced file has arrived.

    The message leaves immediately and cannot be recalled, so have the person agree first. While a file is missing,
    nothing is sent and the error says which one, by its number in 'files'. The receipt names each file with the size
    and SHA-256 of what arrived. Another call with the same draft_id sends nothing and returns the first receipt.
    After 'outcome_unknown' the person must look in Sent Items before you try again.
    """
    return _receipt(await uploads.send(draft_id, progress_to(context)))


def _awaiting_files(opened: PendingUpload) -> DraftAwaitingFiles:
    return DraftAwaitingFiles(
        status="waiting_for_files",
        draft_id=opened.draft_id,
        message_id=opened.message_id,
        recipients=list(opened.message.addresses),
        warnings=list(opened.message.warnings),
        links_expire_at=datetime.fromtimestamp(opened.expires_at, UTC).isoformat(timespec="seconds"),
        files=[
            {"name": link.name, "upload_url": link.url, "command": curl_command(link.name, link.url)}
            for link in opened.links
        ],
    )


def _receipt(sent: SentUpload) -> ReceiptWithFiles:
    receipt = sent.receipt
    return ReceiptWithFiles(
        status="sent",
        message_id=receipt.message_id,
        accepted_at=receipt.accepted_at,
        recipients=list(sent.addresses),
        duplicate_of=receipt.message_id if receipt.is_repeat else None,
        warnings=list(sent.batch.warnings),
        saved_to_sent_items=True,
        request_id=receipt.request_id,
        files=[{"name": file.name, "size": file.size, "sha256": file.sha256} for file in sent.files],
    )


def curl_command(name: str, url: str) -> str:
    """Return the POSIX shell command that uploads the file `name` from the current folder."""
    # curl reads standard input for - and ., and expands braces and brackets to several files.
    path = f"./{name}" if name[0] in "-." else name
    options = "-gT" if re.search(r"[\[\]{}]", name) else "-T"
    quoted = path.replace("'", "'\\''")
    return f"curl {options} '{quoted}' '{url}'"
