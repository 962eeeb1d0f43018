"""What Graph shows of a message in the mailbox, read into a value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from m365_mcp.errors import MessageMissing
from m365_mcp.mail import DEFERRED

# An id that survives the move from Drafts to Sent Items.
IMMUTABLE = {"Prefer": 'IdType="ImmutableId"'}
# A named property of our own, by which a message is found wherever it has gone.
MARKER = "String {6f1c2b1e-9a57-4f0e-8f55-3b6d1a2c4e70} Name m365-mcp-id"
_EXTENDED = f"singleValueExtendedProperties($filter=id eq '{MARKER}' or id eq '{DEFERRED}')"
# Everything an `Item` is read from.
SHOWN = f"$select=subject,isDraft,toRecipients,ccRecipients,bccRecipients&$expand={quote(_EXTENDED)}"
_ID = re.compile(r"[\w=+/-]{1,1024}", re.ASCII)


@dataclass(frozen=True)
class Item:
    """A message in the mailbox, without its text.

    Attributes:
        id: Graph's immutable id.
        is_draft: whether it has not left yet.
        to: addresses, as are `cc` and `bcc`.
        message_id: our id of it, if this server made it.
        send_at: when it is to leave, as Graph writes it, if that was deferred.
    """

    id: str
    subject: str
    is_draft: bool
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    message_id: str | None = None
    send_at: str | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Everybody it goes to, blind copies included."""
        return (*self.to, *self.cc, *self.bcc)


def read_item(found: Mapping[str, Any]) -> Item:
    """Return the message that Graph's JSON shows."""
    extended = {str(one["id"]).lower(): str(one["value"]) for one in found.get("singleValueExtendedProperties") or ()}
    return Item(
        str(found["id"]),
        str(found.get("subject") or ""),
        bool(found.get("isDraft", True)),
        to=_addresses(found.get("toRecipients")),
        cc=_addresses(found.get("ccRecipients")),
        bcc=_addresses(found.get("bccRecipients")),
        message_id=extended.get(MARKER.lower()),  # Graph writes ids of properties in lower case
        send_at=extended.get(DEFERRED.lower()),
    )


def item_path(item_id: str) -> str:
    """Return the path of a message. Raises MessageMissing for what is no id, so that no id can be another path."""
    if not _ID.fullmatch(item_id):
        raise MessageMissing
    return f"/me/messages/{quote(item_id, safe='')}"


def _addresses(recipients: Any) -> tuple[str, ...]:
    return tuple(str(one.get("emailAddress", {}).get("address") or "") for one in recipients or ())
