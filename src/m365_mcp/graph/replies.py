"""Creates replies and forwards as drafts, and lists the messages to answer.

Sources: Graph "message: createReply", "message: createReplyAll", "message: createForward", "List messages".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from m365_mcp.errors import InvalidArgument, MessageMissing
from m365_mcp.graph.decipher import decipher
from m365_mcp.graph.drafts import Drafts, Folder, read_message
from m365_mcp.graph.items import IMMUTABLE, Item, item_path, read_item, read_recipients, read_sender
from m365_mcp.mail import MESSAGE_ID_HEADER, Original, ReplyKind

_ACTIONS: dict[ReplyKind, str] = {
    "reply": "createReply",
    "reply_all": "createReplyAll",
    "forward": "createForward",
}
_ORIGINAL_QUERY = "$select=isDraft,parentFolderId,from,sender,toRecipients,ccRecipients"
_EXPECTED_QUERY = "$select=subject,from,toRecipients,ccRecipients,replyTo,body"
_ID_ADVICE = "Call list_messages for the ids. The message may have been deleted or moved since the last list."


@dataclass(frozen=True)
class ReplyDraft:
    """The draft of a reply as Graph created it: recipients, subject, the quoted message as its text, and its link."""

    item: Item
    content_type: str
    content: str
    web_link: str | None = None


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

    async def original(self, original: str) -> Original:
        """Return the people of the message to answer.

        Raises:
            MessageMissing: there is no message `original`.
            InvalidArgument: the message is a draft, so nobody got it.
            M365Error: Graph does not return the message.
        """
        with _advising():
            path = f"{item_path(original)}?{_ORIGINAL_QUERY}"
            found = read_message(await self.drafts.mailbox.read(path, "getOriginal", IMMUTABLE))
        if found.get("isDraft"):
            raise InvalidArgument("This message has not been sent, so nobody can reply to it.", advice=_ID_ADVICE)
        senders = filter(None, (read_sender(found.get("from")), read_sender(found.get("sender"))))
        return Original(
            tuple(senders),
            read_recipients(found.get("toRecipients")),
            read_recipients(found.get("ccRecipients")),
            is_sent=found.get("parentFolderId") == await self._id_of("sentitems"),
        )

    async def _id_of(self, folder: Folder) -> str:
        response = await self.drafts.mailbox.read(f"/me/mailFolders/{folder}?$select=id", "getFolder")
        if response.status != 200:
            raise decipher(response, changes_something=False)
        return str(response.json.get("id"))

    async def begin(self, original: str, kind: ReplyKind, message_id: str) -> ReplyDraft:
        """Create a draft that answers or forwards the message `original`, with our id in its headers.

        Raises:
            MessageMissing: there is no message `original`.
            M365Error: there is no draft.
        """
        action = _ACTIONS[kind]
        headers = [{"name": MESSAGE_ID_HEADER, "value": message_id}]
        body: dict[str, Any] = {"message": {"internetMessageHeaders": headers}}
        with _advising():
            created = await self.drafts.make(f"{item_path(original)}/{action}", action, body)
        text = created.get("body") or {}
        content_type, content = str(text.get("contentType") or "text"), str(text.get("content") or "")
        return ReplyDraft(read_item(created), content_type, content, created.get("webLink"))

    async def expected(self, original: str, kind: ReplyKind) -> ReplyDraft:
        """Return the draft that `begin` would create, read from the original, which must be there; create none.

        It lacks what Graph writes above the quoted message: who wrote it, when, and to whom.

        Raises:
            MessageMissing: there is no message `original`.
            M365Error: Graph does not return the message.
        """
        with _advising():
            path = f"{item_path(original)}?{_EXPECTED_QUERY}"
            found = read_message(await self.drafts.mailbox.read(path, "getOriginal", IMMUTABLE))
        body = found.get("body") or {}
        content_type, content = str(body.get("contentType") or "text"), str(body.get("content") or "")
        return ReplyDraft(_expected_item(read_item(found), kind), content_type, content)

    async def list(self, folder: Folder, top: int, *, previews: bool) -> tuple[MessageSummary, ...]:
        """Return the newest messages of a folder. Raises M365Error."""
        select = "subject,from,receivedDateTime,isRead" + (",bodyPreview" if previews else "")
        path = f"/me/mailFolders/{folder}/messages?$top={top}&$select={select}&$orderby=receivedDateTime%20desc"
        response = await self.drafts.mailbox.read(path, "listMessages", IMMUTABLE)
        if response.status != 200:
            raise decipher(response, changes_something=False)
        return tuple(_read_summary(found) for found in response.json.get("value", ()))


def _expected_item(original: Item, kind: ReplyKind) -> Item:
    """Return subject and recipients as Graph chooses them; replies go to `replyTo` (RFC 5322 section 3.6.3)."""
    prefix = "FW: " if kind == "forward" else "RE: "
    has_prefix = original.subject.upper().startswith(prefix)
    subject = original.subject if has_prefix else f"{prefix}{original.subject}"
    if kind == "forward":
        return Item(original.id, subject, is_draft=True)
    wrote = original.reply_to or ((original.from_,) if original.from_ else ())
    if kind == "reply":
        return Item(original.id, subject, is_draft=True, to=wrote)
    return Item(original.id, subject, is_draft=True, to=(*wrote, *original.to), cc=original.cc)


@contextmanager
def _advising() -> Iterator[None]:
    """Name the tool that gives the ids, when there is no such message."""
    try:
        yield
    except MessageMissing as error:
        raise MessageMissing(advice=_ID_ADVICE, reference=error.reference) from error


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
