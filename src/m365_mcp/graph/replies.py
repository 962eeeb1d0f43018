"""Creates replies and forwards as drafts, and lists the messages to answer.

Sources: Graph "message: createReply", "message: createReplyAll", "message: createForward", "List messages".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from m365_mcp.graph.decipher import decipher
from m365_mcp.graph.drafts import Drafts, Folder
from m365_mcp.graph.items import IMMUTABLE, Item, item_path, read_item
from m365_mcp.mail import MESSAGE_ID_HEADER, ReplyKind

_ACTIONS: dict[ReplyKind, str] = {
    "reply": "createReply",
    "reply_all": "createReplyAll",
    "forward": "createForward",
}


@dataclass(frozen=True)
class ReplyDraft:
    """The draft of a reply as Graph created it: recipients, subject, and the quoted message as its text."""

    item: Item
    content_type: str
    content: str


@dataclass(frozen=True)
class MessageSummary:
    """One message in a list of messages."""

    id: str
    subject: str
    sender_name: str | None
    sender_address: str | None
    received_at: str | None
    is_read: bool
    preview: str | None = None


@dataclass(frozen=True)
class ReplyDrafts:
    """One person's drafts of replies and forwards."""

    drafts: Drafts

    async def begin(self, original: str, kind: ReplyKind, message_id: str) -> ReplyDraft:
        """Create a draft that answers or forwards the message `original`, with our id in its headers.

        Raises:
            MessageMissing: there is no message `original`.
            M365Error: there is no draft.
        """
        action = _ACTIONS[kind]
        headers = [{"name": MESSAGE_ID_HEADER, "value": message_id}]
        body: dict[str, Any] = {"message": {"internetMessageHeaders": headers}}
        created = await self.drafts.make(f"{item_path(original)}/{action}", action, body)
        text = created.get("body") or {}
        return ReplyDraft(read_item(created), str(text.get("contentType") or "text"), str(text.get("content") or ""))

    async def list(self, folder: Folder, top: int, *, previews: bool) -> tuple[MessageSummary, ...]:
        """Return the newest messages of a folder. Raises M365Error."""
        select = "subject,from,receivedDateTime,isRead" + (",bodyPreview" if previews else "")
        path = f"/me/mailFolders/{folder}/messages?$top={top}&$select={select}&$orderby=receivedDateTime%20desc"
        response = await self.drafts.mailbox.read(path, "listMessages", IMMUTABLE)
        if response.status != 200:
            raise decipher(response, changes_something=False)
        return tuple(_read_summary(found) for found in response.json.get("value", ()))


def _read_summary(found: dict[str, Any]) -> MessageSummary:
    sender = (found.get("from") or {}).get("emailAddress") or {}
    return MessageSummary(
        str(found["id"]),
        str(found.get("subject") or ""),
        sender.get("name"),
        sender.get("address"),
        found.get("receivedDateTime"),
        bool(found.get("isRead")),
        found.get("bodyPreview"),
    )
