"""Lists messages with a deferred send time.

Source: [MS-OXOMSG] 2.2.3.2 (PidTagDeferredSendTime). Graph does not document the folder of such messages. They are in
the Outbox or in Drafts, so this module reads both.
"""

from __future__ import annotations

from datetime import datetime

from m365_mcp.graph.decipher import decipher
from m365_mcp.graph.drafts import Folder
from m365_mcp.graph.items import IMMUTABLE, ITEM_QUERY, Item, read_item
from m365_mcp.graph.mailbox import Mailbox

_FOLDERS: tuple[Folder, ...] = ("outbox", "drafts")
MESSAGES_PER_FOLDER = 100  # the newest first


async def list_scheduled(mailbox: Mailbox, now: datetime) -> tuple[Item, ...]:
    """Return this server's messages that Exchange sends after `now`, the next first. Raises M365Error."""
    found: list[tuple[datetime, Item]] = []
    for folder in _FOLDERS:
        path = f"/me/mailFolders/{folder}/messages?$top={MESSAGES_PER_FOLDER}&{ITEM_QUERY}"
        response = await mailbox.read(path, "listWaiting", IMMUTABLE)
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
