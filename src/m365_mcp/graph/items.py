"""A message in the mailbox, read from Graph's JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from m365_mcp.errors import MessageMissing
from m365_mcp.mail import DEFERRED

# Graph's immutable ids stay the same when a message moves from Drafts to Sent Items.
IMMUTABLE = {"Prefer": 'IdType="ImmutableId"'}
# Our own named property, which finds a message in every folder.
MARKER = "String {6f1c2b1e-9a57-4f0e-8f55-3b6d1a2c4e70} Name m365-mcp-id"
_EXTENDED = f"singleValueExtendedProperties($filter=id eq '{MARKER}' or id eq '{DEFERRED}')"
# The query options for all fields of an `Item`.
ITEM_QUERY = f"$select=subject,isDraft,toRecipients,ccRecipients,bccRecipients&$expand={quote(_EXTENDED)}"
_ID = re.compile(r"[\w=+/-]{1,1024}", re.ASCII)


@dataclass(frozen=True)
class Item:
    """A message in the mailbox, without its text.

    Attributes:
        id: Graph's immutable id.
        is_draft: whether it is not sent yet.
        to: addresses, as in `cc` and `bcc`.
        message_id: our id, if this server created the message.
        send_at: when Exchange sends a deferred message, as Graph writes it.
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
        """The addresses of all recipients, blind copies included."""
        return (*self.to, *self.cc, *self.bcc)


def read_item(found: Mapping[str, Any]) -> Item:
    """Return the message for Graph's JSON `found`."""
    properties = found.get("singleValueExtendedProperties") or ()
    extended = {str(extra["id"]).lower(): str(extra["value"]) for extra in properties}
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
    """Return the path of a message. Raises MessageMissing for an invalid id, so that no id can become another path."""
    if not _ID.fullmatch(item_id):
        raise MessageMissing
    return f"/me/messages/{quote(item_id, safe='')}"


def _addresses(recipients: Any) -> tuple[str, ...]:
    return tuple(str(recipient.get("emailAddress", {}).get("address") or "") for recipient in recipients or ())
