"""Creates, changes, sends, finds and deletes drafts. The lookups tell what became of a send with an unknown outcome.

Sources: Graph "Create message", "Update message", "Add attachment", "message: send", "Get immutable identifiers for
Outlook resources", "List messages".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

from m365_mcp.errors import GraphUnavailable, M365Error, MessageMissing, OutcomeUnknown, ReadRefused
from m365_mcp.graph.attachments import read_files
from m365_mcp.graph.client import SEND_SECONDS, PassingFault, when_passing
from m365_mcp.graph.decipher import GraphResponse, decipher
from m365_mcp.graph.items import FILES, IMMUTABLE, ITEM_QUERY, MARKER, Item, item_path, read_item
from m365_mcp.graph.mailbox import Mailbox
from m365_mcp.retries import RetryPolicy, retry

# What makes up a message, apart from its attachments.
_CONTENT = (
    *("subject", "body", "from", "toRecipients", "ccRecipients", "bccRecipients", "replyTo"),
    *("importance", "isReadReceiptRequested"),
)
Location = Literal["draft", "sent", "gone"]
Folder = Literal["inbox", "drafts", "outbox", "sentitems"]  # Graph's well-known names
# A lost response takes all of SEND_SECONDS; the extra time is for the second try.
HARMLESS_REPEATS = RetryPolicy(seconds=SEND_SECONDS + 5.0, first_pause=0.3, tries=2)


@dataclass(frozen=True)
class Draft:
    """A message in the Drafts folder; `web_link` opens it in Outlook."""

    id: str
    web_link: str | None


@dataclass(frozen=True)
class Drafts:
    """One person's drafts."""

    mailbox: Mailbox

    async def create(self, message: dict[str, Any], message_id: str) -> Draft:
        """Create a draft with our id `message_id`. After a lost response it tries again: an extra draft does no harm.

        Raises:
            M365Error: there is no draft; nothing was sent.
        """
        created = await self.make("/me/messages", "createDraft", marked(message, message_id))
        return Draft(str(created["id"]), created.get("webLink"))

    async def make(self, path: str, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create a draft with a request to `path`, and return it as Graph's JSON; see `create`."""
        response = await self._repeatable("POST", path, operation, body)
        if _names_nothing(response):
            raise MessageMissing(reference=response.request_id)
        if response.status != 201 or "id" not in response.json:
            raise _refusal(response)
        return response.json

    async def change(self, draft_id: str, changes: dict[str, Any]) -> None:
        """Change a draft. Raises M365Error."""
        response = await self._repeatable("PATCH", item_path(draft_id), "changeDraft", changes)
        if response.status != 200:
            raise _refusal(response)

    async def attach(self, draft_id: str, attachment: dict[str, Any]) -> None:
        """Attach a small file, given as Graph's `fileAttachment`. After an M365Error it may still be attached."""
        path, body = f"{item_path(draft_id)}/attachments", json.dumps(attachment).encode()
        try:
            response = await self.mailbox.act("POST", path, "addAttachment", body=body, headers=IMMUTABLE)
        except OutcomeUnknown as error:
            raise GraphUnavailable(reference=error.reference) from error
        if response.status != 201:
            raise _refusal(response)

    async def find(self, item_id: str) -> Item:
        """Return a message of the mailbox, draft or not. Raises MessageMissing and other M365Errors."""
        response = await self.mailbox.read(f"{item_path(item_id)}?{ITEM_QUERY}", "getMessage", IMMUTABLE)
        return read_item(read_message(response))

    async def body(self, item_id: str) -> tuple[str, str]:
        """Return Graph's `contentType` and `content` of the body of a message. Raises M365Error."""
        response = await self.mailbox.read(f"{item_path(item_id)}?$select=body", "getMessage", IMMUTABLE)
        body = read_message(response).get("body") or {}
        return str(body.get("contentType") or ""), str(body.get("content") or "")

    async def content(self, item_id: str) -> dict[str, Any]:
        """Return a message as Graph's JSON of a new draft with the same content; a time to send it is left out.

        Raises:
            MessageMissing: the mailbox has no such message.
            M365Error: Graph does not return it.
        """
        path = f"{item_path(item_id)}?$select={','.join(_CONTENT)}"
        found = read_message(await self.mailbox.read(path, "getMessage", IMMUTABLE))
        files = await read_files(self.mailbox, item_id)
        return {name: found[name] for name in _CONTENT if found.get(name)} | {"attachments": files}

    async def send(self, draft_id: str) -> str | None:
        """Send a draft once and return Graph's request id.

        Raises:
            OutcomeUnknown: Graph may have sent the draft.
            M365Error: Graph did not send the draft.
        """
        path = f"{item_path(draft_id)}/send"
        response = await self.mailbox.act("POST", path, "sendDraft", body=b"", headers=IMMUTABLE)
        if response.status == 404:
            # The draft is gone: an earlier try sent it, or the person deleted it.
            raise OutcomeUnknown(reference=response.request_id)
        if response.status != 202:
            raise decipher(response, changes_something=True)
        return response.request_id

    async def location(self, draft_id: str, message_id: str) -> Location:
        """Return where a message is now. Raises M365Error if Graph does not say."""
        response = await self.mailbox.read(f"{item_path(draft_id)}?$select=isDraft", "getMessage", IMMUTABLE)
        if response.status == 200:
            return "draft" if response.json.get("isDraft", True) else "sent"
        if response.status != 404:
            raise decipher(response, changes_something=False)
        return "sent" if await self.is_in("sentitems", message_id) else "gone"

    async def is_in(self, folder: Folder, message_id: str) -> bool:
        """Return whether the message with our id is in this folder. Raises M365Error if Graph does not say."""
        condition = f"singleValueExtendedProperties/Any(ep: ep/id eq '{MARKER}' and ep/value eq '{message_id}')"
        path = f"/me/mailFolders/{folder}/messages?$top=1&$select=id&$filter={quote(condition)}"
        response = await self.mailbox.read(path, "findInFolder")
        if response.status != 200:
            raise decipher(response, changes_something=False)
        return bool(response.json.get("value"))

    async def delete(self, draft_id: str) -> None:
        """Delete a draft. Raises M365Error."""
        response = await self._repeatable("DELETE", item_path(draft_id), "deleteMessage")
        if response.status not in (204, 404):
            raise _refusal(response)

    async def _repeatable(
        self, method: str, path: str, operation: str, body: dict[str, Any] | None = None
    ) -> GraphResponse:
        """Make a request whose repeat does no harm, and return the response; a lost request is made once more."""
        encoded = None if body is None else json.dumps(body, ensure_ascii=False).encode()

        async def act_once(_: float) -> GraphResponse:
            response = await self.mailbox.act(method, path, operation, body=encoded, headers=IMMUTABLE)
            if response.status >= 500:
                raise PassingFault(response)
            return response

        try:
            return await retry(HARMLESS_REPEATS, act_once, _may_have_been_lost)
        except PassingFault as fault:
            return fault.response
        except OutcomeUnknown as error:
            raise GraphUnavailable(reference=error.reference) from error


def read_message(response: GraphResponse) -> dict[str, Any]:
    """Return Graph's JSON of the message that a GET asked for. Raises MessageMissing and other M365Errors."""
    if response.status == 200:
        return response.json
    error = decipher(response, changes_something=False)
    # Of such a request only the id varies, so 400 means that the id is malformed or of another mailbox.
    if isinstance(error, ReadRefused) and response.status in (400, 404):
        raise MessageMissing(reference=response.request_id)
    raise error


def _names_nothing(response: GraphResponse) -> bool:
    """Return whether the id in the path names no message of this mailbox."""
    code = response.error_code
    if response.status == 404:
        return not code.startswith("MailboxNot")  # an account without a mailbox is 404 too
    return code.startswith("ErrorInvalidId") or code in ("ErrorInvalidMailboxItemId", "ErrorItemNotFound")


def _may_have_been_lost(error: Exception) -> bool | float:
    return isinstance(error, OutcomeUnknown) or when_passing(error)


def marked(message: dict[str, Any], message_id: str) -> dict[str, Any]:
    """Return Graph's JSON of a message with our id in an extended property."""
    return _extended(message, MARKER, message_id)


def announcing(message: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return Graph's JSON of a message with the names of the files that will be uploaded into it."""
    return _extended(message, FILES, "\n".join(names))


def _extended(message: dict[str, Any], name: str, value: str) -> dict[str, Any]:
    properties = [*message.get("singleValueExtendedProperties", ()), {"id": name, "value": value}]
    return {**message, "singleValueExtendedProperties": properties}


def _refusal(response: GraphResponse) -> M365Error:
    """Return the error for a response to a request that sends no mail."""
    error = decipher(response, changes_something=True)
    return decipher(response, changes_something=False) if isinstance(error, OutcomeUnknown) else error


_FOLDERS: tuple[Folder, ...] = ("outbox", "drafts")
MESSAGES_PER_FOLDER = 100  # the newest first


async def list_scheduled(mailbox: Mailbox, now: datetime) -> tuple[Item, ...]:
    """Return this server's messages that Exchange sends after `now`, the next first. Raises M365Error."""
    found: list[tuple[datetime, Item]] = []
    for folder in _FOLDERS:
        path = f"/me/mailFolders/{folder}/messages?$top={MESSAGES_PER_FOLDER}&{ITEM_QUERY}"
        response = await mailbox.read(path, "listScheduled", IMMUTABLE)
        if response.status != 200:
            raise decipher(response, changes_something=False)
        items = [read_item(entry) for entry in response.json.get("value", ())]
        found += [(due, item) for item in items if (due := _due(item)) is not None and due > now]
    return tuple(item for _, item in sorted(found, key=lambda pair: pair[0]))


def _due(item: Item) -> datetime | None:
    if item.message_id is None or item.send_at is None:
        return None
    try:
        due = datetime.fromisoformat(item.send_at)
    except ValueError:
        return None
    return due if due.tzinfo else None
