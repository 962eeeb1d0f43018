"""Adds, lists and removes the attachments of a draft. Large files go through an upload session.

Sources: Graph "Add attachment", "Attach large files to Outlook messages", "List attachments".
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from m365_mcp.errors import (
    FileRefused,
    FileTooLarge,
    GraphUnavailable,
    M365Error,
    MessageTooLarge,
    OutcomeUnknown,
    ReadRefused,
    Unavailable,
)
from m365_mcp.graph.decipher import GraphResponse, decipher
from m365_mcp.graph.items import IMMUTABLE, item_path
from m365_mcp.graph.mailbox import Mailbox
from m365_mcp.graph.upload_session import FILE_RETRIES, UploadSession
from m365_mcp.loopback import is_loopback
from m365_mcp.mail.rules import MAX_ATTACHMENTS
from m365_mcp.retries import retry, when_unavailable

POLL_PAUSES = (0.0, 0.3, 0.7, 1.5)  # seconds to wait before each check whether the attachment is there
_FILE = "#microsoft.graph.fileAttachment"
_OF_FILE = ("@odata.type", "name", "contentType", "contentBytes", "isInline", "contentId")
MailboxSlot = Callable[[], AbstractAsyncContextManager[object]]


@dataclass(frozen=True)
class DraftAttachments:
    """The attachments of one draft.

    Attributes:
        mailbox: the mailbox of the draft.
        draft_id: Graph's id of the draft.
        slot: reserves a mailbox slot for one request.
    """

    mailbox: Mailbox
    draft_id: str
    slot: MailboxSlot

    async def add(self, name: str, content_type: str, content: bytes) -> None:
        """Attach a small file in one request. After an unclear response, list the attachments before the next try.

        Raises:
            M365Error: Graph did not attach the file, as far as this server can find out.
        """
        attachment = {"@odata.type": "#microsoft.graph.fileAttachment", "name": name, "contentType": content_type}
        body = json.dumps({**attachment, "contentBytes": base64.b64encode(content).decode()}).encode()

        async def add_once(_: float) -> None:
            try:
                await self._post("", "addAttachment", body)
            except Unavailable:
                if not await self.holds(name):
                    raise

        await retry(FILE_RETRIES, add_once, when_unavailable)

    async def open_session(self, name: str, content_type: str, size: int) -> UploadSession:
        """Open an upload session for a large file. A repeat is harmless, because Graph drops unused sessions.

        Raises:
            FileTooLarge: the file is larger than the mailbox accepts.
            M365Error: Graph opened no session.
        """
        item = {"attachmentType": "file", "name": name, "size": size, "contentType": content_type}
        body = json.dumps({"AttachmentItem": item}).encode()
        session = await retry(
            FILE_RETRIES,
            lambda _: self._post("/createUploadSession", "createUploadSession", body),
            when_unavailable,
        )
        client = self.mailbox.graph
        url = check_upload_url(str(session.get("uploadUrl", "")), client.base_url)
        return UploadSession(url, size, client.http, client.metrics, self.slot)

    async def holds(self, name: str) -> bool:
        """Return whether a file of this name is attached, after several checks. Raises M365Error."""
        for pause in POLL_PAUSES:
            await asyncio.sleep(pause)
            if await self._ids_of(name):
                return True
        return False

    async def remove(self, name: str) -> None:
        """Delete all attachments with this name, which an earlier try may have added. Raises M365Error."""
        for attachment_id in await self._ids_of(name):
            async with self.slot():
                path = f"{self._path}/{quote(attachment_id, safe='')}"
                response = await self.mailbox.act("DELETE", path, "deleteAttachment", headers=IMMUTABLE)
            if response.status not in (204, 404):
                raise _refusal(response)

    async def _ids_of(self, name: str) -> list[str]:
        async with self.slot():
            response = await self.mailbox.read(f"{self._path}?$select=id,name", "listAttachments", IMMUTABLE)
        if response.status != 200:
            raise _refusal(response)
        attachments = response.json.get("value", [])
        return [str(attachment["id"]) for attachment in attachments if attachment.get("name") == name]

    async def _post(self, path: str, operation: str, body: bytes) -> dict[str, Any]:
        try:
            async with self.slot():
                response = await self.mailbox.act("POST", self._path + path, operation, body=body, headers=IMMUTABLE)
        except OutcomeUnknown as error:
            raise GraphUnavailable(reference=error.reference) from error
        if response.status != 201:
            raise _refusal(response)
        return response.json

    @property
    def _path(self) -> str:
        return f"/me/messages/{quote(self.draft_id, safe='')}/attachments"


@dataclass(frozen=True)
class Attached:
    """An attachment of a message.

    Attributes:
        is_file: whether it is a file, and not a message or a link.
        size: bytes.
        id: Graph's id.
        content_type: the media type that it claims to have.
    """

    name: str
    is_file: bool
    size: int = 0
    id: str = ""
    content_type: str = ""


async def list_attachments(mailbox: Mailbox, item_id: str) -> tuple[Attached, ...]:
    """Return the attachments of a message, without their content. Raises M365Error."""
    # These are properties of every kind of attachment; Graph refuses contentId here, which only a file has.
    found = await _entries(mailbox, f"{item_path(item_id)}/attachments?$select=id,name,size,contentType")
    return tuple(map(_read_attached, found))


async def read_files(mailbox: Mailbox, item_id: str) -> list[dict[str, Any]]:
    """Return the attached files of a message with their content, as a request for a new message takes them.

    Raises:
        M365Error: Graph does not return them.
    """
    found = await _entries(mailbox, f"{item_path(item_id)}/attachments")
    files = [one for one in found if one.get("@odata.type") == _FILE and one.get("contentBytes") is not None]
    return [{name: one[name] for name in _OF_FILE if one.get(name) is not None} for one in files]


async def _entries(mailbox: Mailbox, first: str) -> list[dict[str, Any]]:
    """Return the attachments of all pages, as Graph's JSON. Raises M365Error."""
    path: str | None = first
    found: list[dict[str, Any]] = []
    while path is not None and len(found) <= MAX_ATTACHMENTS:
        response = await mailbox.read(path, "listAttachments", IMMUTABLE)
        if response.status != 200:
            raise decipher(response, changes_something=False)
        entries = response.json.get("value", ())
        found += entries
        path = _next_path(response) if entries else None
    return found


def _read_attached(found: dict[str, Any]) -> Attached:
    return Attached(
        str(found.get("name") or ""),
        found.get("@odata.type") == _FILE,
        int(found.get("size") or 0),
        str(found["id"]),
        str(found.get("contentType") or ""),
    )


async def read_inline_file(mailbox: Mailbox, item_id: str, attachment_id: str) -> tuple[str | None, bytes]:
    """Return content id and content of a file that a message shows in its text; None and nothing for any other.

    Raises:
        M365Error: Graph does not return it.
    """
    path = f"{item_path(item_id)}/attachments/{quote(attachment_id, safe='')}"
    response = await mailbox.read(path, "getAttachment", IMMUTABLE)
    if response.status != 200:
        raise decipher(response, changes_something=False)
    content_id = response.json.get("contentId")
    try:
        content = base64.b64decode(str(response.json.get("contentBytes") or ""), validate=True)
    except ValueError:
        content = b""
    return (str(content_id).strip("<>"), content) if content_id and content else (None, b"")


def _next_path(response: GraphResponse) -> str | None:
    """Return the path of the next page; its host is Graph's, whatever the response says."""
    link = urlsplit(str(response.json.get("@odata.nextLink") or ""))
    return f"{link.path.removeprefix('/v1.0')}?{link.query}" if link.path.startswith("/v1.0/me/") else None


def check_upload_url(url: str, graph_base_url: str) -> str:
    """Return `url`, Graph's upload address for a file, if this server may upload to it.

    The upload host differs from Graph's host, and only Graph's response names it. The scheme must be https. With a
    simulator on this machine, the scheme must be the simulator's and the upload host must be this machine.

    Raises:
        GraphUnavailable: this server may not upload there.
    """
    graph, upload = urlsplit(graph_base_url), urlsplit(url)
    graph_is_local = is_loopback(graph.hostname)
    scheme = graph.scheme if graph_is_local else "https"
    both_match = graph_is_local == is_loopback(upload.hostname)
    if upload.scheme != scheme or not upload.hostname or upload.username is not None or not both_match:
        raise GraphUnavailable("Microsoft Graph named an upload address that this server does not allow.")
    return url


def _refusal(response: GraphResponse) -> M365Error:
    """Return the error for a response about a file. None of these requests sends mail."""
    error = decipher(response, changes_something=False)
    if isinstance(error, MessageTooLarge):
        return FileTooLarge(
            "The message with this file would be larger than the mailbox accepts.", reference=response.request_id
        )
    if response.status == 404 and isinstance(error, ReadRefused):
        return FileRefused(
            "The draft for this file no longer exists.",
            advice="Start again with attach_files.",
            reference=response.request_id,
        )
    if isinstance(error, ReadRefused):
        return FileRefused("Microsoft Graph refused the file.", reference=response.request_id)
    return error
