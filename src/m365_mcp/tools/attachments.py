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
        "upload_url": {"type": "string", "description": "Page to drop the file on, and address to PUT it to."},
        "command": {"type": "string", "description": "Shell command that uploads it from the current folder."},
    },
    "required": ["name", "upload_url", "command"],
}
_FILE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "The file's name."},
        "size": {"type": "integer", "description": "Bytes that arrived."},
        "sha256": {"type": "string", "description": "SHA-256 of these bytes, hexadecimal."},
    },
    "required": ["name", "size", "sha256"],
}


class Waiting(BaseModel):
    """A draft that waits for its files."""

    status: Literal["waiting_for_files"] = Field(description="'waiting_for_files': nothing has been sent yet.")
    draft_id: str = Field(description="The draft; hand it to send_with_attachments.")
    message_id: str = Field(description="This message's id; it stands in its x-m365-mcp-id header, too.")
    recipients: list[str] = Field(description="Every address the message will go to, as it was understood.")
    warnings: list[str] = Field(description="What was changed or looks odd; tell the person.")
    links_expire_at: str = Field(description="Until when an upload may begin, UTC, ISO 8601.")
    files: list[dict[str, Any]] = Field(
        description="One link for each file; whoever has it may upload that one file, once.",
        json_schema_extra={"items": _LINK},
    )


class ReceiptWithFiles(Receipt):
    """What became of a message with uploaded files."""

    files: list[dict[str, Any]] = Field(
        description="The files that went with it, as they arrived.", json_schema_extra={"items": _FILE}
    )


@tool(
    title="Attach files",
    annotations=ToolAnnotations(
        title="Attach files",
        read_only_hint=False,
        destructive_hint=False,  # a draft, which nobody gets
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
    uploads: PendingUploads = Depends(caller_uploads),
) -> Waiting:
    """Begin a mail with files too large to go inside a call (up to 150 MB): make a draft, and a link for each file.

    Sends nothing. Run each file's command yourself where the file is, or give the person the upload_url: it opens a
    page to drop the file on. A link is good for 15 minutes and for one upload, works without a sign-in, and puts the
    file into this person's draft only, so show it to nobody else. Then call send_with_attachments. A draft that is
    not sent stays in the person's Drafts folder until they delete it; the server does not clear it away.
    """
    request = MessageRequest(
        to=to, subject=subject, body=body, cc=cc, bcc=bcc, reply_to=reply_to, from_=from_, content_type=content_type,
        importance=importance, attachments=attachments, request_read_receipt=request_read_receipt,
    )  # fmt: skip
    return _as_waiting(await uploads.begin(request, files))


@tool(
    title="Send with attachments",
    annotations=ToolAnnotations(
        title="Send with attachments",
        read_only_hint=False,
        destructive_hint=True,  # a sent mail cannot be taken back
        idempotent_hint=True,  # one draft is sent once
        open_world_hint=True,
    ),
)
async def send_with_attachments(
    draft_id: arguments.DraftId,
    uploads: PendingUploads = Depends(caller_uploads),
    context: Context = CurrentContext(),
) -> ReceiptWithFiles:
    """Send the draft that attach_files made, once, when every file it announced has arrived.

    The message leaves at once and cannot be taken back, so have the person agree first. While a file is missing
    nothing is sent and the error says which, by its place in 'files'. A returned receipt names each file with the size
    and SHA-256 of what arrived; another call with the same draft_id sends nothing and returns the first receipt.
    After 'outcome_unknown' the person must look in Sent Items before anything is tried again.
    """
    return _as_receipt(await uploads.send(draft_id, progress_to(context)))


def _as_waiting(opened: PendingUpload) -> Waiting:
    return Waiting(
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


def _as_receipt(sent: SentUpload) -> ReceiptWithFiles:
    receipt = sent.receipt
    return ReceiptWithFiles(
        status="sent",
        message_id=receipt.message_id,
        accepted_at=receipt.accepted_at,
        recipients=list(sent.batch.addresses),
        duplicate_of=receipt.message_id if receipt.is_repeat else None,
        warnings=list(sent.batch.warnings),
        saved_to_sent_items=True,
        request_id=receipt.request_id,
        files=[{"name": file.name, "size": file.size, "sha256": file.sha256} for file in sent.files],
    )


def curl_command(name: str, url: str) -> str:
    """Return what a POSIX shell runs to upload the file `name` of the current folder."""
    # curl takes - and . for standard input, and patterns in braces or brackets for several files.
    path = f"./{name}" if name[0] in "-." else name
    options = "-gT" if re.search(r"[\[\]{}]", name) else "-T"
    quoted = path.replace("'", "'\\''")
    return f"curl {options} '{quoted}' '{url}'"
