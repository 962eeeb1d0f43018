"""The attachments of one draft: small ones in one request, an upload session for large ones, and what is there.

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
    FileTooLarge,
    GraphUnavailable,
    M365Error,
    MessageRefused,
    MessageTooLarge,
    OutcomeUnknown,
    ReadRefused,
    Unavailable,
)
from m365_mcp.graph.decipher import GraphResponse, decipher
from m365_mcp.graph.items import IMMUTABLE
from m365_mcp.graph.mailbox import Mailbox
from m365_mcp.graph.upload_session import FILE_RETRIES, UploadSession
from m365_mcp.loopback import is_loopback
from m365_mcp.retries import retry, when_unavailable

LOOKS = (0.0, 0.3, 0.7, 1.5)  # pauses before looks for an attachment that should be there, in seconds
_AGAIN = "Upload the file again with the same link while it is good, or begin anew with attach_files."
Turn = Callable[[], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class DraftAttachments:
    """What is attached to one draft.

    Attributes:
        mailbox: whose draft it is.
        draft_id: Graph's id of it.
        slot: gives one of the places at the mailbox for one request.
    """

    mailbox: Mailbox
    draft_id: str
    slot: Turn

    async def add(self, name: str, content_type: str, content: bytes) -> None:
        """Attach a small file in one request; when it is not clear whether that worked, look before trying again.

        Raises:
            M365Error: it is not attached, as far as can be told.
        """
        form = {"@odata.type": "#microsoft.graph.fileAttachment", "name": name, "contentType": content_type}
        body = json.dumps({**form, "contentBytes": base64.b64encode(content).decode()}).encode()

        async def add_once(_: float) -> None:
            try:
                await self._post("", "addAttachment", body)
            except Unavailable:
                if not await self.holds(name):
                    raise

        await retry(FILE_RETRIES, add_once, when_unavailable)

    async def open_session(self, name: str, content_type: str, size: int) -> UploadSession:
        """Open an upload session for a large file; one too many is forgotten by Graph.

        Raises:
            FileTooLarge: the mailbox does not take so much.
            M365Error: there is none to be had.
        """
        item = {"attachmentType": "file", "name": name, "size": size, "contentType": content_type}
        body = json.dumps({"AttachmentItem": item}).encode()
        found = await retry(
            FILE_RETRIES,
            lambda _: self._post("/createUploadSession", "createUploadSession", body),
            when_unavailable,
        )
        client = self.mailbox.graph
        url = check_upload_url(str(found.get("uploadUrl", "")), client.base_url)
        return UploadSession(url, size, client.http, client.metrics, self.slot)

    async def holds(self, name: str) -> bool:
        """Tell whether a file of this name is attached, looking several times. Raises M365Error."""
        for pause in LOOKS:
            await asyncio.sleep(pause)
            if await self._named(name):
                return True
        return False

    async def remove(self, name: str) -> None:
        """Take off what an earlier try may have attached under this name. Raises M365Error."""
        for attachment_id in await self._named(name):
            async with self.slot():
                path = f"{self._path}/{quote(attachment_id, safe='')}"
                response = await self.mailbox.act("DELETE", path, "deleteAttachment", headers=IMMUTABLE)
            if response.status not in (204, 404):
                raise _refusal(response)

    async def _named(self, name: str) -> list[str]:
        async with self.slot():
            response = await self.mailbox.read(f"{self._path}?$select=id,name", "listAttachments", IMMUTABLE)
        if response.status != 200:
            raise _refusal(response)
        return [str(one["id"]) for one in response.json.get("value", []) if one.get("name") == name]

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


def check_upload_url(url: str, graph_base_url: str) -> str:
    """Return the address Graph wants a file at, if bytes may go there.

    The upload host is another one than Graph's, and only Graph's answer names it. It must be https; beside a stand-in
    on this machine it is what that stand-in speaks, and on this machine as well.

    Raises:
        GraphUnavailable: it may not.
    """
    graph, upload = urlsplit(graph_base_url), urlsplit(url)
    is_stand_in = is_loopback(graph.hostname)
    scheme = graph.scheme if is_stand_in else "https"
    same_side = is_stand_in == is_loopback(upload.hostname)
    if upload.scheme != scheme or not upload.hostname or upload.username is not None or not same_side:
        raise GraphUnavailable("Microsoft Graph named an address for the file that this server does not upload to.")
    return url


def _refusal(response: GraphResponse) -> M365Error:
    """Return what a reply means for a file; none of these requests sends anything."""
    error = decipher(response, changes_something=False)
    if isinstance(error, MessageTooLarge):
        return FileTooLarge(
            "The message with this file would be larger than the mailbox takes.", reference=response.request_id
        )
    if response.status == 404 and isinstance(error, ReadRefused):
        return MessageRefused(
            "The draft this file is for is not there any more.",
            advice="Begin anew with attach_files.",
            reference=response.request_id,
        )
    if isinstance(error, ReadRefused):
        return MessageRefused("Microsoft Graph refused the file.", advice=_AGAIN, reference=response.request_id)
    return error
