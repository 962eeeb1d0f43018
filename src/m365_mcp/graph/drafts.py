"""Drafts: made, sent, looked up and thrown away; what makes an unclear send clear.

Sources: Graph "Create message", "message: send", "Get immutable identifiers for Outlook resources", "List messages".
May know `errors` and `graph.*`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from m365_mcp.errors import GraphUnavailable, OutcomeUnknown
from m365_mcp.graph.decipher import Reply, decipher
from m365_mcp.graph.mailbox import Mailbox

# An id that survives the move from Drafts to Sent Items.
IMMUTABLE = {"Prefer": 'IdType="ImmutableId"'}
# A named property of our own, by which a message is found wherever it has gone.
MARKER = "String {6f1c2b1e-9a57-4f0e-8f55-3b6d1a2c4e70} Name m365-mcp-id"

Whereabouts = Literal["draft", "sent", "gone"]


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
        """Create a draft that carries our id. A lost answer is repeated once: a draft too many is sent to nobody.

        Raises:
            M365Error: there is no draft to go on with; nothing was sent.
        """
        marked = {**message, "singleValueExtendedProperties": [{"id": MARKER, "value": message_id}]}
        body = json.dumps(marked, ensure_ascii=False).encode()
        try:
            reply = await self._create(body)
        except OutcomeUnknown:
            try:
                reply = await self._create(body)
            except OutcomeUnknown as error:
                raise GraphUnavailable(reference=error.reference) from error
        if reply.status != 201 or "id" not in reply.json:
            raise decipher(reply, changes_something=False)
        return Draft(str(reply.json["id"]), reply.json.get("webLink"))

    async def _create(self, body: bytes) -> Reply:
        reply = await self.mailbox.act("POST", "/me/messages", "createDraft", body=body, headers=IMMUTABLE)
        if reply.status >= 500:
            raise OutcomeUnknown(reference=reply.request_id)
        return reply

    async def send(self, draft_id: str) -> str | None:
        """Send a draft once and return Graph's request id.

        Raises:
            OutcomeUnknown: it may have been sent.
            M365Error: it was not sent.
        """
        reply = await self.mailbox.act("POST", f"{_path(draft_id)}/send", "sendDraft", body=b"", headers=IMMUTABLE)
        if reply.status == 404:
            # It is not where it was: sent by an earlier try, or deleted by the person.
            raise OutcomeUnknown(reference=reply.request_id)
        if reply.status != 202:
            raise decipher(reply, changes_something=True)
        return reply.request_id

    async def whereabouts(self, draft_id: str, message_id: str) -> Whereabouts:
        """Return where a message is now. Raises M365Error when it cannot be told."""
        reply = await self.mailbox.read(f"{_path(draft_id)}?$select=isDraft", "getMessage", IMMUTABLE)
        if reply.status == 200:
            return "draft" if reply.json.get("isDraft", True) else "sent"
        if reply.status != 404:
            raise decipher(reply, changes_something=False)
        return "sent" if await self._is_in_sent_items(message_id) else "gone"

    async def _is_in_sent_items(self, message_id: str) -> bool:
        condition = f"singleValueExtendedProperties/Any(ep: ep/id eq '{MARKER}' and ep/value eq '{message_id}')"
        path = f"/me/mailFolders/sentitems/messages?$top=1&$select=id&$filter={quote(condition)}"
        reply = await self.mailbox.read(path, "findSent")
        if reply.status != 200:
            raise decipher(reply, changes_something=False)
        return bool(reply.json.get("value"))

    async def delete(self, draft_id: str) -> None:
        """Throw a draft away. Raises M365Error."""
        reply = await self.mailbox.act("DELETE", _path(draft_id), "deleteMessage", headers=IMMUTABLE)
        if reply.status not in (204, 404):
            raise decipher(reply, changes_something=False)


def _path(draft_id: str) -> str:
    return f"/me/messages/{quote(draft_id, safe='')}"
