"""attach_files and send_with_attachments: a draft with an upload link for each file, and the draft sent with them."""

import re
from collections.abc import Sequence
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
from m365_mcp.tools.mail import Receipt, accepted_fields, dry_run_fields, progress_to, sent_status
from m365_mcp.uploads.pending import PendingUpload, PendingUploads, SentUpload
from m365_mcp.uploads.receiver import ReceivedFile

_LINK: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "upload_url": {"type": "string"},
        "command": {"type": "string"},
    },
    "required": ["name", "upload_url", "command"],
}
_FILE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "size": {"type": "integer"},
        "sha256": {"type": "string"},
    },
    "required": ["name", "size", "sha256"],
}


class DraftAwaitingFiles(BaseModel):
    """A draft whose files have not arrived yet."""

    status: Literal["waiting_for_files"]
    draft_id: str
    message_id: str
    recipients: list[str]
    warnings: list[str] = Field(description="Tell the person.")
    links_expire_at: str
    files: list[dict[str, Any]] = Field(json_schema_extra={"items": _LINK})


class ReceiptWithFiles(Receipt):
    """The receipt of a message with uploaded files."""

    files: list[dict[str, Any]] = Field(json_schema_extra={"items": _FILE})


@tool(
    title="Attach files",
    annotations=ToolAnnotations(
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
    """Start a mail with files that are too large for a call: create a draft and a link for each file.

    It sends nothing. Run each file's command where the file is, or give the person the upload_url, a page to drop the
    file on. A link works for 15 minutes, for one upload and without a sign-in: show it to no other person. When every
    file has arrived, the draft can be sent. Until then it stays in the person's Drafts folder.
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
        read_only_hint=False,
        destructive_hint=True,  # a sent mail cannot be recalled
        idempotent_hint=True,  # one draft is sent once
        open_world_hint=True,
    ),
)
async def send_with_attachments(
    draft_id: arguments.UploadDraftId,
    dry_run: arguments.DryRun = False,
    uploads: PendingUploads = Depends(caller_uploads),
    context: Context = CurrentContext(),
) -> ReceiptWithFiles:
    """Send the draft that attach_files created, once, after every announced file has arrived.

    It leaves immediately and cannot be recalled: have the person agree first. While a file is missing, nothing is sent
    and the error names it by its number in 'files'. A repeat sends nothing and returns the first receipt. After
    'outcome_unknown' the person must look in Sent Items before you try again.
    """
    if dry_run:
        found, files = await uploads.dry_run(draft_id)
        return ReceiptWithFiles(status="dry_run", **dry_run_fields(found), files=_received(files))
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
    return ReceiptWithFiles(
        status=sent_status(sent.receipt),
        **accepted_fields(sent.receipt, sent.addresses, sent.batch.warnings),
        files=_received(sent.files),
    )


def _received(files: Sequence[ReceivedFile]) -> list[dict[str, Any]]:
    return [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in files]


def curl_command(name: str, url: str) -> str:
    """Return the POSIX shell command that uploads the file `name` from the current folder."""
    # curl reads standard input for - and ., and expands braces and brackets to several files.
    path = f"./{name}" if name[0] in "-." else name
    options = "-gT" if re.search(r"[\[\]{}]", name) else "-T"
    quoted = path.replace("'", "'\\''")
    return f"curl {options} '{quoted}' '{url}'"
