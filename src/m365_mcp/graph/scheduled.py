"""Messages that wait for the time they are to leave.

Source: [MS-OXOMSG] 2.2.3.2 (PidTagDeferredSendTime). Where such a message waits is not documented for Graph: in the
Outbox, or among the drafts; so both are looked into.
"""

from __future__ import annotations

from datetime import datetime

from m365_mcp.graph.decipher import decipher
from m365_mcp.graph.drafts import Folder
from m365_mcp.graph.items import IMMUTABLE, SHOWN, Item, read_item
from m365_mcp.graph.mailbox import Mailbox

_FOLDERS: tuple[Folder, ...] = ("outbox", "drafts")
LOOKED_AT = 100  # of each folder, the newest first


async def list_scheduled(mailbox: Mailbox, now: datetime) -> tuple[Item, ...]:
    """Return the messages this server made that are to leave after `now`, the next first. Raises M365Error."""
    found: list[tuple[datetime, Item]] = []
    for folder in _FOLDERS:
        path = f"/me/mailFolders/{folder}/messages?$top={LOOKED_AT}&{SHOWN}"
        response = await mailbox.read(path, "listWaiting", IMMUTABLE)
        if response.status != 200:
            raise decipher(response, changes_something=False)
        items = [read_item(one) for one in response.json.get("value", ())]
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
